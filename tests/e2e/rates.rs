//! Tasks that may start only so often.

use crate::{celery, stage, success};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage, until};

const NODE: &str = "w@example";

/// Sends tasks, waits for all, and returns the time from before the first was sent to the
/// last end: no test may ask for less of it, and a busy machine takes more.
fn took(stage: &Stage, task: &str, count: usize) -> SignedDuration {
    let began = Timestamp::now();
    let ids: Vec<String> = (0..count)
        .map(|number| stage.send(task, &["-a", &format!("[{number}]")]))
        .collect();
    let ends = ids.iter().map(|id| {
        let ended = stage.ended(id);
        success(&ended);
        let at = ended["written_at"].as_str().and_then(|at| at.parse().ok());
        at.expect("a moment")
    });
    let last: Timestamp = ends.max().expect("there are some");
    last.duration_since(began)
}

fn limited(stage: &Stage, rate: &str) {
    let text = format!("[tasks.\"text.*\"]\nrate_limit = \"{rate}\"\n");
    stage.write("celeriac.toml", text);
}

#[test]
fn a_task_starts_no_faster_than_its_rate() {
    let stage = stage();
    limited(&stage, "4/s");
    stage.push("text");
    let _dev = stage.dev();
    let took = took(&stage, "text.echo", 9);
    assert!(took >= SignedDuration::from_secs(2), "{took}");
    stage.settled();
}

#[test]
fn what_has_to_wait_waits_in_the_broker_and_hinders_nobody() {
    let stage = stage().with("worker.concurrency", "1");
    limited(&stage, "1/h");
    stage.push("text");
    stage.push("odd");
    let _dev = stage.dev();
    success(&stage.call("text.echo", "[1]"));
    let ids: Vec<String> = (0..20)
        .map(|_| stage.send("text.echo", &["-a", "[1]"]))
        .collect();
    until("all are parked", || {
        let queues = stage.json(&["queues", "celery"]);
        (queues["queues"][0]["parked"] == 20).then_some(())
    });
    success(&stage.call("odd.waits", "[1]"));
    assert!(ids.iter().all(|id| stage.stored(id)["state"] == "PENDING"));
}

#[test]
fn workers_on_one_redis_share_a_rate_if_told_so() {
    let redis = Redis::start();
    let stages = ["first", "second"].map(|_| {
        let stage = stage()
            .with("broker", &redis.url(0))
            .with("result_backend", &redis.url(1))
            .with("worker.rate_limit_scope", "cluster");
        limited(&stage, "4/s");
        stage.push("text");
        stage
    });
    let [first, second] = &stages;
    let _one = first.server(&["worker", "-n", "one@%h"]);
    let _other = second.server(&["worker", "-n", "other@%h"]);
    let took = took(first, "text.echo", 13);
    assert!(took >= SignedDuration::from_secs(3), "{took}");
}

#[test]
fn a_rate_holds_where_the_broker_delays_by_whole_seconds() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", &redis.url(1))
        .with("worker.consumer_timeout", "2h");
    limited(&stage, "2/s");
    stage.push("text");
    let _worker = stage.server(&["worker"]);
    let took = took(&stage, "text.echo", 7);
    assert!(took >= SignedDuration::from_secs(3), "{took}");
}

/// A worker with one place and a rate, and a client of Celery: what it saw. Then `check`
/// looks at what is left.
fn ask(broker: &str, results: &str, rate: &str, scene: &str, check: impl FnOnce(&Stage, &Value)) {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", results)
        .with("worker.consumer_timeout", "2h")
        .with("worker.concurrency", "1");
    limited(&stage, rate);
    for module in ["text", "odd"] {
        stage.push(module);
    }
    let _worker = stage.server(&["worker", "-n", NODE]);
    let seen = celery::python("5.7").run("client.py", &[scene, broker, results]);
    check(&stage, &seen);
}

fn assert_paced(_: &Stage, seen: &Value) {
    assert_eq!(seen["seen"], json!([0, 1, 2, 3, 4, 5, 6, 7, 8]), "{seen}");
    let took = seen["took"].as_f64();
    assert!(took.is_some_and(|took| took >= 2.0), "{seen}");
}

#[test]
fn calls_of_a_client_start_no_faster_than_their_rate_over_redis() {
    let redis = Redis::start();
    ask(&redis.url(0), &redis.url(1), "4/s", "paced", assert_paced);
}

#[test]
fn calls_of_a_client_start_no_faster_than_their_rate_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    ask(&rabbit.url(), &redis.url(1), "4/s", "paced", assert_paced);
}

/// What may not start yet neither runs nor hinders another task, and `celeriac why` says so.
fn assert_held(seen: &Value) -> Vec<String> {
    assert_eq!(seen["first"], 1, "{seen}");
    assert!(seen["other"].is_array(), "{seen}");
    let held = seen["held"].as_array().expect("a list").iter();
    let held = held.map(|one| {
        assert_eq!(one[1], "PENDING", "{seen}");
        one[0].as_str().expect("an id").to_owned()
    });
    held.collect()
}

#[test]
fn what_a_client_sends_too_fast_waits_in_redis_and_hinders_nobody() {
    let redis = Redis::start();
    let check = |stage: &Stage, seen: &Value| {
        let held = assert_held(seen);
        until("all are parked", || {
            let queues = stage.json(&["queues", "celery"]);
            (queues["queues"][0]["parked"] == held.len()).then_some(())
        });
        let told = stage.json(&["why", &held[0]]);
        assert_eq!(told["place"], "parked", "{told}");
        assert!(told.to_string().contains("its rate limit of 1/h"), "{told}");
    };
    ask(&redis.url(0), &redis.url(1), "1/h", "limited", check);
}

#[test]
fn what_a_client_sends_too_fast_waits_in_rabbitmq_and_hinders_nobody() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let check = |stage: &Stage, seen: &Value| {
        let held = assert_held(seen);
        until("none is with the worker", || {
            let has = |what: &str| {
                let seen = stage.json(&["inspect", what, "-d", NODE, "-t", "20"]);
                held.iter().any(|id| seen.to_string().contains(id))
            };
            let is_known = has("active") || has("reserved");
            let queue = rabbit.queue("celery");
            (queue["messages"] == 0 && !is_known).then_some(())
        });
    };
    ask(&rabbit.url(), &redis.url(1), "1/h", "limited", check);
}
