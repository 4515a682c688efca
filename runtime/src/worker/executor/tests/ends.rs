//! A task that is over: what follows is carried out, whoever stored its end and whoever
//! heard of it.

use super::stand::{Stand, Trouble, call, message, signature, with, write};
use crate::celery::Message;
use crate::events::tests::Sent;
use crate::results::chord::Ending;
use crate::task::State;
use serde_json::{Value, json};

/// What follows: a callback `c`, an errback `e`, and the chord `g`.
fn embed() -> Value {
    json!({"callbacks": [signature("c")], "errbacks": [signature("e")], "chain": null,
        "chord": signature("body")})
}

/// A part of the chord `g`, with a callback and an errback.
fn part(id: &str) -> Message {
    in_chord(message(id, &embed()))
}

fn in_chord(message: Message) -> Message {
    with(message, "group", json!("g"))
}

/// The results with which parts of `g` were counted.
fn returned(stand: &Stand) -> Vec<String> {
    let parts = stand.results.parts();
    let ends = parts.into_iter().map(|part| match part.end {
        Ending::Returned(result) => result.to_string(),
        Ending::Failed { exception, .. } => exception.class,
    });
    ends.collect()
}

/// Only the callback was sent, marked, and the part counted with what is stored.
fn assert_repeated(stand: &Stand, result: &str) {
    assert_eq!(stand.broker.sent(), [("c".to_owned(), true)]);
    assert_eq!(returned(stand), [result]);
}

/// Sends a message that a worker took before, and died with.
async fn redeliver(stand: &Stand, message: Message) {
    stand.send(message).await;
    stand.take().await.unwrap();
    stand.lapse();
    stand.attempt().await;
}

/// A stand where task `t` ended with 8, and nothing more was done.
async fn ended(stand: Stand) -> Stand {
    stand.store(write("t", (0, 1), State::Success)).await;
    stand
}

#[tokio::test]
async fn an_end_that_was_stored_unheard_is_followed_by_what_follows() {
    let stand = Stand::new().await;
    stand.results.fail("write t", Trouble::AnswerLost);
    stand.run(part("t")).await;
    assert_repeated(&stand, "7");
    stand.attempt_all().await;
    assert_eq!(stand.depth().await, (0, 0, 0));
    assert_eq!(stand.record("c").await.unwrap().state, State::Success);
    assert_eq!(stand.crew.floor.drained().finished, 1, "the callback alone");
}

#[tokio::test]
async fn a_message_that_is_sent_twice_keeps_its_result_and_what_follows_runs_once() {
    let stand = Stand::new().await;
    for _ in 0..2 {
        stand.send(part("t")).await;
    }
    stand.attempt_all().await;
    let sent = [("c".to_owned(), false), ("c".to_owned(), true)];
    assert_eq!(stand.broker.sent(), sent);
    assert_eq!(stand.depth().await, (0, 0, 0));
    assert_eq!(
        stand.crew.floor.drained().finished,
        2,
        "the task and its callback"
    );
}

#[tokio::test]
async fn a_second_message_of_an_id_does_not_replace_its_result() {
    let stand = ended(Stand::new().await).await;
    stand.run(part("t")).await;
    assert_repeated(&stand, "8");
    let kept = stand.record("t").await.unwrap();
    assert_eq!(kept.result.as_deref(), Some(b"8".as_slice()));
}

#[tokio::test]
async fn a_message_is_stale_once_a_retry_has_gone_further() {
    let stand = Stand::new().await;
    stand.store(write("t", (1, 1), State::Success)).await;
    stand.run(part("t")).await;
    assert_eq!(stand.broker.sent(), []);
    assert_eq!(returned(&stand), [""; 0]);
    assert_eq!(stand.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn a_start_that_cannot_be_told_of_does_not_run_what_is_over() {
    let stand = Stand::with(|settings| settings.track_started = true).await;
    let stand = ended(stand).await;
    stand.run(part("t")).await;
    assert_repeated(&stand, "8");
    assert_eq!(stand.crew.floor.drained().finished, 0);
}

#[tokio::test]
async fn a_task_that_succeeded_does_not_fail_because_its_message_expires() {
    let stand = ended(Stand::new().await).await;
    let expires = stand.now().to_string();
    redeliver(&stand, with(part("t"), "expires", json!(expires))).await;
    assert_repeated(&stand, "8");
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
    assert_eq!(stand.crew.floor.drained().refused, 0);
}

/// What followed the success is sent again, and nothing is a dead letter.
async fn assert_followed(stand: &Stand) {
    assert_repeated(stand, "8");
    let callback_and_none_dead = (1, 0, 0);
    assert_eq!(stand.depth().await, callback_and_none_dead);
}

#[tokio::test]
async fn a_task_that_succeeded_does_not_fail_because_it_was_delivered_too_often() {
    let stand = Stand::with(|settings| settings.max_deliveries = 1).await;
    let stand = ended(stand).await;
    redeliver(&stand, part("t")).await;
    assert_followed(&stand).await;
}

#[tokio::test]
async fn a_task_that_succeeded_does_not_fail_because_its_code_is_gone() {
    let stand = ended(Stand::new().await).await;
    let gone = in_chord(call("m.gone", "t", &json!([]), &embed()));
    redeliver(&stand, gone).await;
    assert_followed(&stand).await;
}

#[tokio::test]
async fn a_task_that_succeeded_is_not_handed_on_when_its_code_is_gone() {
    let forward = |settings: &mut crate::worker::Settings| {
        settings.forward = Some("python".to_owned());
    };
    let stand = ended(Stand::with(forward).await).await;
    let gone = in_chord(call("m.gone", "t", &json!([]), &embed()));
    redeliver(&stand, gone).await;
    assert_repeated(&stand, "8");
}

#[tokio::test]
async fn a_refusal_is_stale_once_a_retry_has_gone_further() {
    let stand = Stand::new().await;
    stand.store(write("t", (1, 1), State::Started)).await;
    let expires = stand.now().to_string();
    redeliver(&stand, with(part("t"), "expires", json!(expires))).await;
    assert_eq!(stand.broker.sent(), []);
    assert_eq!(returned(&stand), [""; 0]);
    assert_eq!(stand.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn a_refusal_that_was_stored_unheard_is_followed_by_what_follows() {
    let stand = Stand::new().await;
    stand.results.fail("write t", Trouble::AnswerLost);
    stand
        .run(in_chord(call("m.gone", "t", &json!([]), &embed())))
        .await;
    assert_eq!(stand.broker.sent(), [("e".to_owned(), true)]);
    assert_eq!(returned(&stand), ["NotRegistered"]);
    assert_eq!(
        stand.depth().await,
        (1, 0, 1),
        "the errback, and it is kept"
    );
}

fn accumulate(embed: &Value) -> Message {
    in_chord(call("celery.accumulate", "t", &json!([7]), embed))
}

#[tokio::test]
async fn the_end_of_a_builtin_that_was_stored_unheard_is_followed_by_what_follows() {
    let stand = Stand::new().await;
    stand.results.fail("write t", Trouble::AnswerLost);
    stand.run(accumulate(&embed())).await;
    assert_repeated(&stand, "[7]");
}

#[tokio::test]
async fn a_builtin_that_is_over_is_not_done_again() {
    let stand = ended(Stand::new().await).await;
    redeliver(&stand, accumulate(&embed())).await;
    assert_repeated(&stand, "8");
    assert_eq!(stand.crew.floor.drained().finished, 0);
}

#[tokio::test]
async fn monitors_hear_of_an_end_once_and_before_what_follows_begins() {
    let stand = Stand::new().await;
    stand.crew.events.enable(true);
    stand.broker.fail("publish", Trouble::Killed);
    stand.run(message("t", &embed())).await;
    stand.lapse();
    stand.attempt_all().await;
    let heard = Sent::default();
    stand.crew.events.say_all(&heard).await;
    let [received, started, succeeded] = ["received", "started", "succeeded"];
    let expected = [
        (received, "t"),
        (started, "t"),
        (succeeded, "t"),
        // By whoever does the rest.
        (received, "t"),
        (received, "c"),
        (started, "c"),
        (succeeded, "c"),
    ];
    let expected = expected.map(|(end, id)| (format!("task-{end}"), id.to_owned()));
    assert_eq!(heard.of_tasks(), expected);
}
