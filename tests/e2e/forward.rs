//! A team moves one task at a time: what is not here goes on to where it is.

use crate::{failure, message, stage, success};
use support::{Stage, until};

/// A worker without any module on the messages of another, which hands on what
/// it does not know.
fn newcomer(home: &Stage, unknown_task: &str) -> Stage {
    let home = format!("sqlite://{}", home.data().display());
    stage()
        .with("broker", &home)
        .with("result_backend", &home)
        .with("worker.unknown_task", unknown_task)
}

#[test]
fn a_task_that_is_not_here_is_handed_on_to_the_queue_of_those_who_know_it() {
    let home = stage();
    home.push("text");
    let _knows = home.server(&["dev", "-Q", "python"]);
    let newcomer = newcomer(&home, "forward:python");
    let worker = newcomer.server(&["worker", "-Q", "celery"]);
    let stored = home.call("text.word_count", r#"["to be or not to be"]"#);
    assert_eq!(*success(&stored), 6);
    let labels = [("state", "FORWARDED")];
    until("it is counted", || {
        (worker.metric("celeriac_tasks_settled_total", &labels) >= 1.0).then_some(())
    });
}

#[test]
fn a_task_that_nobody_knows_is_not_handed_round_for_ever() {
    let home = stage();
    let (one, other) = (
        newcomer(&home, "forward:celery"),
        newcomer(&home, "forward:python"),
    );
    let _one = one.server(&["worker", "-Q", "python"]);
    let _other = other.server(&["worker", "-Q", "celery"]);
    let stored = home.call("nobody.knows", "[]");
    failure(&stored, "celery.exceptions.NotRegistered");
    assert!(message(&stored).contains("nobody.knows"), "{stored}");
}

#[test]
fn a_worker_that_would_hand_messages_to_itself_does_not_start() {
    let stage = stage().with("worker.unknown_task", "forward:celery");
    stage
        .run(&["dev"])
        .refused(2, &["worker.unknown_task", "forward:celery", "itself"]);
    let stage = crate::stage().with("worker.unknown_task", "drop");
    stage
        .run(&["dev"])
        .refused(2, &["worker.unknown_task", "drop", "forward:QUEUE"]);
}
