//! The envelope in which kombu's Redis transport keeps a message.
//!
//! JSON: the body in base64, headers, properties. The property `celeriac` is
//! ours; kombu carries it along and looks at nothing in it.

use super::base64::STANDARD;
use super::message::{Message, Properties};
use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The content type of a message of which nothing but the bytes is known.
const UNREADABLE: &str = "application/octet-stream";
/// The last priority of a Redis queue, which is the first of ours.
const LAST: u8 = 9;

/// Most bytes of the headers, and of the properties, that are read (1 MiB), as with
/// RabbitMQ: a value takes up to sixteen times its text, and Redis holds 512 MiB.
const HEADERS_BYTES: usize = 1 << 20;

/// What we know of a message beyond what kombu knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ours {
    /// How often it was delivered before, as far as it counts.
    pub deliveries: u32,
    /// When it was published or due, milliseconds since 1970.
    pub ready_at: Option<i64>,
    /// See `Outgoing::key`.
    pub key: Option<String>,
    /// Why it died.
    pub reason: Option<String>,
    /// When it died, milliseconds since 1970.
    pub died_at: Option<i64>,
}

/// A message in its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The message.
    pub message: Message,
    /// What we know of it.
    pub ours: Ours,
}

impl Envelope {
    /// Reads an envelope. Of one that cannot be read the bytes become the body of
    /// a message without headers, which ends among the dead letters.
    #[must_use]
    pub fn read(raw: &[u8]) -> Self {
        read(raw).unwrap_or_else(|| Self {
            message: Message {
                body: Bytes::copy_from_slice(raw),
                content_type: UNREADABLE.to_owned(),
                content_encoding: "binary".to_owned(),
                headers: Map::new(),
                properties: Properties::default(),
            },
            ours: Ours::default(),
        })
    }

    /// Writes the envelope for a queue, with a delivery tag of its own.
    #[must_use]
    pub fn write(&self, queue: &str) -> String {
        let Message {
            body,
            content_type,
            content_encoding,
            headers,
            properties,
        } = &self.message;
        let mut written = json!({
            "correlation_id": properties.correlation_id,
            "reply_to": properties.reply_to,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
            "delivery_tag": uuid::Uuid::new_v4().to_string(),
            "celeriac": self.ours,
        });
        if let Value::Object(written) = &mut written {
            if let Some(priority) = properties.priority {
                written.insert("priority".to_owned(), json!(turned(priority)));
            }
            if let Some(expiration) = &properties.expiration {
                written.insert("expiration".to_owned(), json!(expiration));
            }
            if self.ours.deliveries > 0
                && let Some(Value::Object(info)) = written.get_mut("delivery_info")
            {
                // A Python worker must hear that it may have run before.
                info.insert("redelivered".to_owned(), Value::Bool(true));
            }
        }
        let rest = json!({
            "content-type": content_type,
            "content-encoding": content_encoding,
            "headers": headers,
            "properties": written,
        });
        with_body(body, &rest.to_string())
    }
}

/// Returns the priority of the lists: 0 first, as Redis users know it.
#[must_use]
pub fn turned(priority: u8) -> u8 {
    LAST.saturating_sub(priority)
}

/// Puts a body before the other members of an envelope. Bodies are large where chains
/// are long: base64 has nothing that JSON would have to escape.
fn with_body(body: &[u8], rest: &str) -> String {
    let members = rest.strip_prefix('{').unwrap_or_default();
    let mut envelope = String::with_capacity(body.len() / 3 * 4 + members.len() + 32);
    envelope.push_str(r#"{"body": ""#);
    STANDARD.encode_string(body, &mut envelope);
    envelope.push_str(r#"", "#);
    envelope.push_str(members);
    envelope
}

/// An envelope whose body is not copied.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow, default, rename = "content-type")]
    content_type: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "content-encoding")]
    content_encoding: Option<&'a RawValue>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
}

/// Builds a value, unless its text is too long or it is nested too deep.
fn built(value: Option<&RawValue>) -> Option<Value> {
    let Some(value) = value else {
        return Some(Value::Null);
    };
    let text = value.get();
    let is_read = text.len() <= HEADERS_BYTES;
    is_read.then(|| serde_json::from_str(text).ok()).flatten()
}

fn read(raw: &[u8]) -> Option<Envelope> {
    // A list would be read as the members in their order.
    if !raw.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let Wire {
        body,
        content_type,
        content_encoding,
        headers,
        properties,
    } = serde_json::from_slice(raw).ok()?;
    let properties = built(properties)?;
    let headers = match built(headers)? {
        Value::Object(headers) => headers,
        Value::Null => Map::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    let text = |value: Option<&RawValue>| {
        let text = built(value)?.as_str().unwrap_or_default().to_owned();
        Some(text)
    };
    let body = match properties.get("body_encoding").and_then(Value::as_str) {
        Some("base64") => STANDARD.decode(&*body).ok()?,
        None | Some("utf-8") => body.into_owned().into_bytes(),
        Some(_) => return None,
    };
    let ours = properties.get("celeriac").cloned().unwrap_or_default();
    let mut ours: Ours = serde_json::from_value(ours).unwrap_or_default();
    if is_redelivered(&headers, &properties) {
        ours.deliveries = ours.deliveries.max(1);
    }
    let property = |name: &str| {
        let text = properties.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let priority = properties.get("priority").and_then(Value::as_u64);
    let priority = priority.map(|raw| turned(u8::try_from(raw).unwrap_or(LAST).min(LAST)));
    Some(Envelope {
        message: Message {
            body: Bytes::from(body),
            content_type: text(content_type)?,
            content_encoding: text(content_encoding)?,
            headers,
            properties: Properties {
                correlation_id: property("correlation_id"),
                reply_to: property("reply_to"),
                priority,
                expiration: property("expiration"),
            },
        },
        ours,
    })
}

/// Builds the whole of an envelope that somebody else wrote, unless what is beside the
/// text of its body is too long.
#[must_use]
pub fn foreign(envelope: &RawValue) -> Option<Value> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        body: Option<&'a RawValue>,
    }
    let text = envelope.get();
    if !text.starts_with('{') {
        return None;
    }
    let Part { body } = serde_json::from_str(text).ok()?;
    let body = body.map(RawValue::get).filter(|body| body.starts_with('"'));
    let beside = text.len() - body.map_or(0, str::len);
    let is_read = beside <= 3 * HEADERS_BYTES;
    is_read.then(|| serde_json::from_str(text).ok()).flatten()
}

/// Sets the two flags that kombu sets when it gives a message back, and changes
/// nothing else of an envelope.
#[must_use]
pub fn redelivered(mut envelope: Value) -> Value {
    for place in ["/headers", "/properties/delivery_info"] {
        if let Some(Value::Object(place)) = envelope.pointer_mut(place) {
            place.insert("redelivered".to_owned(), Value::Bool(true));
        }
    }
    envelope
}

/// Tells whether kombu gave a message back.
fn is_redelivered(headers: &Map<String, Value>, properties: &Value) -> bool {
    let info = properties.get("delivery_info");
    [
        headers.get("redelivered"),
        info.and_then(|info| info.get("redelivered")),
    ]
    .contains(&Some(&Value::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the capture `task_add_json` has it.
    const CAPTURED: &str = r#"{"body": "W1syLCAzXSwge30sIHt9XQ==", "content-encoding": "utf-8",
        "content-type": "application/json", "headers": {"lang": "py", "task": "t", "id": "i"},
        "properties": {"correlation_id": "i", "reply_to": "r", "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 3,
        "body_encoding": "base64", "delivery_tag": "d"}}"#;

    #[test]
    fn what_celery_sends_is_read() {
        let Envelope { message, ours } = Envelope::read(CAPTURED.as_bytes());
        assert_eq!(message.body, "[[2, 3], {}, {}]");
        assert_eq!(message.headers["task"], "t");
        assert_eq!(message.properties.reply_to.as_deref(), Some("r"));
        assert_eq!(message.properties.priority, Some(6), "9 is first with us");
        assert_eq!(ours, Ours::default());
    }

    #[test]
    fn what_is_written_is_read_and_has_what_kombu_wants() {
        let envelope = Envelope {
            ours: Ours {
                deliveries: 2,
                ready_at: Some(5),
                key: Some("k".to_owned()),
                ..Ours::default()
            },
            ..Envelope::read(CAPTURED.as_bytes())
        };
        let written = envelope.write("q");
        assert_eq!(Envelope::read(written.as_bytes()), envelope);
        let value: Value = serde_json::from_str(&written).unwrap();
        let properties = &value["properties"];
        assert_eq!(properties["priority"], 3);
        assert_eq!(properties["delivery_mode"], 2);
        assert_eq!(
            properties["delivery_info"],
            json!({"exchange": "", "routing_key": "q", "redelivered": true})
        );
        assert!(properties["delivery_tag"].is_string());
    }

    #[test]
    fn a_message_that_kombu_gave_back_was_delivered_before() {
        for flag in [
            r#"{"body": "", "headers": {"redelivered": true}}"#,
            r#"{"body": "", "properties": {"delivery_info": {"redelivered": true}}}"#,
        ] {
            assert_eq!(Envelope::read(flag.as_bytes()).ours.deliveries, 1, "{flag}");
        }
    }

    #[test]
    fn what_is_no_envelope_keeps_its_bytes() {
        for raw in [
            &b""[..],
            b"\xff\xfe",
            b"null",
            b"[]",
            b"{}",
            br#"{"body": 1}"#,
            br#"{"body": "!", "properties": {"body_encoding": "base64"}}"#,
            br#"{"body": "", "properties": {"body_encoding": "rot13"}}"#,
            br#"{"body": "", "headers": [1]}"#,
            &[b'['; 100_000],
        ] {
            let envelope = Envelope::read(raw);
            assert_eq!(envelope.message.body, raw);
            assert_eq!(envelope.message.content_type, UNREADABLE);
        }
    }

    #[test]
    fn headers_and_properties_have_room_for_a_mebibyte_each() {
        for member in ["headers", "properties"] {
            let envelope = |bytes: usize| {
                let fill = "0,".repeat((bytes - r#"{"x":[0]}"#.len()) / 2);
                format!(r#"{{"body": "", "{member}": {{"x":[{fill}0]}}}}"#)
            };
            let largest = envelope(HEADERS_BYTES);
            let read = Envelope::read(largest.as_bytes());
            assert_ne!(read.message.content_type, UNREADABLE, "{member}");
            let larger = envelope(HEADERS_BYTES + 3);
            let read = Envelope::read(larger.as_bytes());
            assert_eq!(read.message.body, larger.as_bytes(), "{member}");
        }
    }

    #[test]
    fn an_envelope_of_somebody_else_is_built_unless_it_is_long_beside_its_body() {
        let built = |body: &str, header: &str| {
            let text = format!(r#"{{"headers": {{"x": {header}}}, "body": {body}}}"#);
            foreign(&RawValue::from_string(text).unwrap()).is_some()
        };
        let zeros = format!("[{}0]", "0,".repeat(3 * HEADERS_BYTES / 2));
        let long = json!("x".repeat(4 * HEADERS_BYTES)).to_string();
        assert!(built("\"\"", "null") && built(&long, "[1, null]"));
        assert!(!built("\"\"", &zeros) && !built(&zeros, "1") && !built("\"\"", &long));
        assert!(foreign(&RawValue::from_string("[1]".to_owned()).unwrap()).is_none());
    }

    #[test]
    fn a_priority_beyond_the_last_is_the_last() {
        let read = |priority: &str| {
            let raw = format!(r#"{{"body": "", "properties": {{"priority": {priority}}}}}"#);
            Envelope::read(raw.as_bytes()).message.properties.priority
        };
        assert_eq!(read("0"), Some(9));
        assert_eq!(read("255"), Some(0));
        assert_eq!(read("1000"), Some(0));
        assert_eq!(read("-1"), None);
        assert_eq!(read("\"x\""), None);
    }
}
