//! The messages that we write are those that Celery would have written.

use crate::capture::{commands, items, kind, read, shape};
use celeriac::celery::TaskCall;
use celeriac::celery::envelope::{Envelope, Ours};
use celeriac::celery::request::retried;
use jiff::Timestamp;
use serde_json::{Value, json};

fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().expect("an object")
}

#[test]
fn a_call_of_ours_has_the_headers_and_properties_of_a_client_of_celery() {
    let theirs = items(&read("task_add_json"))[0].json();
    let mut call = TaskCall::new("conformance.add", "[2, 3]", "{}").unwrap();
    call.priority = Some(9);
    let envelope = Envelope {
        message: call.message("gen1@example"),
        ours: Ours::default(),
    };
    let mut ours: Value = serde_json::from_str(&envelope.write("celery")).unwrap();
    assert_eq!(
        shape(object(&ours["headers"])),
        shape(object(&theirs["headers"]))
    );
    let properties = ours["properties"].as_object_mut().unwrap();
    properties.remove("celeriac").expect("what is ours");
    // Nobody waits for an answer at an address of its own.
    assert!(properties.remove("reply_to").unwrap().is_null());
    let mut theirs_properties = object(&theirs["properties"]).clone();
    theirs_properties.remove("reply_to");
    assert_eq!(shape(properties), shape(&theirs_properties));
    for name in [
        "priority",
        "delivery_mode",
        "delivery_info",
        "body_encoding",
    ] {
        assert_eq!(properties[name], theirs_properties[name], "{name}");
    }
    for name in ["body", "content-type", "content-encoding"] {
        assert_eq!(kind(&ours[name]), "text", "{name}");
    }
    let body = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let sent = Envelope::read(theirs.to_string().as_bytes());
    assert_eq!(body(&envelope.message.body), body(&sent.message.body));
}

#[test]
fn a_moment_is_written_as_clients_of_celery_write_it() {
    for (moment, text) in [
        (
            "2030-01-02T03:04:05.678901Z",
            "2030-01-02T03:04:05.678901+00:00",
        ),
        ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05+00:00"),
        (
            "2030-01-02T03:04:05.25Z",
            "2030-01-02T03:04:05.250000+00:00",
        ),
        // Python knows no more than microseconds.
        (
            "2030-01-02T03:04:05.678901999Z",
            "2030-01-02T03:04:05.678901+00:00",
        ),
        (
            "2030-01-02T03:04:05.000000999Z",
            "2030-01-02T03:04:05+00:00",
        ),
    ] {
        let mut call = TaskCall::new("t", "[]", "{}").unwrap();
        call.eta = Some(moment.parse().unwrap());
        assert_eq!(call.message("me").headers["eta"], text);
    }
    let theirs = items(&read("task_eta_fixed"))[0].json();
    assert_eq!(theirs["headers"]["eta"], "2030-01-02T03:04:05.678901+00:00");
}

#[test]
fn a_retry_is_the_message_that_a_worker_of_celery_sends() {
    let capture = read("worker_redis_retry");
    let sent: Vec<Envelope> = commands(&capture, "LPUSH celery ")
        .iter()
        .map(|command| Envelope::read(&command.as_bytes()["LPUSH celery ".len()..]))
        .collect();
    assert_eq!(sent.len(), 3);
    for (retries, pair) in (1..).zip(sent.windows(2)) {
        let [before, theirs] = [&pair[0], &pair[1]].map(|envelope| envelope.message.clone());
        let due: Timestamp = theirs.headers["eta"].as_str().unwrap().parse().unwrap();
        let ours = retried(&before, retries, due);
        // Celery makes a retried task its own parent.
        assert_eq!(ours.headers["parent_id"], before.headers["id"]);
        assert_eq!(json!(ours.headers), json!(theirs.headers));
        assert_eq!(ours, theirs);
    }
}
