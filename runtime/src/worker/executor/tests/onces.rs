//! Tasks that run at most once: whatever ends them, who waits for them hears of it.

use super::super::leave::{Left, leave};
use super::super::report::Story;
use super::super::{Attempt, follow, invoke, judge, once};
use super::stand::{Stand, Trouble, call, signature, with};
use crate::broker::Delivery;
use crate::celery::{Message, Request};
use crate::policy::verdict::Verdict;
use crate::registry::tests::us;
use crate::registry::{Loaded, Resolution};
use crate::results::chord::Ending;
use crate::task::State;
use celeriac_sandbox::{Interruption, Outcome, Rejection, SandboxError};
use serde_json::json;
use std::sync::Arc;

/// A part of the chord `g` that runs at most once, with a callback and an errback.
fn part() -> Message {
    let embed = json!({"callbacks": [signature("c")], "errbacks": [signature("e")],
        "chain": null, "chord": signature("body")});
    with(call("m.once", "t", &json!([]), &embed), "group", json!("g"))
}

/// An attempt of the part that is about to start.
async fn admitted(stand: &Stand) -> Attempt {
    stand.send(part()).await;
    let delivery: Delivery = stand.take().await.unwrap();
    let request = Request::decode(&delivery.message).unwrap();
    let code = code(stand, "m.once").await;
    Attempt::new(&stand.crew, delivery, request, code)
}

async fn code(stand: &Stand, task: &str) -> Arc<Loaded> {
    let found = stand
        .crew
        .resolver
        .resolve(&us(), &task.parse().unwrap())
        .await;
    let Resolution::Known(code) = found.unwrap() else {
        panic!("{task} is there");
    };
    code
}

/// The task failed, its errback was sent and its part counted, and no message is left of
/// it.
async fn assert_told(stand: &Stand) {
    let record = stand.record("t").await.unwrap();
    assert_eq!(record.state, State::Failure);
    assert_eq!(record.exception.unwrap().class, "WorkerLostError");
    assert_eq!(stand.broker.sent(), [("e".to_owned(), false)]);
    let ends = stand.results.parts().into_iter().map(|part| part.end);
    let failed = ends.filter(|end| matches!(end, Ending::Failed { .. }));
    assert_eq!(failed.count(), 1);
    assert_eq!(stand.depth().await, (1, 0, 0), "the errback alone");
    assert_eq!(stand.crew.floor.drained().finished, 0, "it did not run");
}

#[tokio::test]
async fn one_that_ends_well_is_followed_by_its_callbacks_and_counts() {
    let stand = Stand::new().await;
    stand.run(part()).await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
    assert_eq!(stand.broker.sent(), [("c".to_owned(), false)]);
    assert_eq!(stand.results.parts().len(), 1);
    assert_eq!(stand.depth().await, (1, 0, 0), "the callback alone");
}

#[tokio::test]
async fn what_cannot_be_given_back_fails_with_all_that_follows_a_failure() {
    let stand = Stand::new().await;
    let attempt = admitted(&stand).await;
    for outcome in [
        Outcome::Reject(Rejection {
            reason: "busy".to_owned(),
            requeue: true,
        }),
        Outcome::Interrupted {
            claimed: Interruption::Shutdown,
            raised: Some(Interruption::Shutdown),
        },
    ] {
        let verdict = judge::judge(&stand.crew, &attempt, outcome);
        let (verdict, rest) = follow::plan(&stand.crew, &attempt.request, None, verdict, false);
        assert!(matches!(&verdict, Verdict::Fail(error) if error.class == "WorkerLostError"));
        let sends = rest.sends().iter().map(|send| send.id.as_str());
        assert_eq!(sends.collect::<Vec<_>>(), ["e"]);
    }
}

#[tokio::test]
async fn one_whose_guest_is_cut_off_is_told_of() {
    let stand = Stand::new().await;
    let attempt = admitted(&stand).await;
    let alive = stand.crew.leases.keep(&attempt.delivery.receipt);
    once::acknowledge(&stand.crew, &attempt).await.unwrap();
    let mut story = Story::new(&stand.crew, &attempt.delivery);
    let left = Left::dropped(&attempt, once::STOPPED);
    leave(&stand.crew, left, &alive, &mut story).await;
    assert_told(&stand).await;
}

#[tokio::test]
async fn one_that_the_host_cannot_run_is_dropped_and_others_come_back() {
    let stand = Stand::new().await;
    let mut attempt = admitted(&stand).await;
    let busy = || Ok(Err(SandboxError::Busy { slots: 1 }));
    let panicked = async || {
        let mut bugs = tokio::task::JoinSet::new();
        bugs.spawn(async { panic!("a bug") });
        bugs.join_next().await.unwrap()
    };
    let left = invoke::ended(&stand.crew, &attempt, busy()).unwrap_err();
    assert!(matches!(left, Left::Dropped(_)), "{left:?}");
    let left = invoke::ended(&stand.crew, &attempt, panicked().await).unwrap_err();
    assert!(matches!(left, Left::Dropped(_)), "{left:?}");
    attempt.code = code(&stand, "m.seven").await;
    let left = invoke::ended(&stand.crew, &attempt, busy()).unwrap_err();
    assert!(left.goes_back(), "{left:?}");
    let left = invoke::ended(&stand.crew, &attempt, panicked().await).unwrap_err();
    assert!(matches!(left, Left::Lost), "{left:?}");
}

#[tokio::test]
async fn one_whose_acknowledgement_was_not_answered_never_runs_and_is_told_of() {
    let stand = Stand::new().await;
    stand.broker.fail("settle", Trouble::AnswerLost);
    stand.run(part()).await;
    assert_told(&stand).await;
}

#[tokio::test]
async fn one_that_could_not_be_acknowledged_comes_back() {
    let stand = Stand::new().await;
    stand.broker.fail("settle", Trouble::Killed);
    stand.run(part()).await;
    assert_eq!(stand.record("t").await, None);
    assert_eq!(stand.depth().await, (0, 1, 0));
    stand.lapse();
    stand.attempt().await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
}

#[tokio::test]
async fn one_whose_message_went_to_somebody_else_is_not_told_of() {
    let stand = Stand::new().await;
    stand.send(part()).await;
    let late = stand.take().await.unwrap();
    stand.lapse();
    let other = stand.take().await.unwrap();
    stand.attempt_of(late).await;
    assert_eq!(stand.record("t").await, None);
    stand.attempt_of(other).await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
}
