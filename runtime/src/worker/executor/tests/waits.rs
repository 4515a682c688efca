//! What waits, and for how long: for the claim of another, for code, for a lease. What
//! cannot come to an end by waiting fails.

use super::stand::{Stand, call, message, signature, task, with};
use crate::celery::Message;
use crate::celery::request::AGAIN;
use crate::clock::after;
use crate::registry::tests::component;
use crate::results::chord::{Ending, Expect, JoinPart, Joined};
use crate::results::{Begun, Results as _, Start};
use crate::task::{Fence, Json, State};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// A part of the chord `g`.
fn part(task: &str, body: &Value) -> Message {
    let embed = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": body});
    with(call(task, "t", &json!([]), &embed), "group", json!("g"))
}

/// Announces `g`, which has two parts.
async fn announce(stand: &Stand) {
    let chord = Expect {
        group: "g".to_owned(),
        size: 2,
        structure: None,
        again: false,
        keep: None,
    };
    stand.results.expect(chord).await.unwrap();
}

async fn join(stand: &Stand, id: &str, result: Json) -> Joined {
    let part = JoinPart {
        group: "g".to_owned(),
        index: None,
        id: id.to_owned(),
        end: Ending::Returned(result),
        keep: None,
    };
    stand.results.join(part).await.unwrap()
}

/// All parts of `g` are counted, and another than `t` is to send the body.
async fn claimed(stand: &Stand) {
    announce(stand).await;
    let counted = join(stand, "t", Json::null()).await;
    assert_eq!(counted, Joined::Waiting);
    let last = join(stand, "u", Json::null()).await;
    assert!(matches!(last, Joined::Complete { .. }), "{last:?}");
}

/// The next attempt, and time passes once it has looked at the chord.
async fn attempt_in_time(stand: &Stand) {
    let looked = stand.results.parts().len();
    let time = async {
        loop {
            if stand.results.parts().len() > looked {
                stand.lapse();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = stand.attempt() => {}
        () = time => {}
    }
}

#[tokio::test]
async fn the_body_of_a_chord_that_another_part_claimed_is_sent_when_the_claim_lapses() {
    for name in ["m.seven", "m.once"] {
        let stand = Stand::new().await;
        claimed(&stand).await;
        stand.send(part(name, &signature("body"))).await;
        attempt_in_time(&stand).await;
        assert_eq!(stand.broker.sent(), [("body".to_owned(), true)], "{name}");
        assert_eq!(stand.record("t").await.unwrap().state, State::Success);
        assert_eq!(stand.crew.floor.drained().finished, 1, "{name}");
        assert_eq!(stand.depth().await, (1, 0, 0), "{name}: the body alone");
        let late = join(&stand, "late", Json::null()).await;
        assert_eq!(late, Joined::Waiting, "{name}: it is closed");
    }
}

#[tokio::test]
async fn a_worker_that_ends_does_not_wait_for_a_claim() {
    let stand = Stand::new().await;
    claimed(&stand).await;
    let refused = part("m.gone", &signature("body"));
    stand.crew.shutdown.cancel();
    stand.run(refused).await;
    assert_eq!(stand.broker.sent(), []);
    assert_eq!(stand.depth().await, (0, 1, 0), "it comes back");
}

/// Removes the code of `m`.
fn damage(stand: &Stand) {
    for folder in ["components", "artifacts"] {
        for file in stand.house().files(folder) {
            fs::remove_file(file).unwrap();
        }
    }
}

fn linked() -> Message {
    let embed = json!({"callbacks": null, "errbacks": [signature("e")], "chain": null,
        "chord": null});
    message("t", &embed)
}

#[tokio::test]
async fn a_message_waits_ten_minutes_for_code_that_only_a_push_can_mend_and_then_fails() {
    const PAUSE: Duration = Duration::from_secs(5);
    let stand = Stand::new().await;
    damage(&stand);
    stand.run(linked()).await;
    for _ in 1..120 {
        stand.pass(PAUSE);
        stand.attempt().await;
        assert_eq!(stand.depth().await.2, 0);
    }
    assert_eq!(stand.record("t").await, None);
    stand.pass(PAUSE);
    stand.attempt().await;
    let record = stand.record("t").await.unwrap();
    assert_eq!(record.state, State::Failure);
    let exception = record.exception.unwrap();
    assert_eq!(exception.class, "ImproperlyConfigured");
    assert!(
        exception.message.contains("push it again"),
        "{}",
        exception.message
    );
    assert_eq!(stand.broker.sent(), [("e".to_owned(), false)]);
    let kept = stand.depth().await;
    assert_eq!(kept, (1, 0, 1), "the errback, and a dead letter");
}

#[tokio::test]
async fn a_push_in_time_runs_what_waits_for_it() {
    let stand = Stand::new().await;
    damage(&stand);
    stand.run(linked()).await;
    stand.pass(Duration::from_secs(599));
    let code = component(&["seven", "once"], "");
    assert!(stand.house().push("m", &code).await.unwrap().unchanged);
    stand.attempt().await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
    assert_eq!(stand.broker.sent(), []);
}

#[tokio::test]
async fn of_two_copies_of_a_message_one_worker_runs_one_at_a_time() {
    let stand = Stand::new().await;
    for _ in 0..2 {
        let copy = with(message("t", &Value::Null), AGAIN, json!(true));
        stand.send(copy).await;
    }
    let first = stand.take().await.unwrap();
    let second = stand.take().await.unwrap();
    let start = Start {
        id: task("t"),
        task: "m.seven".to_owned(),
        fence: Fence {
            retries: 0,
            deliveries: 1,
        },
        worker: stand.crew.run_of(&first.receipt),
        lease_until: after(stand.now(), Duration::from_secs(30)),
    };
    let begun = stand.results.begin(start.clone()).await.unwrap();
    assert_eq!(begun, Begun::Run);
    let record = stand.record("t").await.unwrap();
    assert_eq!(record.worker_name(), "w@host", "{}", record.worker);
    stand.attempt_of(second).await;
    assert_eq!(stand.crew.floor.drained().finished, 0);
    // Whoever did not hear the answer asks again.
    assert_eq!(stand.results.begin(start).await.unwrap(), Begun::Run);
    stand.attempt_of(first).await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
    stand.lapse();
    stand.attempt().await;
    assert_eq!(
        stand.crew.floor.drained().finished,
        1,
        "the copy did not run"
    );
    assert_eq!(stand.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn a_task_whose_followers_do_not_fit_into_a_message_fails_before_its_end_is_stored() {
    let stand = Stand::new().await;
    let mut next = signature("n");
    // It comes with its task, and would not go on with a result before its own arguments.
    next["immutable"] = json!(false);
    next["args"] = json!(["7".repeat((16 << 20) - (32 << 10))]);
    let embed = json!({"callbacks": null, "errbacks": [signature("e")], "chain": [next],
        "chord": null});
    stand.run(message("t", &embed)).await;
    let record = stand.record("t").await.unwrap();
    assert_eq!(record.state, State::Failure);
    let exception = record.exception.unwrap();
    assert_eq!(exception.class, "InvalidSignature");
    assert!(exception.message.starts_with("the message of m.seven"));
    assert_eq!(stand.broker.sent(), [("e".to_owned(), false)]);
    assert_eq!(stand.depth().await, (1, 0, 0), "the errback alone");
}

#[tokio::test]
async fn a_body_that_does_not_fit_into_a_message_with_its_results_fails() {
    const NINE: usize = 9 << 20;
    let stand = Stand::new().await;
    announce(&stand).await;
    let large = Json::text(&"7".repeat(NINE));
    assert_eq!(join(&stand, "u", large).await, Joined::Waiting);
    let mut body = signature("body");
    body["immutable"] = json!(false);
    body["args"] = json!(["7".repeat(NINE)]);
    stand.run(part("m.seven", &body)).await;
    assert_eq!(stand.record("t").await.unwrap().state, State::Success);
    let exception = stand.record("body").await.unwrap().exception.unwrap();
    assert_eq!(exception.class, "ChordError");
    assert!(exception.message.contains("the message of m.seven"));
    assert_eq!(stand.depth().await, (0, 0, 0));
}
