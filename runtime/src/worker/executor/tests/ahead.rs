//! What alone follows a task runs ahead, and nothing is lost or run twice by that.

use super::stand::{Stand, Trouble, call, message, signature, with};
use crate::broker::Broker as _;
use crate::celery::Message;
use crate::task::{Accept, Format, Rate, State};
use crate::worker::Settings;
use serde_json::{Value, json};
use std::time::Duration;

/// A worker whose messages may have so many tasks run ahead.
async fn stand(most: u32) -> Stand {
    Stand::with(|settings| settings.run_ahead = most).await
}

/// What follows a task that begins a chain.
fn links(next: &[Value]) -> Value {
    let chain: Vec<&Value> = next.iter().rev().collect();
    json!({"callbacks": null, "errbacks": null, "chain": chain, "chord": null})
}

/// A task `t` that begins a chain of tasks with these ids.
fn chain(ids: &[&str]) -> Message {
    let next: Vec<Value> = ids.iter().map(|id| signature(id)).collect();
    message("t", &links(&next))
}

/// A link with something else about it.
fn link(id: &str, path: &str, value: Value) -> Value {
    let mut link = signature(id);
    *link.pointer_mut(path).unwrap() = value;
    link
}

async fn assert_succeeded(stand: &Stand, ids: &[&str]) {
    for id in ids {
        let state = stand.record(id).await.map(|record| record.state);
        assert_eq!(state, Some(State::Success), "{id}");
    }
}

fn sent(sent: &[(&str, bool)]) -> Vec<(String, bool)> {
    let owned = sent.iter().map(|(id, again)| ((*id).to_owned(), *again));
    owned.collect()
}

#[tokio::test]
async fn a_chain_runs_under_its_first_message() {
    let stand = stand(32).await;
    stand.run(chain(&["a", "b", "c"])).await;
    assert_succeeded(&stand, &["t", "a", "b", "c"]).await;
    assert_eq!(stand.broker.sent(), []);
    assert_eq!(stand.depth().await, (0, 0, 0));
    assert_eq!(stand.crew.floor.drained().finished, 4);
}

#[tokio::test]
async fn what_follows_runs_ahead_for_as_many_tasks_as_may() {
    let stand = stand(2).await;
    stand.run(chain(&["a", "b", "c", "d", "e", "f"])).await;
    assert_succeeded(&stand, &["t", "a", "b"]).await;
    assert_eq!(stand.depth().await, (1, 0, 0), "the third waits its turn");
    stand.attempt_all().await;
    assert_succeeded(&stand, &["c", "d", "e", "f"]).await;
    assert_eq!(stand.broker.sent(), sent(&[("c", false), ("f", false)]));
    assert_eq!(stand.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn after_a_death_the_ends_that_are_stored_are_found_and_the_rest_runs() {
    let stand = stand(32).await;
    stand.results.fail("write b", Trouble::Killed);
    stand.run(chain(&["a", "b", "c"])).await;
    assert_succeeded(&stand, &["t", "a"]).await;
    assert_eq!(stand.record("b").await, None);
    assert_eq!(stand.depth().await, (0, 1, 0), "the first message is held");
    stand.lapse();
    stand.attempt_all().await;
    assert_succeeded(&stand, &["t", "a", "b", "c"]).await;
    let again = sent(&[("a", true), ("b", true), ("c", true)]);
    assert_eq!(stand.broker.sent(), again);
    assert_eq!(stand.depth().await, (0, 0, 0));
    let finished = stand.crew.floor.drained().finished;
    assert_eq!(finished, 4, "each once, but for the write that was lost");
}

#[tokio::test]
async fn after_a_death_at_the_end_nothing_runs_again() {
    let stand = stand(32).await;
    stand.broker.fail("settle", Trouble::Killed);
    stand.run(chain(&["a", "b"])).await;
    let finished = stand.crew.floor.drained().finished;
    assert_eq!((stand.depth().await, finished), ((0, 1, 0), 3));
    stand.lapse();
    stand.attempt_all().await;
    assert_eq!(stand.broker.sent(), sent(&[("a", true), ("b", true)]));
    assert_eq!(stand.depth().await, (0, 0, 0));
    assert_eq!(stand.crew.floor.drained().finished, finished);
}

#[tokio::test]
async fn what_ran_ahead_and_is_to_be_kept_is_a_dead_letter_of_its_own() {
    let stand = stand(32).await;
    let mut gone = link("gone", "/task", json!("m.gone"));
    gone["options"]["link_error"] = json!([signature("e")]);
    stand.run(message("t", &links(&[gone]))).await;
    assert_succeeded(&stand, &["t"]).await;
    stand.attempt_all().await;
    assert_eq!(
        stand.broker.sent(),
        sent(&[("e", false)]),
        "its errback, once"
    );
    let exception = stand.record("gone").await.unwrap().exception.unwrap();
    assert_eq!(exception.class, "NotRegistered");
    let dead = stand.broker.dead_letters("celery", 9).await.unwrap();
    let [dead] = dead.as_slice() else {
        panic!("{dead:?}");
    };
    assert_eq!(dead.message.headers["id"], "gone");
    assert_eq!(dead.queue, "celery");
    assert_eq!(stand.depth().await, (0, 0, 1));
}

#[tokio::test]
async fn what_is_to_wait_does_so_in_a_message_of_its_own() {
    let stand = stand(32).await;
    let rates = &stand.crew.steering.rates;
    rates
        .rate_limit("m.seven", Rate::parse("1/h").unwrap())
        .unwrap();
    stand.run(chain(&["a", "b"])).await;
    assert_succeeded(&stand, &["t"]).await;
    assert_eq!(stand.record("a").await, None);
    assert_eq!(stand.depth().await, (0, 0, 0), "it is parked");
    for id in ["a", "b"] {
        stand.pass(Duration::from_secs(3_601));
        stand.attempt().await;
        assert_succeeded(&stand, &[id]).await;
    }
    assert_eq!(stand.depth().await, (0, 0, 0));
}

#[tokio::test]
async fn a_link_that_runs_at_most_once_runs_ahead_and_is_the_last_that_does() {
    let stand = stand(32).await;
    let once = link("once", "/task", json!("m.once"));
    stand
        .run(message("t", &links(&[once, signature("b")])))
        .await;
    assert_succeeded(&stand, &["t", "once"]).await;
    assert_eq!(stand.broker.sent(), sent(&[("b", false)]));
    assert_eq!(stand.depth().await, (1, 0, 0));
}

/// Runs it, and tells whether what follows was sent.
async fn is_sent(change: impl FnOnce(&mut Settings), message: Message) -> bool {
    let stand = Stand::with(|settings| {
        settings.run_ahead = 32;
        change(settings);
    });
    let stand = stand.await;
    stand.run(message).await;
    let is_sent = !stand.broker.sent().is_empty();
    assert_eq!(stand.depth().await.1, 0, "its message is done with");
    is_sent
}

#[tokio::test]
async fn what_would_not_begin_here_at_once_does_not_run_ahead() {
    let options = |name: &str, value: Value| {
        let mut link = signature("a");
        link["options"][name] = value;
        message("t", &links(&[link]))
    };
    for (message, why) in [
        (options("priority", json!(3)), "another order"),
        (options("queue", json!("other")), "another queue"),
        (options("countdown", json!(60)), "later"),
        (options("eta", json!("2100-01-01T00:00:00+00:00")), "later"),
        (
            message(
                "t",
                &json!({"callbacks": [signature("a"), signature("b")], "errbacks": null,
                    "chain": null, "chord": null}),
            ),
            "two",
        ),
    ] {
        assert!(is_sent(|_| {}, message).await, "{why}");
    }
    let callback = json!({"callbacks": [signature("a")], "errbacks": null, "chain": null,
        "chord": null});
    assert!(!is_sent(|_| {}, message("t", &callback)).await, "alone");
}

#[tokio::test]
async fn what_follows_a_task_of_which_no_end_is_found_does_not_run_ahead() {
    let ignored = with(chain(&["a"]), "ignore_result", json!(true));
    assert!(is_sent(|_| {}, ignored).await, "no result");
    let minute = Some(Duration::from_secs(60));
    let short = is_sent(|settings| settings.result_keep = minute, chain(&["a"]));
    assert!(short.await, "gone before the message is back");
    let once = call("m.once", "t", &json!([]), &links(&[signature("a")]));
    assert!(is_sent(|_| {}, once).await, "its message is gone");
    let unread = |settings: &mut Settings| settings.accept = Accept::new(&[Format::Yaml]);
    let yaml = Message {
        content_type: "application/x-yaml".to_owned(),
        ..chain(&["a"])
    };
    assert!(is_sent(unread, yaml).await, "JSON is not read here");
    let again = with(chain(&["a"]), crate::celery::request::AGAIN, json!(true));
    assert!(is_sent(|_| {}, again).await, "it may have run before");
}

#[tokio::test]
async fn nothing_runs_ahead_in_a_worker_that_stops() {
    let stand = stand(32).await;
    stand.send(chain(&["a"])).await;
    let delivery = stand.take().await.unwrap();
    stand.crew.shutdown.stop();
    stand.attempt_of(delivery).await;
    assert_eq!(stand.broker.sent(), sent(&[("a", false)]));
}
