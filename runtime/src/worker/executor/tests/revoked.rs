//! A task that is revoked while its worker has it in hand, and that does not end there: its
//! caller hears of it now, and not when the message is taken again.

use super::kills;
use super::stand::{Stand, message, task, with};
use crate::celery::Message;
use crate::celery::request::AGAIN;
use crate::registry::tests::component_that;
use crate::results::orders::Target;
use crate::task::State;
use crate::worker::Settings;
use serde_json::json;

/// What a task does that asks for another attempt in an hour: the error of the result, of
/// which the variant `retry` is the first, with a countdown in milliseconds.
const RETRIES: &str = "(i32.store8 (i32.const 32768) (i32.const 1))
    (i32.store8 (i32.const 32784) (i32.const 1))
    (i64.store (i32.const 32792) (i64.const 3600000))
    (return (i32.const 32768))";

/// Runs a message of the task `t`, which is revoked at its first question to the results:
/// whether the task is over, or, where it is to run, whether it may. Only of a message that
/// may have been taken before is either asked.
async fn revoked_on_the_way(stand: &Stand, message: Message) {
    let (asks, goes_on) = stand.results.pause();
    let revoke = async {
        asks.await.unwrap();
        let revocations = &stand.crew.steering.revocations;
        let target = Target::Task(task("t"));
        revocations.revoke(vec![target], false).await.unwrap();
        goes_on.send(()).unwrap();
    };
    let again = with(message, AGAIN, json!(true));
    tokio::join!(stand.run(again), revoke);
    assert_eq!(stand.record("t").await.unwrap().state, State::Revoked);
}

#[tokio::test]
async fn who_is_revoked_while_its_message_is_about_to_wait_is_told_at_once() {
    let stand = kills::stand("m.seven", true).await;
    revoked_on_the_way(&stand, message("t", &json!(null))).await;
    assert_eq!(stand.depth().await, (0, 0, 0), "nothing waits");
}

#[tokio::test]
async fn who_is_revoked_while_its_message_is_about_to_go_elsewhere_is_told_at_once() {
    let forward = |settings: &mut Settings| {
        settings.forward = Some("elsewhere".to_owned());
    };
    let stand = Stand::with(forward).await;
    let unknown = with(message("t", &json!(null)), "task", json!("m.unknown"));
    revoked_on_the_way(&stand, unknown).await;
    assert_eq!(stand.ready("elsewhere").await, 0, "nothing was sent");
}

#[tokio::test]
async fn who_is_revoked_while_it_runs_and_is_to_be_tried_again_is_told_at_once() {
    let stand = Stand::of(component_that(RETRIES, &["seven"], ""), |_| {}).await;
    stand.run(message("before", &json!(null))).await;
    let waits = stand.record("before").await.unwrap();
    assert_eq!(waits.state, State::Retry);
    revoked_on_the_way(&stand, message("t", &json!(null))).await;
    let other = stand.record("before").await.unwrap();
    assert_eq!(other.state, State::Retry);
}
