//! Tasks that are tried again, and those that are given up.

use crate::{failure, stage, success};
use jiff::Timestamp;
use support::until;

#[test]
fn a_task_recovers_after_as_many_retries_as_it_needs() {
    let stage = stage();
    stage.push("flaky");
    let _dev = stage.dev();
    let ended = stage.call("flaky.fails_until", "[3, 10]");
    assert_eq!(*success(&ended), "succeeded after 3 retries");
    assert_eq!(ended["retries"], 3);
    // A plain error whose kind the policy names, with the policy's backoff.
    assert_eq!(*success(&stage.call("flaky.connects", "[2]")), 2);
    stage.settled();
}

#[test]
fn a_task_that_does_not_recover_fails_with_its_own_error() {
    let stage = stage();
    stage.push("flaky");
    let _dev = stage.dev();
    let ended = stage.call("flaky.fails_until", "[99, 10]");
    assert!(
        failure(&ended, "builtins.ConnectionError").contains("upstream down, attempt 6"),
        "{ended}"
    );
    assert_eq!(ended["retries"], 5);
    let ended = stage.call("flaky.connects", "[99]");
    failure(&ended, "builtins.ConnectionError");
    assert_eq!(ended["retries"], 2);
}

#[test]
fn the_operators_cap_on_retries_wins_over_the_task() {
    let stage = stage()
        .with("worker.max_retries", "1")
        .with("tenants.default.max_retries", "1");
    stage.push("flaky");
    let _dev = stage.dev();
    let ended = stage.call("flaky.fails_until", "[99, 10]");
    failure(&ended, "builtins.ConnectionError");
    assert_eq!(ended["retries"], 1);
}

#[test]
fn the_delay_before_a_retry_is_waited_out_in_the_broker() {
    let stage = stage();
    stage.push("flaky");
    let _dev = stage.dev();
    let id = stage.send("flaky.fails_until", &["-a", "[1, 1500]"]);
    let waiting = until("the retry", || {
        Some(stage.stored(&id)).filter(|stored| stored["state"] == "RETRY")
    });
    assert_eq!(
        waiting["exception"]["class"], "ConnectionError",
        "{waiting}"
    );
    let due: Timestamp = waiting["due"]
        .as_str()
        .and_then(|due| due.parse().ok())
        .expect("a moment");
    // The message of the retry waits; that of the first attempt is gone.
    until("parked", || {
        let queues = stage.json(&["queues", "celery"]);
        let [parked, leased] =
            ["parked", "leased"].map(|state| queues["queues"][0][state].as_u64());
        (parked == Some(1) && leased == Some(0)).then_some(())
    });
    let ended = stage.ended(&id);
    success(&ended);
    let written: Timestamp = ended["written_at"]
        .as_str()
        .and_then(|at| at.parse().ok())
        .expect("a moment");
    assert!(written >= due, "{ended} before {due}");
}

#[test]
fn a_rejected_message_is_kept_with_the_reason() {
    let stage = stage();
    stage.push("flaky");
    let _dev = stage.dev();
    let id = stage.send("flaky.rejects", &["-a", r#"["the customer is gone"]"#]);
    let ended = stage.ended(&id);
    assert_eq!(
        failure(&ended, "celery.exceptions.Reject"),
        "the customer is gone"
    );
    stage.settled();
    let dead = stage.json(&["queues", "celery", "--dead"]);
    let letter = &dead["dead"][0];
    assert_eq!(
        (&letter["id"], &letter["task"]),
        (&id.into(), &"flaky.rejects".into()),
        "{dead}"
    );
    assert!(
        letter["reason"]
            .as_str()
            .unwrap_or_default()
            .contains("the customer is gone"),
        "{dead}"
    );
}

#[test]
fn a_message_given_back_by_its_task_is_bounded_by_its_deliveries() {
    let stage = stage().with("worker.max_deliveries", "3");
    stage.push("flaky");
    let dev = stage.dev();
    let ended = stage.call("flaky.rejects", r#"["not here", true]"#);
    assert_eq!(failure(&ended, "celery.exceptions.Reject"), "not here");
    assert_eq!(ended["deliveries"], 3);
    until("two returns", || {
        let returned = dev.metric("celeriac_tasks_settled_total", &[("state", "RETURNED")]);
        (returned > 1.5).then_some(())
    });
    assert_eq!(stage.settled().dead, 1);
}
