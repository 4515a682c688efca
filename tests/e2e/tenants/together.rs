//! Several workers that serve the same tenants: what each counts of them is the others' too.

use crate::stage;
use serde_json::Value;
use support::{Redis, Stage, until};

/// So long that it is still there when somebody ends it.
const LONG: &str = "[600000]";

/// A tenant by its name.
struct Tenant<'a> {
    stage: &'a Stage,
    name: &'a str,
}

impl Tenant<'_> {
    fn ask(&self, arguments: &[&str]) -> Value {
        self.stage.json(&[arguments, &["-T", self.name]].concat())
    }

    fn send(&self, task: &str, args: &str, queue: &str) -> String {
        let sent = self.ask(&["call", task, "-a", args, "-Q", queue]);
        sent["id"].as_str().expect("an id").to_owned()
    }

    fn long(&self) -> String {
        self.send("odd.waits", LONG, "celery")
    }

    fn state(&self, id: &str) -> String {
        // It ends with 1 where the task failed.
        let stored = self.stage.run(&["result", id, "--json", "-T", self.name]);
        let state = stored.json()["state"].as_str().map(str::to_owned);
        state.expect("a state")
    }

    fn runs(&self, id: &str) -> bool {
        self.state(id) == "WAITING"
    }

    fn until_it_is(&self, id: &str, state: &str) {
        until(state, || (self.state(id) == state).then_some(()));
    }

    fn ends(&self, id: &str) {
        self.ask(&["revoke", id, "--terminate"]);
        self.until_it_is(id, "REVOKED");
    }

    /// Waits until a worker has so many of its messages in hand.
    fn until_taken(&self, count: u64) {
        until("a worker has them in hand", || {
            let queues = self.ask(&["queues", "celery"]);
            (queues["queues"][0]["leased"] == count).then_some(())
        });
    }
}

/// The sections of three tenants on one Redis, with a queue for two of them.
fn sections(redis: &Redis, queue: &str) -> String {
    let place = format!(
        "broker = \"{}\"\nresult_backend = \"{}\"\n",
        redis.url(0),
        redis.url(1)
    );
    format!(
        "[tenants.acme]\n{place}queues = [\"{queue}\"]\n\
         [tenants.gauge]\n{place}queues = [\"{queue}\"]\ncpu_per_day = \"1s\"\n\
         [tenants.other]\n{place}"
    )
}

/// CPU time that all workers together counted for a tenant, microseconds.
fn counted(redis: &Redis, tenant: &str) -> u64 {
    let keys = redis.cli(1, &["KEYS", "celeriac-cpu-day-*"]);
    let counts = keys.lines().map(|key| {
        redis
            .cli(1, &["HGET", key, tenant])
            .parse::<u64>()
            .unwrap_or(0)
    });
    counts.sum()
}

/// Lets both wait for the one place that is lent, frees it, and returns whether the first
/// got it; the other had it next.
fn first_is_first(first: &Tenant<'_>, second: &Tenant<'_>, own: &Tenant<'_>) -> bool {
    let held = own.long();
    own.until_it_is(&held, "WAITING");
    let (one, two) = (first.long(), second.long());
    first.until_taken(2);
    second.until_taken(2);
    own.ends(&held);
    let is_first = until("one of them has the place", || {
        match (first.runs(&one), second.runs(&two)) {
            (false, false) => None,
            (first, _) => Some(first),
        }
    });
    let order = match is_first {
        true => [(first, one), (second, two)],
        false => [(second, two), (first, one)],
    };
    for (tenant, id) in order {
        tenant.until_it_is(&id, "WAITING");
        tenant.ends(&id);
    }
    is_first
}

#[test]
fn what_a_tenant_used_in_one_worker_puts_it_behind_others_in_another() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1))
        .with("worker.concurrency", "1")
        .with("limits.cpu", "2s");
    stage.write("celeriac.toml", sections(&redis, "celery"));
    stage.write("elsewhere.toml", sections(&redis, "elsewhere"));
    let [own, acme, gauge, other] = ["default", "acme", "gauge", "other"].map(|name| Tenant {
        stage: &stage,
        name,
    });
    for tenant in [&own, &acme, &gauge, &other] {
        for module in ["odd", "hostile", "text"] {
            let file = stage.component(module).display().to_string();
            tenant.ask(&["push", &file, "--name", module]);
        }
    }
    let _worker = stage.server(&["worker"]);
    // What is new is told from what was counted before.
    for tenant in [&acme, &gauge] {
        let id = tenant.send("text.echo", "[1]", "celery");
        tenant.until_it_is(&id, "SUCCESS");
        until("it is counted", || {
            (counted(&redis, tenant.name) > 0).then_some(())
        });
    }
    // Each has the place of its own from here on; one more is lent.
    for tenant in [&own, &acme, &other] {
        tenant.until_it_is(&tenant.long(), "WAITING");
    }
    for _ in 0..3 {
        let id = other.send("text.echo", "[1]", "celery");
        other.until_it_is(&id, "SUCCESS");
    }
    assert!(first_is_first(&acme, &other, &own), "it used less");

    let arguments = ["worker", "-n", "other@h", "--config", "elsewhere.toml"];
    let elsewhere = stage.server(&[&arguments[..], &["-Q", "elsewhere"]].concat());
    for tenant in [&acme, &gauge] {
        let id = tenant.send("hostile.spin", "[]", "elsewhere");
        tenant.until_it_is(&id, "FAILURE");
        until("it is counted", || {
            (counted(&redis, tenant.name) > 1_900_000).then_some(())
        });
    }
    assert_eq!(elsewhere.stop().code, Some(0));
    // The one worker that is left heard of both, or it would let this one start.
    until("the other worker has heard of it", || {
        let id = gauge.send("text.echo", "[1]", "celery");
        let why = gauge.ask(&["why", &id]);
        let why = why["more"].to_string();
        why.contains("quota cpu_per_day is full").then_some(())
    });
    assert!(!first_is_first(&acme, &other, &own), "it used more");
}
