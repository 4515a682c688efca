//! What is heard of which task, in which order, and up to which limits.

use super::*;
use crate::celery::broadcast;
use crate::task::{Exception, State};
use serde_json::Map;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

fn id(name: &str) -> TaskId {
    TaskId::parse(name).unwrap()
}

fn reply(name: &str, document: &str) -> Message {
    let mut message = broadcast::message(document.to_owned(), Map::new());
    message.properties.correlation_id = Some(name.to_owned());
    message
}

fn told(name: &str, state: &str, result: &str) -> Message {
    reply(
        name,
        &format!(r#"{{"status": "{state}", "result": {result}}}"#),
    )
}

/// An inbox that hears what is sent to it.
async fn inbox() -> (Arc<Inbox>, UnboundedSender<Message>) {
    let inbox = Inbox::new(Clock::default(), Accept::default());
    let (send, mut heard) = unbounded_channel();
    let heard = futures::stream::poll_fn(move |context| heard.poll_recv(context));
    *inbox.replies.lock().await = Some(heard.boxed());
    (Arc::new(inbox), send)
}

fn state(inbox: &Inbox, name: &str) -> Option<State> {
    let record = inbox.get(&id(name)).unwrap().unwrap();
    record.map(|record| record.state)
}

#[tokio::test]
async fn every_state_is_seen_in_its_order_and_the_end_holds() {
    let (inbox, send) = inbox().await;
    let _hearing = Inbox::expect(&inbox, vec![id("a")]).unwrap();
    let progress = State::Custom("PROGRESS".to_owned());
    assert_eq!(state(&inbox, "a"), None);
    for (state, result) in [("STARTED", "{}"), ("PROGRESS", "1"), ("SUCCESS", "[1.10]")] {
        send.send(told("a", state, result)).unwrap();
    }
    send.send(told("a", "STARTED", "{}")).unwrap();
    assert_eq!(state(&inbox, "a"), Some(State::Started));
    assert_eq!(state(&inbox, "a"), Some(progress));
    assert_eq!(state(&inbox, "a"), Some(State::Success));
    let record = inbox.get(&id("a")).unwrap().unwrap().unwrap();
    assert_eq!(record.state, State::Success);
    assert_eq!(record.result.as_deref(), Some(b"[1.10]".as_slice()));
}

#[tokio::test]
async fn what_a_watch_has_read_is_shown_before_more_is_read() {
    let (inbox, send) = inbox().await;
    let _hearing = Inbox::expect(&inbox, vec![id("a")]).unwrap();
    let mut ear = inbox.ear(&id("a")).unwrap();
    for state in ["ONE", "TWO", "SUCCESS"] {
        send.send(told("a", state, "1")).unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        ear.changed().await.unwrap();
        seen.extend(state(&inbox, "a").map(|state| state.to_string()));
        seen.dedup();
    }
    assert_eq!(seen, ["ONE", "TWO", "SUCCESS"]);
}

#[tokio::test]
async fn whoever_waits_hears_for_the_others_too() {
    let (inbox, send) = inbox().await;
    let _hearing = Inbox::expect(&inbox, vec![id("a"), id("b")]).unwrap();
    let (mut one, mut other) = (inbox.ear(&id("a")).unwrap(), inbox.ear(&id("b")).unwrap());
    // The first to wait reads, the other is told by it, in either order.
    let sending = async {
        send.send(told("b", "SUCCESS", "2")).unwrap();
        send.send(told("a", "SUCCESS", "1")).unwrap();
    };
    let (first, second, ()) = tokio::join!(one.changed(), other.changed(), sending);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(state(&inbox, "a"), Some(State::Success));
    assert_eq!(state(&inbox, "b"), Some(State::Success));
}

#[tokio::test]
async fn a_failure_is_an_exception_and_what_is_no_reply_says_so() {
    let (inbox, send) = inbox().await;
    let names = ["a", "b", "c", "d"].map(id);
    let _hearing = Inbox::expect(&inbox, names.to_vec()).unwrap();
    let raised = r#"{"exc_type": "LookupError", "exc_message": ["no"], "exc_module": "builtins"}"#;
    send.send(told("a", "FAILURE", raised)).unwrap();
    let mut foreign = reply("b", "x");
    foreign.content_type = "application/x-python-serialize".to_owned();
    send.send(foreign).unwrap();
    send.send(reply("c", "[]")).unwrap();
    send.send(reply("d", &"x".repeat(REPLY + 1))).unwrap();
    // Of what nobody asked for, nothing is kept.
    send.send(told("e", "SUCCESS", "1")).unwrap();
    send.send(broadcast::message("{}".to_owned(), Map::new()))
        .unwrap();
    let record = inbox.get(&id("a")).unwrap().unwrap().unwrap();
    assert_eq!(
        record.exception,
        Some(Exception::new("builtins", "LookupError", "no"))
    );
    for (name, words) in [
        ("b", "is not accepted"),
        ("c", "no result document"),
        ("d", "is too large"),
    ] {
        let error = inbox.get(&id(name)).unwrap().unwrap_err();
        assert!(matches!(error, ResultsError::Malformed { .. }));
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(inbox.get(&id("e")).is_none() && inbox.ear(&id("e")).is_none());
}

#[tokio::test]
async fn what_is_let_go_of_makes_room() {
    let (inbox, send) = inbox().await;
    let mut small = Arc::into_inner(inbox).unwrap();
    small.room = 10;
    let inbox = Arc::new(small);
    let first = Inbox::expect(&inbox, vec![id("a")]).unwrap();
    let second = Inbox::expect(&inbox, vec![id("b")]).unwrap();
    // The room is for results; the document around each is looked at for its size.
    inbox.take(&told("a", "SUCCESS", "1"));
    assert!(inbox.get(&id("a")).unwrap().is_err());
    drop((first, second));
    assert!(inbox.tasks().known.is_empty());
    assert_eq!(inbox.tasks().held, 0);
    let mut larger = Arc::into_inner(inbox).unwrap();
    larger.room = 60;
    let inbox = Arc::new(larger);
    let first = Inbox::expect(&inbox, vec![id("a")]).unwrap();
    let _second = Inbox::expect(&inbox, vec![id("b"), id("c")]).unwrap();
    let long = "1".repeat(25);
    send.send(told("a", "SUCCESS", &long)).unwrap();
    assert_eq!(state(&inbox, "a"), Some(State::Success));
    send.send(told("b", "SUCCESS", &long)).unwrap();
    assert!(inbox.get(&id("b")).unwrap().is_err());
    drop(first);
    send.send(told("c", "SUCCESS", &long)).unwrap();
    assert_eq!(state(&inbox, "c"), Some(State::Success));
}

#[tokio::test]
async fn a_caller_hears_of_so_many_tasks_and_no_more() {
    let (inbox, _send) = inbox().await;
    let many = (0..TASKS).map(|number| id(&format!("t{number}")));
    let hearing = Inbox::expect(&inbox, many.collect()).unwrap();
    let refused = Inbox::expect(&inbox, vec![id("one-more")]).unwrap_err();
    assert!(
        refused.to_string().contains("let go of handles"),
        "{refused}"
    );
    drop(hearing);
    assert!(Inbox::expect(&inbox, vec![id("one-more")]).is_ok());
}

#[tokio::test]
async fn any_bytes_are_a_reply_or_say_why_they_are_none() {
    let (inbox, _send) = inbox().await;
    let seeds = [
        r#"{"status": "SUCCESS", "result": [1.10, "x"], "celeriac": {"bare": true}}"#,
        r#"{"status": "FAILURE", "result": {"exc_type": "E", "exc_message": [1]}}"#,
        r#"{"status": "PROGRESS", "result": {"current": 1}, "task_id": "a"}"#,
    ];
    let words: [&[u8]; 4] = [b"{", b"]", b"null", b"SUCCESS"];
    let corpus = support::Corpus::new(seeds.map(|seed| seed.into()).to_vec(), &words);
    for script in support::scripts(2_000) {
        let hearing = Inbox::expect(&inbox, vec![id("a")]).unwrap();
        let mut message = reply("a", "");
        message.body = corpus.changed(&script).into();
        inbox.take(&message);
        // Something is known now, whatever it is.
        assert!(!matches!(inbox.get(&id("a")).unwrap(), Ok(None)));
        drop(hearing);
        assert_eq!(inbox.tasks().held, 0);
    }
}
