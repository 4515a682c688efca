//! Whatever stands in a queue is read without a panic, and what is read can be
//! written again.

use crate::capture::{items, names, read};
use bytes::Bytes;
use celeriac::celery::body::Accept;
use celeriac::celery::envelope::Envelope;
use celeriac::celery::result::Found;
use celeriac::celery::{Message, Properties, Request};
use jiff::tz::TimeZone;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// Members and headers that are looked at, and a stranger.
const NAMES: [&str; 31] = [
    "argsrepr",
    "body",
    "body_encoding",
    "celeriac",
    "compression",
    "content-encoding",
    "content-type",
    "correlation_id",
    "delivery_info",
    "delivery_tag",
    "deliveries",
    "eta",
    "expiration",
    "expires",
    "group",
    "headers",
    "id",
    "ignore_result",
    "key",
    "parent_id",
    "priority",
    "properties",
    "ready_at",
    "redelivered",
    "reply_to",
    "retries",
    "root_id",
    "stamps",
    "stranger",
    "task",
    "timelimit",
];

/// Texts that mean something somewhere, and such that nearly do.
const TEXTS: [&str; 20] = [
    "",
    "0",
    "[]",
    "[[], {}, {}]",
    "[[NaN], {}, {}]",
    "application/json",
    "base64",
    "binary",
    "utf-8",
    "W1tdLCB7fSwge31d",
    "====",
    "t.t",
    "\u{0}",
    "\u{6}\u{16}",
    "2030-01-02T03:04:05",
    "2030-01-02T03:04:05.678901+25:61",
    "-262144-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "\u{feff}",
    "ä\u{10ffff}",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Such as have a short text: the last digit of a longer one may change.
        any::<i32>().prop_map(|number| json!(f64::from(number) / 8.0)),
        select(&TEXTS[..]).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => select(&NAMES[..]).prop_map(str::to_owned),
        1 => ".{0,6}",
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_members() -> impl Strategy<Value = Map<String, Value>> {
    btree_map(name(), any_json(), 0..10).prop_map(|members| members.into_iter().collect())
}

fn any_message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..40),
        any_json().prop_map(|body| body.to_string().into_bytes()),
        [any_json(), any_json(), any_json()]
            .prop_map(|parts| json!(parts).to_string().into_bytes()),
        select(&TEXTS[..]).prop_map(|text| text.as_bytes().to_vec()),
    ];
    let kinds = ["application/json", "application/json", "application/x-yaml"];
    let kind = prop_oneof![
        4 => select(kinds.to_vec()).prop_map(str::to_owned),
        1 => Just("application/x-msgpack".to_owned()),
        1 => Just("application/x-python-serialize".to_owned()),
        1 => ".{0,8}",
    ];
    (body, kind, any_members(), option::of(any::<u8>())).prop_map(
        |(body, content_type, headers, priority)| Message {
            body: Bytes::from(body),
            content_type,
            content_encoding: "utf-8".to_owned(),
            headers,
            properties: Properties {
                priority,
                ..Properties::default()
            },
        },
    )
}

/// Replaces one value somewhere within a document, or takes a member away.
fn changed(document: &mut Value, way: &[Index], with: Option<&Value>) {
    let Some((turn, rest)) = way.split_first() else {
        *document = with.cloned().unwrap_or_default();
        return;
    };
    match document {
        Value::Object(members) if !members.is_empty() => {
            let name = members
                .keys()
                .nth(turn.index(members.len()))
                .unwrap()
                .clone();
            match with {
                None if rest.is_empty() => drop(members.remove(&name)),
                _ => changed(&mut members[&name], rest, with),
            }
        }
        Value::Array(parts) if !parts.is_empty() => {
            let at = turn.index(parts.len());
            changed(&mut parts[at], rest, with);
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            *document = with.cloned().unwrap_or_default();
        }
    }
}

fn captured() -> Vec<Vec<u8>> {
    let all = names("task_")
        .into_iter()
        .flat_map(|name| items(&read(&name)));
    all.map(|item| item.raw.into_bytes()).collect()
}

/// Reads an envelope as the worker does, and checks what must hold of any.
fn reads(raw: &[u8]) {
    let envelope = Envelope::read(raw);
    let again = Envelope::read(envelope.write("q").as_bytes());
    assert_eq!(again, envelope);
    decodes(&envelope.message);
}

fn decodes(message: &Message) {
    match Request::decode_in(message, &TimeZone::UTC, &Accept::all()) {
        Ok(request) => {
            assert!(request.args.starts_with(b"[") && request.kwargs.starts_with(b"{"));
            // A message of protocol 1 has its id in the body.
            if let Some(id) = message.headers.get("id") {
                assert_eq!(*id, request.id.as_str());
            }
        }
        Err(malformed) => assert!(!malformed.reason.is_empty()),
    }
}

proptest! {
    // A case that fails becomes a test of its own, with a name.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(raw in vec(any::<u8>(), 0..200)) {
        reads(&raw);
        let _none = Found::read(&String::from_utf8_lossy(&raw));
    }

    #[test]
    fn any_json_is_read(raw in any_json()) {
        reads(raw.to_string().as_bytes());
        if let Some(found) = Found::read(&raw.to_string()) {
            let _exception = found.exception();
        }
    }

    #[test]
    fn any_envelope_is_read(headers in any_members(), properties in any_members(), body in select(&TEXTS[..])) {
        let raw = json!({
            "body": body, "content-type": "application/json", "content-encoding": "utf-8",
            "headers": headers, "properties": properties,
        });
        reads(raw.to_string().as_bytes());
    }

    #[test]
    fn any_message_is_decoded(message in any_message()) {
        decodes(&message);
    }

    #[test]
    fn captured_envelopes_with_one_value_changed_are_read(
        raw in select(captured()), way in vec(any::<Index>(), 1..5), with in option::of(any_json()),
    ) {
        let mut document: Value = serde_json::from_slice(&raw).unwrap();
        changed(&mut document, &way, with.as_ref());
        reads(document.to_string().as_bytes());
    }

    #[test]
    fn captured_envelopes_with_damaged_bytes_are_read(
        raw in select(captured()), damage in vec((any::<Index>(), any::<u8>()), 0..6), end in any::<Index>(),
    ) {
        let mut raw = raw;
        for (at, byte) in damage {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        reads(&raw);
        reads(&raw[..end.index(raw.len())]);
    }
}
