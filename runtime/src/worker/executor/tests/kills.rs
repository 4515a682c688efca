//! Killed tasks: refused with the reason, with all that follows a failure, or held.

use super::stand::{Stand, call, message, signature, with, write};
use crate::registry::Aim;
use crate::registry::tests::us;
use crate::results::chord::Ending;
use crate::task::State;
use serde_json::{Value, json};
use std::time::Duration;

/// A stand on which a task is killed.
pub(super) async fn stand(task: &str, hold: bool) -> Stand {
    killed(Stand::new().await, task, hold).await
}

async fn killed(stand: Stand, task: &str, hold: bool) -> Stand {
    let aim = Aim::Task(us(), task.parse().unwrap());
    let registry = &stand.house().registry;
    registry.kill(aim, "it costs too much", hold).await.unwrap();
    stand.crew.resolver.obey().await.unwrap();
    stand
}

/// Checks that a task was refused, and that nothing waits any more.
async fn assert_refused(stand: &Stand, id: &str) {
    let record = stand.record(id).await.unwrap();
    assert_eq!(record.state, State::Failure);
    let exception = record.exception.unwrap();
    assert_eq!(
        (&*exception.module, &*exception.class),
        ("celeriac", "Killed")
    );
    let said = "task m.seven is killed: it costs too much; \
        `celeriac kill --undo --task m.seven` allows it again";
    assert_eq!(exception.message, said);
    assert_eq!(
        stand.depth().await,
        (0, 0, 0),
        "nothing waits, and nothing is dead"
    );
}

#[tokio::test]
async fn a_killed_task_fails_with_the_reason_and_leaves_no_dead_letter() {
    let stand = stand("m.seven", false).await;
    stand.run(message("t", &json!(null))).await;
    assert_refused(&stand, "t").await;
    assert_eq!(stand.crew.floor.drained().refused, 1);
    // Its neighbour goes on.
    stand
        .run(call("m.once", "o", &json!([]), &json!(null)))
        .await;
    assert_eq!(stand.record("o").await.unwrap().state, State::Success);
}

#[tokio::test]
async fn what_follows_a_failure_follows_a_kill() {
    let stand = stand("m.seven", false).await;
    let mut errback = signature("e");
    errback["task"] = json!("m.once");
    let embed = json!({"callbacks": [signature("c")], "errbacks": [errback],
        "chain": [signature("next")], "chord": signature("body")});
    stand
        .run(with(message("t", &embed), "group", json!("g")))
        .await;
    assert_eq!(stand.broker.sent(), [("e".to_owned(), false)]);
    let parts = stand.results.parts();
    let failed = |end: &Ending| matches!(end, Ending::Failed { exception, .. } if exception.class == "Killed");
    assert!(parts.len() == 1 && failed(&parts[0].end), "{parts:?}");
    stand.attempt_all().await;
    assert_eq!(stand.record("e").await.unwrap().state, State::Success);
    // As Celery has it, what would have come next has failed, too.
    let next = stand.record("next").await.unwrap();
    assert_eq!(next.state, State::Failure);
}

#[tokio::test]
async fn every_name_of_a_killed_task_is_refused() {
    let renamed = Stand::with(|settings| {
        settings
            .aliases
            .insert("old".to_owned(), "m.seven".to_owned());
    });
    let stand = killed(renamed.await, "m.seven", false).await;
    stand
        .run(call("old", "alias", &json!([]), &json!(null)))
        .await;
    assert_refused(&stand, "alias").await;
    for (task, it) in [("celery.map", json!([1])), ("celery.starmap", json!([[]]))] {
        let mut map = call(task, task, &json!([]), &json!(null));
        let kwargs = json!({"task": signature("x"), "it": it});
        map.body = json!([[], kwargs, null]).to_string().into();
        stand.run(map).await;
        assert_refused(&stand, task).await;
    }
}

#[tokio::test]
async fn what_follows_from_a_run_that_is_over_is_not_held() {
    let stand = stand("m.seven", true).await;
    stand.store(write("t", (0, 1), State::Success)).await;
    let mut callback = signature("c");
    callback["task"] = json!("m.once");
    stand
        .send(message("t", &json!({"callbacks": [callback]})))
        .await;
    // Whoever had it first died before its callbacks were sent.
    stand.take().await.unwrap();
    stand.lapse();
    stand.attempt().await;
    assert_eq!(stand.broker.sent(), [("c".to_owned(), true)]);
    stand.attempt_all().await;
    assert_eq!(stand.record("c").await.unwrap().state, State::Success);
    assert_eq!(stand.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn a_held_task_waits_until_it_is_allowed_again() {
    let stand = stand("m.seven", true).await;
    stand.run(message("t", &json!(null))).await;
    assert!(stand.record("t").await.is_none());
    stand.pass(Duration::from_secs(6));
    stand.attempt().await;
    assert!(stand.record("t").await.is_none());
    let aim = Aim::Task(us(), "m.seven".parse().unwrap());
    stand.house().registry.unkill(aim).await.unwrap().unwrap();
    stand.crew.resolver.obey().await.unwrap();
    stand.pass(Duration::from_secs(6));
    stand.attempt().await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
}

#[tokio::test]
async fn a_held_backlog_is_taken_ever_less_often_and_is_ready_when_the_order_ends() {
    let stand = stand("m.seven", true).await;
    let ids = ["a", "b", "c"];
    for id in ids {
        stand.send(message(id, &json!(null))).await;
    }
    let mut takes = 0;
    for _second in 0..3_600 {
        while let Some(delivery) = stand.take().await {
            takes += 1;
            stand.attempt_of(delivery).await;
        }
        stand.pass(Duration::from_secs(1));
    }
    // Every five seconds it would be 720 for each.
    let each = takes / ids.len();
    assert!((60..=72).contains(&each), "{takes} takes");
    // What just became due waits once more.
    stand.attempt_all().await;
    let aim = Aim::Task(us(), "m.seven".parse().unwrap());
    let mut released = stand.crew.resolver.released();
    stand.house().registry.unkill(aim).await.unwrap().unwrap();
    stand.crew.resolver.obey().await.unwrap();
    assert!(released.has_changed().unwrap());
    released.mark_unchanged();
    assert_eq!(stand.depth().await.0, 0);
    crate::worker::holds::wake(&stand.crew).await.unwrap();
    // No time has passed.
    stand.attempt_all().await;
    for id in ids {
        let record = stand.record(id).await.unwrap();
        assert_eq!(record.state, State::Success);
        assert_eq!(record.fence.deliveries, 1);
    }
}

#[tokio::test]
async fn a_worker_that_waits_takes_what_was_held_when_it_hears_that_the_order_ended() {
    let stand = stand("m.seven", true).await;
    stand.run(message("t", &json!(null))).await;
    assert_eq!(stand.depth().await, (0, 0, 0));
    let freed = async {
        let aim = Aim::Task(us(), "m.seven".parse().unwrap());
        stand.house().registry.unkill(aim).await.unwrap().unwrap();
        stand.crew.resolver.obey().await.unwrap();
        // Time stands still: only being woken makes it ready.
        stand.next().await
    };
    let delivery = tokio::select! {
        biased;
        never = crate::worker::holds::heed(&stand.crew) => match never {},
        delivery = freed => delivery,
    };
    stand.attempt_of(delivery).await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
}

#[tokio::test]
async fn what_was_held_and_is_killed_for_good_is_refused_at_once() {
    let stand = stand("m.seven", true).await;
    stand.run(message("t", &json!(null))).await;
    let mut released = stand.crew.resolver.released();
    let stand = killed(stand, "m.seven", false).await;
    assert!(released.has_changed().unwrap());
    released.mark_unchanged();
    crate::worker::holds::wake(&stand.crew).await.unwrap();
    stand.attempt().await;
    assert_refused(&stand, "t").await;
}

#[tokio::test]
async fn what_is_not_due_and_is_woken_waits_again() {
    let stand = Stand::new().await;
    let due = crate::clock::after(stand.now(), Duration::from_secs(30));
    let eta = Value::String(due.to_string());
    stand
        .run(with(message("t", &json!(null)), "eta", eta))
        .await;
    crate::worker::holds::wake(&stand.crew).await.unwrap();
    stand.attempt().await;
    assert!(stand.record("t").await.is_none());
    assert_eq!(stand.depth().await, (0, 0, 0));
    stand.pass(Duration::from_secs(31));
    stand.attempt().await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
}

#[tokio::test]
async fn a_kill_does_not_undo_what_is_over() {
    let stand = Stand::new().await;
    let embed =
        json!({"callbacks": [signature("c")], "errbacks": [], "chain": null, "chord": null});
    stand.broker.fail("settle", super::stand::Trouble::Killed);
    stand.run(message("t", &embed)).await;
    let stand = killed(stand, "m.seven", false).await;
    stand.lapse();
    stand.attempt_all().await;
    let kept = stand.record("t").await.unwrap();
    assert_eq!(
        (kept.state, kept.result.as_deref()),
        (State::Success, Some(b"7".as_slice()))
    );
    // Its callback came after the kill.
    assert_refused(&stand, "c").await;
}

#[tokio::test]
async fn a_killed_task_tells_nobody_where_no_result_is_wanted() {
    let stand = stand("m.seven", false).await;
    let silent = with(
        message("t", &json!(null)),
        "ignore_result",
        Value::Bool(true),
    );
    stand.run(silent).await;
    assert!(stand.record("t").await.is_none());
    assert_eq!(stand.depth().await, (0, 0, 0));
}
