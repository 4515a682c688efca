//! Requests of remote control, their answers, and events.

use crate::bodies::WORDS;
use crate::capture::read;
use celeriac::celery::Message;
use celeriac::celery::broadcast::{HEARD_BYTES, message};
use celeriac::celery::pidbox::{Answer, Audience, Request};
use celeriac::celery::{envelope::Envelope, event};
use serde_json::Map;
use support::Corpus;

fn heard(bytes: &[u8]) -> Message {
    let mut heard = message(String::new(), Map::new());
    heard.body = bytes.to_vec().into();
    heard
}

#[test]
fn any_request_is_none_or_means_the_same_when_it_is_written_again() {
    let capture = read("pidbox_redis");
    let exchanges = capture["exchanges"].as_array().unwrap();
    let bodies = exchanges.iter().map(|exchange| {
        let envelope = exchange["request"]["envelope"].to_string();
        Envelope::read(envelope.as_bytes()).message.body.to_vec()
    });
    let corpus = Corpus::new(bodies.collect(), &WORDS);
    fuzz!(10_000, |script: &[u8]| {
        let sent = heard(&corpus.changed(script));
        let Some(request) = Request::read(&sent) else {
            return false;
        };
        assert!(sent.body.len() <= HEARD_BYTES);
        if request.to != Audience::Nobody && request.reply_to.is_some() {
            let again = Request::read(&request.message(0.0)).expect("a request");
            // The last digit of a long fraction may be another.
            let names = |of: &Request| of.arguments.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&again), names(&request));
            let (clock, arguments) = (again.clock, again.arguments.clone());
            let request = Request {
                clock,
                arguments,
                ..request
            };
            assert_eq!(again, request);
        }
        true
    });
}

#[test]
fn any_answer_and_any_event_are_read_or_are_none() {
    let capture = read("events");
    let mut seeds = vec![
        br#"{"a@b": {"ok": "pong"}}"#.to_vec(),
        br#"{"a@b": [{"id": "i", "name": "t", "args": [1.50]}], "c@d": {"error": "no"}}"#.to_vec(),
    ];
    for (_, examples) in capture["events"].as_object().unwrap() {
        let examples = examples.as_array().unwrap().iter();
        seeds.extend(examples.map(|one| one["event"].to_string().into_bytes()));
    }
    seeds.push(
        capture["events"]["task-received"][0]["event"]
            .to_string()
            .into_bytes(),
    );
    let corpus = Corpus::new(seeds, &WORDS);
    fuzz!(10_000, |script: &[u8]| {
        let heard = heard(&corpus.changed(script));
        let (events, answers) = (event::read(&heard), Answer::read(&heard));
        let text = String::from_utf8_lossy(&heard.body);
        for answer in &answers {
            assert!(text.contains(answer.value.get()));
        }
        !events.is_empty() || !answers.is_empty()
    });
}
