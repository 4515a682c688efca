//! Requests, answers and events: what Celery's clients and workers broadcast is
//! read, and what we write has the same members.

use crate::capture::read;
use celeriac::celery::broadcast::{ANSWERS, EVENTS, envelope};
use celeriac::celery::envelope::Envelope;
use celeriac::celery::event::{self, Event, Sender};
use celeriac::celery::pidbox::{Answer, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The names of an object's members.
fn names(of: &Value) -> BTreeSet<&str> {
    let members = of.as_object().expect("an object");
    members.keys().map(String::as_str).collect()
}

fn message(envelope: &Value) -> celeriac::celery::Message {
    Envelope::read(envelope.to_string().as_bytes()).message
}

#[test]
fn every_captured_request_is_read() {
    let capture = read("pidbox_redis");
    let exchanges = capture["exchanges"].as_array().unwrap();
    for exchange in exchanges {
        let request = Request::read(&message(&exchange["request"]["envelope"])).unwrap();
        let body = &exchange["request"]["body"];
        assert_eq!(json!(request.method), exchange["command"]);
        assert_eq!(json!(request.arguments), body["arguments"]);
        assert_eq!(json!(request.ticket), body["ticket"]);
        let reply_to = body.pointer("/reply_to/routing_key");
        assert_eq!(json!(request.reply_to), json!(reply_to));
        let clock = &exchange["request"]["envelope"]["headers"]["clock"];
        assert_eq!(json!(request.clock), *clock);
    }
    assert!(exchanges.len() > 30);
}

#[test]
fn an_answer_has_the_members_that_a_python_worker_writes() {
    let capture = read("pidbox_redis");
    let exchanges = capture["exchanges"].as_array().unwrap();
    let answered = exchanges.iter().filter(|one| one.get("reply").is_some());
    let mut seen = 0;
    for exchange in answered {
        let theirs = &exchange["reply"]["envelope"];
        // The envelope of a long answer is captured without its body.
        let mut read = message(theirs);
        read.body = exchange["reply"]["body"].to_string().into();
        let answers = Answer::read(&read);
        let [answer] = answers.as_slice() else {
            panic!("{answers:?}");
        };
        let ticket = theirs["headers"]["ticket"].as_str();
        let clock = theirs["headers"]["clock"].as_i64().unwrap();
        let key = theirs["properties"]["delivery_info"]["routing_key"].as_str();
        let ours = envelope(&answer.message(ticket, clock), ANSWERS, key.unwrap());
        let ours: Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(names(&ours), names(theirs));
        assert_eq!(ours["headers"], theirs["headers"]);
        for (name, value) in theirs["properties"].as_object().unwrap() {
            if name != "delivery_tag" {
                assert_eq!(ours["properties"][name], *value, "{name}");
            }
        }
        let body: Value = serde_json::from_slice(&answer.message(ticket, clock).body).unwrap();
        assert_eq!(body, exchange["reply"]["body"]);
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn every_captured_event_is_read_and_has_the_members_of_ours() {
    let capture = read("events");
    for (kind, examples) in capture["events"].as_object().unwrap() {
        for example in examples.as_array().unwrap() {
            let theirs = &example["event"];
            let sender = Sender {
                hostname: theirs["hostname"].as_str().unwrap().to_owned(),
                pid: 1,
                utcoffset: 0.0,
            };
            let sent = event::message(&json!([theirs]), &sender);
            assert_eq!(event::read(&sent).len(), 1, "{kind}");
            let ours = Event::new("task-started", json!({"uuid": ""}));
            let ours = ours.document(&sender, 0.0, 1);
            let common: BTreeSet<_> = names(&ours).into_iter().collect();
            let common: Vec<_> = common.into_iter().filter(|name| *name != "uuid").collect();
            let has = names(theirs);
            assert!(
                common.iter().all(|name| has.contains(name)),
                "{kind}: {has:?}"
            );
            let key = example["channel"].as_str().unwrap();
            assert!(key.contains(EVENTS), "{key}");
            assert_eq!(example["envelope_headers"], json!(sent.headers));
        }
    }
}
