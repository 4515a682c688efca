//! One worker that serves several tenants.

mod apart;
mod crossing;
mod limited;
mod made;
mod together;

use crate::{stage, success};
use serde_json::Value;
use support::{Redis, Stage, free_port, until};

/// Runs a command for tenant `acme`.
fn acme(stage: &Stage, arguments: &[&str]) -> Value {
    stage.json(&[arguments, &["-T", "acme"]].concat())
}

/// Pushes a component of the tests for tenant `acme`.
fn push(stage: &Stage, name: &str) {
    stage.push_for("acme", name);
}

/// Sends a task for tenant `acme`.
fn send(stage: &Stage, task: &str, args: &str) -> String {
    let sent = acme(stage, &["call", task, "-a", args]);
    sent["id"].as_str().expect("an id").to_owned()
}

/// Waits for the end of a task of tenant `acme`, and returns what is stored.
fn ended(stage: &Stage, id: &str) -> Value {
    let asked = [
        "result",
        id,
        "--wait",
        "--timeout",
        "50s",
        "--json",
        "-T",
        "acme",
    ];
    let ran = stage.run(&asked);
    assert!(ran.code == 0 || ran.code == 1, "task {id}: {ran}");
    ran.json()
}

/// A stage with tenant `acme`, of whom this is written.
fn with_acme(stage: Stage, lines: &str) -> Stage {
    stage.write("celeriac.toml", format!("[tenants.acme]\n{lines}\n"));
    stage
}

#[test]
fn a_flood_of_one_tenant_leaves_the_place_of_the_other() {
    let stage = with_acme(stage().with("worker.concurrency", "2"), "");
    stage.push("odd");
    push(&stage, "odd");
    let _worker = stage.server(&["worker"]);
    let flood: Vec<String> = (0..20)
        .map(|_| stage.send("odd.waits", &["-a", "[600000]"]))
        .collect();
    until("the flood fills what there is", || {
        let running = flood
            .iter()
            .filter(|id| stage.stored(id)["state"] == "WAITING");
        (running.count() == 3).then_some(())
    });
    success(&ended(&stage, &send(&stage, "odd.waits", "[1]")));
    success(&ended(&stage, &send(&stage, "odd.waits", "[1]")));
    let over = flood
        .iter()
        .filter(|id| stage.stored(id)["state"] == "SUCCESS");
    assert_eq!(over.count(), 0);
}

#[test]
fn a_tenant_whose_broker_is_away_harms_no_other_and_comes_back() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}/0");
    let lines = format!("broker = \"{url}\"\nresult_backend = \"{url}\"");
    let stage = with_acme(stage(), &lines);
    stage.push("text");
    // The registry is the worker's own.
    push(&stage, "text");
    let _worker = stage.server(&["worker"]);
    success(&stage.call("text.echo", "[1]"));
    let _redis = Redis::start_on(port);
    let sent = send(&stage, "text.echo", "[2]");
    success(&ended(&stage, &sent));
    success(&stage.call("text.echo", "[3]"));
}

#[test]
fn a_suspended_tenants_tasks_wait_in_the_broker_and_why_says_so() {
    let stage = with_acme(stage(), "suspended = true");
    stage.push("text");
    push(&stage, "text");
    let worker = stage.server(&["worker"]);
    let id = send(&stage, "text.echo", "[1]");
    success(&stage.call("text.echo", "[2]"));
    let why = acme(&stage, &["why", &id]);
    assert_eq!(why["place"], "ready", "{why}");
    assert!(
        why["more"].to_string().contains("its tenant is suspended"),
        "{why}"
    );
    assert_eq!(worker.stop().code, Some(0));
    let stage = with_acme(stage, "suspended = false");
    let _worker = stage.server(&["worker"]);
    success(&ended(&stage, &id));
}

#[test]
fn cpu_over_the_quota_of_the_day_waits_even_after_a_restart() {
    let stage = with_acme(stage(), "cpu_per_day = \"1s\"\ncpu = \"2s\"");
    push(&stage, "hostile");
    push(&stage, "text");
    let worker = stage.server(&["worker"]);
    let spin = send(&stage, "hostile.spin", "[]");
    assert_eq!(ended(&stage, &spin)["state"], "FAILURE");
    let held = |stage: &Stage| {
        let id = send(stage, "text.echo", "[1]");
        until("the quota holds it", || {
            let why = acme(stage, &["why", &id]);
            why["more"]
                .to_string()
                .contains("quota cpu_per_day is full")
                .then_some(())
        });
    };
    held(&stage);
    until("it is counted together", || {
        let mut file = support::file::File::open(&stage.data());
        (file.number("SELECT coalesce(sum(micros), 0) FROM tenant_cpu") > 1_000_000).then_some(())
    });
    drop(worker);
    let _worker = stage.server(&["worker"]);
    held(&stage);
}

/// Waits until a task of `acme` is not started because of a quota, and returns its id.
fn held_by(stage: &Stage, quota: &str) -> String {
    let id = send(stage, "text.echo", "[1]");
    let words = format!("quota {quota} is full");
    until("the quota holds it", || {
        let why = acme(stage, &["why", &id]);
        why["more"].to_string().contains(&words).then_some(())
    });
    id
}

#[test]
fn results_over_the_quota_of_bytes_hold_what_comes_until_they_are_gone() {
    let redis = Redis::start();
    let stage = stage()
        .with("worker.result_keep", "40s")
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(0));
    let url = redis.url(0);
    let lines = format!("broker = \"{url}\"\nresult_backend = \"{url}\"\nresult_bytes = \"64KiB\"");
    let stage = with_acme(stage, &lines);
    stage.push("text");
    push(&stage, "text");
    let worker = stage.server(&["worker"]);
    let large = format!("[\"{}\"]", "x".repeat(40 << 10));
    for _ in 0..2 {
        success(&ended(&stage, &send(&stage, "text.echo", &large)));
    }
    let waits = held_by(&stage, "result_bytes");
    // Nobody else waits, and those who start later know of it.
    success(&stage.call("text.echo", "[2]"));
    let key = "celeriac-stored-acme";
    until("it is counted together", || {
        (redis.cli(0, &["EXISTS", key]) == "1").then_some(())
    });
    drop(worker);
    let _worker = stage.server(&["worker"]);
    held_by(&stage, "result_bytes");
    success(&ended(&stage, &waits));
}

#[test]
fn a_push_over_the_quota_of_bytes_is_refused_whoever_set_it() {
    let stage = stage();
    let size = |name: &str| {
        let file = std::fs::metadata(stage.component(name));
        file.expect("a component").len()
    };
    let file = stage.component("odd").display().to_string();
    let arguments = ["push", &file, "--name", "odd", "-T", "acme"];
    stage.write(
        "celeriac.toml",
        format!("[tenants.acme]\nmodule_bytes = \"{}B\"\n", size("odd")),
    );
    drop(stage.run(&arguments).good());
    let file = stage.component("text").display().to_string();
    let more = ["push", &file, "--name", "text", "-T", "acme"];
    let words = [
        "module_bytes",
        "acme",
        "celeriac remove",
        &size("text").to_string(),
    ];
    stage.run(&more).refused(3, &words);
    // Those of the operator are not bound by it.
    stage.push("text");
    stage.write("celeriac.toml", "");
    drop(stage.run(&more).good());
    let quota = format!("{}B", size("odd"));
    let create = ["tenant", "create", "zeta", "--module-bytes", &quota];
    drop(stage.run(&create).good());
    let zeta = |name: &str| {
        let file = stage.component(name).display().to_string();
        stage.run(&["push", &file, "--name", name, "-T", "zeta"])
    };
    drop(zeta("odd").good());
    zeta("text").refused(3, &words[..1]);
}
