//! A result backend that is away, or holds something else: nothing is lost, and nothing
//! is acknowledged that is not stored.

use crate::apart::{Apart, DECODE, echo, envelope, with};
use crate::{failure, success};
use serde_json::json;
use support::until;

#[test]
fn a_message_is_not_acknowledged_while_its_result_cannot_be_stored() {
    let mut apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    apart.lives(&worker);
    apart.lose_results();
    apart.post(&echo("waits"));
    apart.is_held();
    // It can take work, and holds it until it can say what became of it.
    assert_eq!(
        worker.get("/health/ready").map(|(status, _)| status),
        Some(200)
    );
    apart.restart_results();
    let ended = apart.stage.ended("waits");
    assert_eq!(*success(&ended), 1);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn a_result_backend_that_goes_away_while_a_task_runs_gets_its_result_when_it_is_back() {
    let mut apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let id = apart
        .stage
        .send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    until("it runs", || {
        (apart.stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    apart.lose_results();
    apart.is_held();
    apart.restart_results();
    let ended = apart.stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn a_failure_and_a_retry_wait_for_the_result_backend_as_well() {
    let mut apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    apart.lives(&worker);
    apart.lose_results();
    apart.post(&with("refused", "/headers/retries", json!("x")));
    apart.is_held();
    apart.restart_results();
    failure(&apart.stage.ended("refused"), DECODE);
    apart.settled(1);
    apart.lose_results();
    let mut again = envelope("again", "[[1], {}, {}]");
    again["headers"]["task"] = json!("flaky.fails_until");
    apart.post(&again);
    apart.is_held();
    apart.restart_results();
    let ended = apart.stage.ended("again");
    assert_eq!(*success(&ended), "succeeded after 1 retries", "{ended}");
    apart.settled(1);
    apart.lives(&worker);
}

#[test]
fn a_result_backend_that_answers_nobody_costs_no_lease() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    // A retry has a record there, whose lease is kept as well.
    let mut retry = envelope("retry", r#"[["Sales", 20, 300], {}, {}]"#);
    retry["headers"]["task"] = json!("report.build");
    retry["headers"]["retries"] = json!(1);
    apart.post(&retry);
    until("it runs", || {
        (apart.stage.stored("retry")["state"] == "PROGRESS").then_some(())
    });
    let results = apart.results.as_ref().expect("it is there");
    results.freeze();
    apart.is_held();
    results.thaw();
    let ended = apart.stage.ended("retry");
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn a_worker_that_is_killed_while_the_result_backend_is_away_loses_nothing() {
    let mut apart = Apart::new();
    let first = apart.stage.server(&["worker", "-n", "first@%h"]);
    apart.lives(&first);
    apart.lose_results();
    apart.post(&echo("orphan"));
    apart.is_held();
    first.kill();
    assert_eq!(apart.count("HLEN", "unacked"), 1);
    // Nothing may have heard of its first run. The next worker takes nothing before it
    // knows what was revoked.
    let second = apart.stage.server(&["worker", "-n", "second@%h"]);
    assert_eq!(apart.count("HLEN", "unacked"), 1);
    apart.restart_results();
    let ended = apart.stage.ended("orphan");
    assert_eq!(*success(&ended), 1);
    assert_eq!(ended["deliveries"], 2, "{ended}");
    apart.settled(0);
    apart.lives(&second);
}

#[test]
fn a_result_key_that_holds_something_else_makes_a_dead_letter_that_names_it() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let results = apart.results.as_ref().expect("it is there");
    for key in ["celery-task-meta-first", "celery-task-meta-again"] {
        assert_eq!(results.cli(0, &["LPUSH", key, "x"]), "1");
    }
    apart.post(&echo("first"));
    let celeriac = json!({"deliveries": 1});
    apart.post(&with("again", "/properties/celeriac", celeriac));
    // A refused message can tell its caller nothing either.
    assert_eq!(results.cli(0, &["LPUSH", "celery-task-meta-bad", "x"]), "1");
    apart.post(&with("bad", "/headers/retries", json!("x")));
    until("all are dead", || {
        (apart.count("LLEN", "celery.dead") == 3).then_some(())
    });
    apart.settled(3);
    let reasons = apart.reasons();
    for name in ["first", "again"] {
        let words = format!("key \"celery-task-meta-{name}\" holds a list");
        assert!(
            reasons.iter().any(|reason| reason.contains(&words)),
            "{reasons:?}"
        );
    }
    assert!(!worker.log().contains("password"), "{}", worker.log());
    apart.stage.run(&["result", "first"]).refused(
        3,
        &["cannot keep", "key \"celery-task-meta-first\" holds a list"],
    );
    apart.lives(&worker);
}
