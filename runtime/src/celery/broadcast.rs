//! Messages to many: events and remote control. They are not tasks, and nothing
//! of theirs is kept.

use super::message::{Message, Properties};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The exchange of events.
pub const EVENTS: &str = "celeryev";
/// The exchange of requests to workers.
pub const REQUESTS: &str = "celery.pidbox";
/// The exchange of their answers.
pub const ANSWERS: &str = "reply.celery.pidbox";
/// Largest body that is heard, bytes (1 MiB): more is dropped unread.
pub const HEARD_BYTES: usize = 1 << 20;

/// Makes a message of a JSON text.
#[must_use]
pub fn message(body: String, headers: Map<String, Value>) -> Message {
    Message {
        body: Bytes::from(body),
        content_type: "application/json".to_owned(),
        content_encoding: "utf-8".to_owned(),
        headers,
        properties: Properties::default(),
    }
}

/// Tells whether a message may be looked into: JSON of a bearable size.
#[must_use]
pub fn is_readable(message: &Message) -> bool {
    message.body.len() <= HEARD_BYTES && message.content_type == "application/json"
}

/// Returns the sender's logical clock, where it names one.
#[must_use]
pub fn clock(message: &Message) -> Option<i64> {
    message.headers.get("clock").and_then(Value::as_i64)
}

/// Returns the name of the queue in which a worker of that name hears requests.
#[must_use]
pub fn mailbox(node: &str) -> String {
    format!("{node}.{REQUESTS}")
}

/// Returns the name of the queue in which a client of that name hears answers.
#[must_use]
pub fn answers(client: &str) -> String {
    format!("{client}.{ANSWERS}")
}

/// Writes the envelope in which kombu's Redis transport carries a message.
#[must_use]
pub fn envelope(message: &Message, exchange: &str, routing_key: &str) -> String {
    // Requests are persistent with Celery, the rest is not.
    let mode = if exchange == REQUESTS { 2 } else { 1 };
    json!({
        "body": STANDARD.encode(&message.body),
        "content-type": message.content_type,
        "content-encoding": message.content_encoding,
        "headers": message.headers,
        "properties": {
            "delivery_mode": mode,
            "delivery_info": {"exchange": exchange, "routing_key": routing_key},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": uuid::Uuid::new_v4().to_string(),
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::envelope::Envelope;
    use super::*;

    #[test]
    fn what_is_written_for_redis_is_read_again() {
        let headers = Map::from_iter([("clock".to_owned(), json!(7))]);
        let sent = message("{}".to_owned(), headers);
        let text = envelope(&sent, EVENTS, "task.multi");
        let heard = Envelope::read(text.as_bytes()).message;
        assert_eq!(heard.body, sent.body);
        assert_eq!(clock(&heard), Some(7));
        assert!(is_readable(&heard));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["properties"]["delivery_mode"], 1);
    }

    #[test]
    fn what_is_too_large_or_not_json_is_not_looked_into() {
        let largest = message(" ".repeat(HEARD_BYTES), Map::new());
        assert!(is_readable(&largest));
        let larger = message(" ".repeat(HEARD_BYTES + 1), Map::new());
        assert!(!is_readable(&larger));
        let pickled = Message {
            content_type: "application/x-python-serialize".to_owned(),
            ..message("{}".to_owned(), Map::new())
        };
        assert!(!is_readable(&pickled));
    }
}
