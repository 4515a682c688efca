//! Stopping a worker by signals.

use crate::{stage, success};
use serde_json::json;
use support::{Letter, Stage, until};

fn running(stage: &Stage, id: &str, state: &str) {
    until(state, || (stage.stored(id)["state"] == state).then_some(()));
}

#[test]
fn what_runs_is_finished_and_what_waits_stays() {
    let stage = stage();
    stage.push("odd");
    let worker = stage.server(&["worker", "-c", "1"]);
    let running_one = stage.send("odd.stays", &["-a", "[2000]"]);
    running(&stage, &running_one, "STAYING");
    let waiting = stage.send("odd.stays", &["-a", "[1]"]);
    worker.terminate();
    until("draining", || {
        worker
            .get("/health/ready")
            .filter(|(status, _)| *status == 503)
    });
    let late = stage.send("odd.stays", &["-a", "[1]"]);
    let ended = worker.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(
        ended.log.contains("draining for at most 30 s"),
        "{}",
        ended.log
    );
    assert_eq!(*success(&stage.stored(&running_one)), json!([1, 0]));
    let tally = stage.tally();
    assert_eq!(
        (tally.messages, tally.leased, tally.most_deliveries),
        (2, 0, 0),
        "{tally:?}"
    );
    let _next = stage.dev();
    for id in [waiting, late] {
        assert_eq!(*success(&stage.ended(&id)), json!([1, 0]));
    }
}

#[test]
fn what_runs_longer_than_the_drain_is_given_back_uncounted() {
    let stage = stage().with("worker.drain", "200ms");
    stage.push("report");
    stage.push("hostile");
    let worker = stage.server(&["worker"]);
    // One heeds the interruption, the other does not.
    let polite = stage.send("report.build", &["-a", r#"["Sales", 12, 200]"#]);
    let rude = stage.send("hostile.ignore_interruptions", &[]);
    running(&stage, &polite, "PROGRESS");
    until("both", || {
        (worker.metric("celeriac_tasks_in_flight", &[]) > 1.5).then_some(())
    });
    let ended = worker.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(
        ended.log.contains("draining for at most 200 ms"),
        "{}",
        ended.log
    );
    let tally = stage.tally();
    assert_eq!(
        (tally.messages, tally.leased, tally.most_deliveries),
        (2, 0, 0),
        "{tally:?}"
    );
    let _next = stage.server(&["worker", "-n", "next@%h"]);
    let ended = stage.ended(&polite);
    assert_eq!(
        (&ended["state"], &ended["deliveries"]),
        (&json!("SUCCESS"), &json!(1)),
        "{ended}"
    );
    assert_eq!(stage.stored(&rude)["state"], "PENDING");
}

#[test]
fn a_task_that_hands_its_rest_to_a_retry_may_do_so_when_the_drain_is_over() {
    let stage = stage().with("worker.drain", "200ms");
    stage.push("report");
    let worker = stage.dev();
    let id = stage.send(
        "report.pack",
        &["-a", r#"[["a", "b", "c"]]"#, "-k", r#"{"wait_ms": 900}"#],
    );
    running(&stage, &id, "PACKING");
    assert_eq!(worker.stop().code, Some(0));
    let stored = stage.stored(&id);
    assert_eq!(stored["state"], "RETRY", "{stored}");
    let _next = stage.dev();
    assert_eq!(*success(&stage.ended(&id)), 3);
}

#[test]
fn what_is_given_back_waits_for_nobodys_lease() {
    let stage = stage()
        .with("worker.lease", "1h")
        .with("worker.drain", "200ms");
    stage.push("odd");
    let first = stage.server(&["worker", "-n", "first@%h"]);
    // A later attempt has a run record, and that has a lease too.
    let letter = Letter::new("odd.waits", "w", "[2000]").header("retries", json!(1));
    stage.post(&[letter]);
    running(&stage, "w", "WAITING");
    assert_eq!(first.stop().code, Some(0));
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    assert_eq!(*success(&stage.ended("w")), json!([1, 1]));
}

#[test]
fn a_second_signal_gives_everything_back_at_once() {
    let stage = stage().with("worker.drain", "1h");
    stage.push("report");
    let worker = stage.dev();
    let id = stage.send("report.build", &["-a", r#"["Sales", 600, 100]"#]);
    running(&stage, &id, "PROGRESS");
    worker.terminate();
    until("draining", || {
        worker
            .get("/health/ready")
            .filter(|(status, _)| *status == 503)
    });
    let ended = worker.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let tally = stage.tally();
    assert_eq!((tally.messages, tally.leased), (1, 0), "{tally:?}");
}

#[test]
fn a_stop_under_load_leaves_nothing_leased() {
    const TASKS: u64 = 3_000;
    let stage = stage();
    stage.push("hostile");
    let letters: Vec<_> = (0..TASKS)
        .map(|n| Letter::new("hostile.use_nothing", &format!("t-{n}"), "[]"))
        .collect();
    let worker = stage.dev();
    stage.post(&letters);
    until("some done", || {
        (stage.tally().state("SUCCESS") > 100).then_some(())
    });
    let ended = worker.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let tally = stage.tally();
    assert_eq!((tally.leased, tally.most_deliveries), (0, 0), "{tally:?}");
    assert_eq!(tally.state("SUCCESS") + tally.messages, TASKS, "{tally:?}");
}

#[test]
fn an_idle_worker_stops_at_once_and_says_what_it_did() {
    let stage = stage();
    let ended = stage.dev().stop();
    assert_eq!((ended.code, ended.signal), (Some(0), None), "{}", ended.log);
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
}
