//! When tasks run: not before, not after, and as many at once as there is room.

use crate::{class, stage, success};
use jiff::Timestamp;
use support::{Letter, until};

#[test]
fn a_countdown_is_waited_out_in_the_broker() {
    let stage = stage();
    stage.push("report");
    let _dev = stage.dev();
    let sent = stage.json(&[
        "call",
        "report.build",
        "-a",
        "[\"Later\", 0]",
        "--countdown",
        "1500ms",
    ]);
    let due: Timestamp = sent["due"]
        .as_str()
        .and_then(|due| due.parse().ok())
        .expect("a moment");
    let id = sent["id"].as_str().expect("an id");
    let queues = stage.json(&["queues", "celery"]);
    assert_eq!(queues["queues"][0]["parked"], 1, "{queues}");
    let ended = stage.ended(id);
    let finished = success(&ended)["finished_at_ms"]
        .as_i64()
        .expect("a moment");
    assert!(finished >= due.as_millisecond(), "{ended} before {due}");
    // The wait for its time is not the wait for a worker.
    assert!(
        ended["usage"]["queue_wait_ms"]
            .as_u64()
            .is_some_and(|wait| wait < 1_400),
        "{ended}"
    );
}

#[test]
fn a_moment_in_the_past_is_now() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let id = stage.send("text.echo", &["-a", "[1]", "--eta", "2020-01-01T00:00:00Z"]);
    assert_eq!(*success(&stage.ended(&id)), 1);
}

#[test]
fn what_expired_is_revoked_and_not_run() {
    let stage = stage();
    let id = stage.send(
        "text.echo",
        &["-a", "[1]", "--expires", "2020-01-01T00:00:00Z"],
    );
    let _dev = stage.dev();
    let ended = stage.ended(&id);
    assert_eq!(ended["state"], "REVOKED", "{ended}");
    assert_eq!(class(&ended), "celery.exceptions.TaskRevokedError");
    assert_eq!(stage.settled().dead, 0);
}

#[test]
fn a_task_that_would_start_after_its_expiry_is_revoked_when_its_time_comes() {
    let stage = stage();
    let _dev = stage.dev();
    let id = stage.send(
        "text.echo",
        &["-a", "[1]", "--countdown", "1200ms", "--expires", "600ms"],
    );
    assert_eq!(stage.ended(&id)["state"], "REVOKED");
}

#[test]
fn a_thousand_waiting_tasks_run_at_once_on_two_threads() {
    const MANY: u32 = 1_000;
    let stage = stage()
        .with("worker.concurrency", "1000")
        .with("worker.guest_threads", "2");
    stage.push("report");
    let dev = stage.dev();
    let letters: Vec<_> = (0..MANY)
        .map(|n| Letter::new("report.nap", &format!("nap-{n}"), "[8000]"))
        .collect();
    stage.post(&letters);
    until("all in flight", || {
        (dev.metric("celeriac_tasks_in_flight", &[]) >= f64::from(MANY)).then_some(())
    });
    let threads = std::fs::read_dir(format!("/proc/{}/task", dev.pid()))
        .expect("it runs")
        .count();
    assert!(threads < 40, "{threads} threads");
    until("all done", || {
        let tally = stage.tally();
        (tally.state("SUCCESS") == u64::from(MANY) && tally.messages == 0).then_some(())
    });
}
