//! What follows a task is carried out again after a death, under the same ids, and says so.

use super::super::end::End;
use super::super::{Attempt, submitted};
use super::stand::{Stand, Trouble, call, message, signature, with, write};
use crate::broker::{Delivery, Settlement};
use crate::celery::Request;
use crate::policy::verdict::Verdict;
use crate::registry::Resolution;
use crate::registry::tests::us;
use crate::results::Results as _;
use crate::results::chord::{Ending, Expect, JoinPart, Joined};
use crate::task::{Json, State};
use bytes::Bytes;
use celeriac_sandbox::{Job, Submission, Submitted, Wish};
use serde_json::{Value, json};

fn linked(id: &str) -> crate::celery::Message {
    message(
        id,
        &json!({"callbacks": [signature("c")], "errbacks": null, "chain": null, "chord": null}),
    )
}

fn ids(sent: &[(&str, bool)]) -> Vec<(String, bool)> {
    let owned = sent.iter().map(|(id, again)| ((*id).to_owned(), *again));
    owned.collect()
}

async fn announce(stand: &Stand, group: &str) {
    let chord = Expect {
        group: group.to_owned(),
        size: 1,
        structure: None,
        again: false,
        keep: None,
    };
    stand.results.expect(chord).await.unwrap();
}

/// Whether parts of a chord are still counted.
async fn is_open(stand: &Stand, group: &str) -> bool {
    let part = JoinPart {
        group: group.to_owned(),
        index: None,
        id: "late".to_owned(),
        end: Ending::Returned(Json::null()),
        keep: None,
    };
    stand.results.join(part).await.unwrap() != Joined::Waiting
}

/// A message that fails, the only part of chord `i`. The body of that is the only part of
/// another chord.
fn inner(outer: &str) -> crate::celery::Message {
    let mut body = signature("ib");
    body["options"] = json!({"task_id": "ib", "group_id": outer, "chord": signature("ob")});
    let embed = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": body});
    with(call("m.gone", "t", &json!([]), &embed), "group", json!("i"))
}

#[tokio::test]
async fn a_chord_within_a_chord_is_closed_after_it_was_counted() {
    let stand = Stand::new().await;
    announce(&stand, "i").await;
    announce(&stand, "o").await;
    stand.results.fail("join o", Trouble::Killed);
    stand.run(inner("o")).await;
    assert_eq!(stand.depth().await.1, 1, "as if the worker had died");
    assert_eq!(stand.record("ob").await, None);
    stand.lapse();
    stand.attempt().await;
    assert_eq!(stand.record("ob").await.unwrap().state, State::Failure);
    assert_eq!(stand.depth().await, (0, 0, 1));
    let counted = stand.results.parts();
    assert_eq!(counted.iter().filter(|part| part.group == "o").count(), 1);
    for group in ["i", "o"] {
        assert!(!is_open(&stand, group).await, "{group}");
    }
}

#[tokio::test]
async fn a_chord_whose_body_is_its_own_part_ends() {
    let stand = Stand::new().await;
    announce(&stand, "i").await;
    stand.run(inner("i")).await;
    assert_eq!(stand.depth().await, (0, 0, 1));
    assert_eq!(stand.record("ib").await.unwrap().state, State::Failure);
}

#[tokio::test]
async fn what_follows_a_task_without_a_result_is_marked_when_it_is_sent_again() {
    let stand = Stand::new().await;
    stand.broker.fail("settle", Trouble::Killed);
    stand
        .run(with(linked("t"), "ignore_result", json!(true)))
        .await;
    assert_eq!(stand.broker.sent(), ids(&[("c", false)]));
    stand.attempt().await;
    stand.lapse();
    stand.attempt_all().await;
    assert_eq!(stand.broker.sent(), ids(&[("c", false), ("c", true)]));
    assert_eq!(
        stand.crew.floor.drained().finished,
        3,
        "the task is counted before it is settled"
    );
}

#[tokio::test]
async fn what_follows_a_refusal_without_a_result_is_marked_when_it_is_sent_again() {
    let stand = Stand::new().await;
    let embed =
        json!({"callbacks": null, "errbacks": [signature("e")], "chain": null, "chord": null});
    let gone = call("m.gone", "t", &json!([]), &embed);
    stand.broker.fail("settle", Trouble::Killed);
    stand.run(with(gone, "ignore_result", json!(true))).await;
    stand.lapse();
    stand.attempt_all().await;
    assert_eq!(stand.broker.sent(), ids(&[("e", false), ("e", true)]));
}

#[tokio::test]
async fn what_was_sent_unheard_is_sent_again_marked() {
    let stand = Stand::new().await;
    stand.broker.fail("publish", Trouble::AnswerLost);
    stand.run(linked("t")).await;
    assert_eq!(stand.broker.sent(), ids(&[("c", false), ("c", true)]));
    stand.attempt_all().await;
    assert_eq!(
        stand.crew.floor.drained().finished,
        2,
        "the task and its callback"
    );
}

/// An attempt of `t` that is about to end well, having sent a job on success.
async fn sender(stand: &Stand, delivery: Delivery) {
    let request = Request::decode(&delivery.message).unwrap();
    let name = "m.seven".parse().unwrap();
    let Resolution::Known(code) = stand.crew.resolver.resolve(&us(), &name).await.unwrap() else {
        panic!("m.seven is there");
    };
    let attempt = Attempt::new(&stand.crew, delivery, request, code);
    let job = Job {
        task: "m.seven".to_owned(),
        args: b"[]".as_slice().into(),
        kwargs: b"{}".as_slice().into(),
        key: Some("k".to_owned()),
        ..Job::default()
    };
    let submitted = Submitted {
        on_success: vec![Submission {
            id: String::new(),
            index: 0,
            wish: Wish::Job(job),
        }],
        ..Submitted::default()
    };
    let verdict = Verdict::Succeed(Bytes::from_static(b"7"));
    let (_post, desk) = submitted::open(attempt.budget());
    let handed = desk.close();
    let sending = submitted::sending(&stand.crew, &attempt, &verdict, submitted, handed);
    let mut end = End {
        write: None,
        follow_up: Vec::new(),
        settlement: Settlement::Ack,
    };
    let sent = submitted::send(&stand.crew, &attempt, &mut end, sending).await;
    sent.unwrap();
}

fn marks(stand: &Stand) -> Vec<bool> {
    stand
        .broker
        .sent()
        .into_iter()
        .map(|(_, again)| again)
        .collect()
}

#[tokio::test]
async fn jobs_are_marked_when_an_attempt_before_may_have_sent_them() {
    let stand = Stand::new().await;
    stand.send(linked("t")).await;
    sender(&stand, stand.take().await.unwrap()).await;
    assert_eq!(marks(&stand), [false]);
    stand.attempt().await;
    stand.lapse();
    sender(&stand, stand.take().await.unwrap()).await;
    assert_eq!(marks(&stand), [false, true]);
}

#[tokio::test]
async fn a_job_with_a_key_is_marked_when_a_retry_sends_it() {
    let stand = Stand::new().await;
    stand.send(with(linked("t"), "retries", json!(1))).await;
    sender(&stand, stand.take().await.unwrap()).await;
    assert_eq!(marks(&stand), [true]);
}

#[tokio::test]
async fn jobs_that_were_sent_unheard_are_sent_again_marked() {
    let stand = Stand::new().await;
    stand.broker.fail("publish", Trouble::AnswerLost);
    stand.send(linked("t")).await;
    sender(&stand, stand.take().await.unwrap()).await;
    assert_eq!(marks(&stand), [false, true]);
}

/// Ends with a record of which nothing but the state can be read, and checks which part of
/// a chord is counted; returns who else hears of it.
async fn unreadable(state: State) -> (String, Vec<(String, bool)>, bool) {
    let stand = Stand::new().await;
    // Of a foreign record, the exception may be anything.
    stand.store(write("t", (0, 1), state)).await;
    let embed = json!({"callbacks": null, "errbacks": [signature("e")], "chain": [signature("n")],
        "chord": signature("body")});
    let message = with(message("t", &embed), "group", json!("g"));
    stand.run(message).await;
    let Some(JoinPart {
        end: Ending::Failed { state, .. },
        ..
    }) = stand.results.parts().pop()
    else {
        panic!("{:?}", stand.results.parts());
    };
    let is_told = stand.record("n").await.is_some();
    (state, stand.broker.sent(), is_told)
}

#[tokio::test]
async fn an_end_whose_exception_cannot_be_read_is_followed_by_what_follows() {
    let failed = unreadable(State::Failure).await;
    assert_eq!(failed, ("FAILURE".to_owned(), ids(&[("e", true)]), true));
    let revoked = unreadable(State::Revoked).await;
    assert_eq!(revoked, ("REVOKED".to_owned(), Vec::new(), false));
}

/// Not only what is short enough for one page.
fn many(count: usize) -> Value {
    let all = (0..count).map(|n| signature(&format!("c-{n:03}")));
    all.collect()
}

#[tokio::test]
async fn only_the_page_that_was_sent_unheard_is_sent_again() {
    let stand = Stand::new().await;
    let embed = json!({"callbacks": many(150), "errbacks": null, "chain": null, "chord": null});
    stand.broker.fail("publish", Trouble::AnswerLost);
    stand.run(message("t", &embed)).await;
    let sent = stand.broker.sent();
    assert_eq!(sent.len(), 250);
    assert_eq!(sent.iter().filter(|(_, again)| *again).count(), 100);
}
