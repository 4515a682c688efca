//! Every call that was captured is read as its client meant it.

use crate::capture::{amqp, items, names, read};
use celeriac::celery::body::Accept;
use celeriac::celery::envelope::Envelope;
use celeriac::celery::request::retried;
use celeriac::celery::{Message, Request};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::time::Duration;

/// What becomes of the messages of a capture.
enum Expected {
    /// They are read.
    Read,
    /// They are read although they are no JSON as they stand, or without headers:
    /// their arguments.
    Meant(&'static str, &'static str),
}

use Expected::{Meant, Read};

const FIFTY: &str = r#"["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]"#;
const TEXT: &str = r#"{"z": "é"}"#;

/// Every capture of a call.
const EXPECTED: [(&str, Expected); 33] = [
    ("task_add_json", Read),
    ("task_chain3", Read),
    ("task_chain_immutable", Read),
    ("task_chain_of_groups", Read),
    ("task_chord", Read),
    ("task_chord_errback", Read),
    ("task_chord_in_chain", Read),
    ("task_chord_nested", Read),
    ("task_chord_of_chains", Read),
    ("task_chunks_map", Read),
    ("task_comp_bzip2", Meant(FIFTY, "{}")),
    ("task_comp_gzip", Meant(FIFTY, "{}")),
    ("task_comp_lzma", Meant(FIFTY, "{}")),
    ("task_countdown", Read),
    ("task_eta_fixed", Read),
    ("task_eta_naive", Read),
    ("task_eta_noutc", Read),
    ("task_eta_paris", Read),
    ("task_expires_datetime", Read),
    ("task_expires_seconds", Read),
    ("task_group3", Read),
    ("task_jsontypes", Read),
    ("task_kwargs_unicode", Read),
    ("task_link", Read),
    ("task_long_argsrepr", Read),
    ("task_options", Read),
    ("task_priority", Read),
    ("task_proto1", Meant("[2, 3]", "{}")),
    ("task_queue_custom", Read),
    ("task_ser_msgpack", Meant("[2, 3]", TEXT)),
    ("task_ser_pickle", Meant("[2, 3]", TEXT)),
    ("task_ser_yaml", Meant("[2, 3]", TEXT)),
    ("task_stamps", Read),
];

/// The moments of those captures in Redis that have one, as instants.
const MOMENTS: [(&str, &str, &str); 7] = [
    ("task_countdown", "eta", "2026-11-20T21:43:20.403444Z"),
    ("task_eta_fixed", "eta", "2030-01-02T03:04:05.678901Z"),
    ("task_eta_naive", "eta", "2030-01-02T03:04:05Z"),
    ("task_eta_noutc", "eta", "2026-11-20T21:43:20.477353Z"),
    ("task_eta_paris", "eta", "2026-11-20T21:43:20.444797Z"),
    (
        "task_expires_datetime",
        "expires",
        "2030-01-02T03:04:05.678901Z",
    ),
    (
        "task_expires_seconds",
        "expires",
        "2026-11-20T21:45:10.491129Z",
    ),
];

/// One message of a capture: its name, the message, and its body as text.
struct Captured {
    name: String,
    message: Message,
    text: Option<String>,
}

/// Every message of a capture, from both brokers.
fn messages(name: &str) -> Vec<Captured> {
    let capture = read(name);
    let redis = items(&capture).into_iter().map(|item| Captured {
        name: format!("{name} in Redis"),
        message: Envelope::read(item.raw.as_bytes()).message,
        text: item.text,
    });
    let published = capture["amqp"]["messages"].as_array().expect("messages");
    let amqp = published.iter().map(|message| Captured {
        name: format!("{name} in RabbitMQ"),
        message: amqp(message),
        text: message["body"].as_str().map(str::to_owned),
    });
    redis.chain(amqp).collect()
}

#[test]
fn every_capture_of_a_call_has_a_row() {
    let rows: Vec<&str> = EXPECTED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("task_"), rows);
}

#[test]
fn every_call_is_read_as_its_client_meant_it() {
    for (name, expected) in &EXPECTED {
        for captured in messages(name) {
            match expected {
                Read => is_read(&captured),
                Meant(args, kwargs) => is_meant(&captured, args, kwargs),
            }
        }
    }
}

fn is_read(captured: &Captured) {
    let Captured {
        name,
        message,
        text,
    } = captured;
    let request =
        Request::decode(message).unwrap_or_else(|malformed| panic!("{name}: {malformed:?}"));
    let headers = &message.headers;
    let header = |name: &str| headers[name].as_str();
    assert_eq!(Some(request.id.as_str()), header("id"), "{name}");
    assert_eq!(Some(request.task.as_str()), header("task"), "{name}");
    assert_eq!(request.root_id.as_deref(), header("root_id"), "{name}");
    assert_eq!(request.parent_id.as_deref(), header("parent_id"), "{name}");
    assert_eq!(request.group.as_deref(), header("group"), "{name}");
    assert_eq!(json!(request.retries), headers["retries"], "{name}");
    assert_eq!(request.eta.is_some(), header("eta").is_some(), "{name}");
    assert_eq!(
        request.expires.is_some(),
        header("expires").is_some(),
        "{name}"
    );
    // A task without a word of its own about it keeps its results.
    assert_eq!(
        request.ignore_result,
        headers["ignore_result"] == true,
        "{name}"
    );
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
    let limits = [request.time_limit.hard, request.time_limit.soft].map(seconds);
    let asked = headers["timelimit"].as_array().expect("two limits");
    assert_eq!(
        limits.as_slice(),
        asked.iter().map(Value::as_f64).collect::<Vec<_>>(),
        "{name}"
    );
    let body: Value = serde_json::from_str(text.as_deref().expect("a body of text")).unwrap();
    let part = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(part(&request.args), body[0], "{name}");
    assert_eq!(part(&request.kwargs), body[1], "{name}");
    let own = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let expected: &[_] = if name.starts_with("task_options") {
        &[("x-custom", "v")]
    } else {
        &[]
    };
    assert_eq!(own.collect::<Vec<_>>(), expected, "{name}");
    // Celery names the task in a property as well; `rpc://` hangs on it.
    assert_eq!(
        message.properties.correlation_id.as_deref(),
        header("id"),
        "{name}"
    );
}

fn is_meant(captured: &Captured, args: &str, kwargs: &str) {
    let Captured { name, message, .. } = captured;
    let request = Request::decode_in(message, &TimeZone::UTC, &Accept::all())
        .unwrap_or_else(|malformed| panic!("{name}: {malformed:?}"));
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(parse(&request.args), parse(args.as_bytes()), "{name}");
    assert_eq!(parse(&request.kwargs), parse(kwargs.as_bytes()), "{name}");
    assert!(request.task.starts_with("conformance."), "{name}");
    let correlation = message.properties.correlation_id.as_deref();
    assert_eq!(Some(request.id.as_str()), correlation, "{name}");
    let retry = retried(message, 1, Timestamp::UNIX_EPOCH);
    let again = Request::decode_in(&retry, &TimeZone::UTC, &Accept::all()).unwrap();
    assert_eq!((again.retries, again.args), (1, request.args), "{name}");
}

#[test]
fn a_format_that_is_not_accepted_is_refused_with_the_line_that_accepts_it() {
    for format in ["msgpack", "pickle", "yaml"] {
        let name = format!("task_ser_{format}");
        for Captured { name, message, .. } in messages(&name) {
            let malformed = Request::decode(&message).expect_err(&name);
            let exception = &malformed.exception;
            assert_eq!(exception.module, "kombu.exceptions", "{name}");
            assert_eq!(exception.class, "ContentDisallowed", "{name}");
            let line = format!("accept_content = [\"json\", \"{format}\"]");
            for word in [&message.content_type, &line] {
                assert!(malformed.reason.contains(word), "{}", malformed.reason);
            }
            // Whoever waits hears of it.
            let (id, task) = malformed.caller.as_ref().expect("a caller");
            assert_eq!(
                Some(id.as_str()),
                message.properties.correlation_id.as_deref()
            );
            assert!(task.starts_with("conformance."), "{name}: {task}");
        }
    }
}

#[test]
fn moments_are_instants_whatever_their_zone() {
    for (name, header, instant) in MOMENTS {
        let instant: Timestamp = instant.parse().unwrap();
        let item = &items(&read(name))[0];
        let request = Request::decode(&Envelope::read(item.raw.as_bytes()).message).unwrap();
        let moment = if header == "eta" {
            request.eta
        } else {
            request.expires
        };
        assert_eq!(moment, Some(instant), "{name}");
    }
    let with_moment = EXPECTED.iter().filter(|(name, expected)| {
        let is_read = matches!(expected, Read);
        is_read
            && messages(name).iter().any(|one| {
                !one.message.headers["eta"].is_null() || !one.message.headers["expires"].is_null()
            })
    });
    assert_eq!(with_moment.count(), MOMENTS.len());
}

#[test]
fn what_kombu_reads_of_an_envelope_survives_our_hands() {
    for name in names("task_") {
        for item in items(&read(&name)) {
            let queue = item.list.split('\u{6}').next().unwrap();
            let ours = Envelope::read(item.raw.as_bytes()).write(queue);
            same_to_kombu(&name, item.json(), serde_json::from_str(&ours).unwrap());
        }
    }
}

/// A message given back by a Python worker, and then by ours.
#[test]
fn a_message_that_was_delivered_before_says_so_to_kombu_after_us() {
    let capture = read("redis_restore");
    for state in ["after_restore", "after_reject_requeue"] {
        let list = &capture[state]["celery\u{6}\u{16}3"]["value"];
        let raw = list[0].as_str().unwrap();
        let read = Envelope::read(raw.as_bytes());
        assert_eq!(read.ours.deliveries, 1, "{state}");
        let ours = serde_json::from_str(&read.write("celery")).unwrap();
        same_to_kombu(state, serde_json::from_str(raw).unwrap(), ours);
    }
}

#[test]
fn what_a_python_worker_holds_is_read() {
    let capture = read("redis_unacked");
    let unacked = capture["broker_keys"]["unacked"]["value"]
        .as_object()
        .unwrap();
    assert_eq!(unacked.len(), 2);
    for (tag, held) in unacked {
        let held: Value = serde_json::from_str(held.as_str().unwrap()).unwrap();
        let [envelope, exchange, queue] = held.as_array().unwrap().as_slice() else {
            panic!("{held}");
        };
        assert_eq!((exchange, queue), (&json!(""), &json!("celery")));
        assert_eq!(envelope["properties"]["delivery_tag"], **tag);
        let read = Envelope::read(envelope.to_string().as_bytes());
        assert_eq!(read.ours.deliveries, 0);
        Request::decode(&read.message).unwrap();
    }
}

/// Compares two envelopes but for the delivery tag, which is new, and for what
/// is ours.
fn same_to_kombu(name: &str, theirs: Value, mut ours: Value) {
    let properties = ours["properties"].as_object_mut().unwrap();
    assert!(properties.remove("celeriac").is_some(), "{name}");
    let tag = properties.insert(
        "delivery_tag".to_owned(),
        theirs["properties"]["delivery_tag"].clone(),
    );
    assert!(
        tag.is_some_and(|tag| tag != theirs["properties"]["delivery_tag"]),
        "{name}"
    );
    assert_eq!(ours, theirs, "{name}");
}

#[test]
fn every_task_message_of_a_trace_is_read() {
    for (name, calls) in [("amqp_trace_add_ping_fail", 4), ("amqp_rpc_results", 5)] {
        let capture = read(name);
        let trace = capture["trace"].as_array().unwrap();
        let of_tasks: Vec<_> = trace
            .iter()
            .filter(|one| one["routing_keys"] == json!(["celery"]))
            .collect();
        assert_eq!(of_tasks.len(), calls, "{name}");
        for one in of_tasks {
            is_read(&Captured {
                name: name.to_owned(),
                message: amqp(one),
                text: Some(one["body"].to_string()),
            });
        }
    }
}
