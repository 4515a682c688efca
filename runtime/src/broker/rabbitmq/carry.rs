//! A message as RabbitMQ carries it, and what we note beside it.
//!
//! Our notes are headers whose names begin with `x-celeriac-`. The headers that the
//! server itself adds (`x-death`, `x-delivery-count` and their like) are read here
//! and go no further, nor do `CC` and `BCC`, which would send a message that is
//! published again to other queues as well.

use super::headers;
use crate::celery::{Message, Properties};
use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use serde_json::{Map, Value};

/// How often it was delivered before, as far as it counts.
const DELIVERIES: &str = "x-celeriac-deliveries";
/// When it was published or due, milliseconds since 1970.
const READY_AT: &str = "x-celeriac-ready-at";
/// Why it died.
const REASON: &str = "x-celeriac-reason";
/// When it died, milliseconds since 1970.
const DIED_AT: &str = "x-celeriac-died-at";
/// How often a quorum queue gave it out before.
const DELIVERY_COUNT: &str = "x-delivery-count";
/// What the server adds on the way, or would act upon.
const SERVERS: [&str; 8] = [
    DELIVERY_COUNT,
    "x-acquired-count",
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "CC",
    "BCC",
];
/// Server names that begin so are of one family (`x-last-death-queue`, …).
const LAST_DEATH: &str = "x-last-death-";
/// The delivery mode of a message that survives the server.
const PERSISTENT: u8 = 2;
/// The delivery mode of a message that need not.
const TRANSIENT: u8 = 1;
/// The highest priority of Celery.
const HIGHEST: u8 = 9;

/// What we know of a message beyond what its sender said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) deliveries: u32,
    pub(super) ready_at: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) died_at: Option<i64>,
    /// What a quorum queue counted, this delivery not included.
    pub(super) counted: Option<u32>,
}

/// Reads a message.
pub(super) fn read(properties: &BasicProperties, body: Vec<u8>) -> (Message, Notes) {
    let mut headers = properties
        .headers()
        .as_ref()
        .map(headers::read)
        .unwrap_or_default();
    let notes = Notes {
        deliveries: take_count(&mut headers, DELIVERIES).unwrap_or_default(),
        ready_at: take(&mut headers, READY_AT).and_then(|at| at.as_i64()),
        reason: take(&mut headers, REASON).and_then(|reason| reason.as_str().map(str::to_owned)),
        died_at: take(&mut headers, DIED_AT).and_then(|at| at.as_i64()),
        counted: take_count(&mut headers, DELIVERY_COUNT),
    };
    headers.retain(|name, _| !SERVERS.contains(&name.as_str()) && !name.starts_with(LAST_DEATH));
    let text = |text: &Option<ShortString>| {
        let text = text.as_ref().map(ShortString::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let message = Message {
        body: Bytes::from(body),
        content_type: text(properties.content_type()).unwrap_or_default(),
        content_encoding: text(properties.content_encoding()).unwrap_or_default(),
        headers,
        properties: Properties {
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            priority: properties.priority().map(|priority| priority.min(HIGHEST)),
            expiration: text(properties.expiration()),
        },
    };
    (message, notes)
}

fn take(headers: &mut Map<String, Value>, name: &str) -> Option<Value> {
    headers.remove(name)
}

fn take_count(headers: &mut Map<String, Value>, name: &str) -> Option<u32> {
    let count = headers.remove(name)?.as_u64()?;
    Some(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Writes the properties of a reply: it need not outlive the server.
pub(super) fn reply(message: &Message) -> BasicProperties {
    write(message, &Notes::default(), 0).with_delivery_mode(TRANSIENT)
}

/// Writes the properties of a message, its headers in at most `room` bytes. A text over 255 bytes, which AMQP cannot
/// carry here, is left out.
pub(super) fn write(message: &Message, notes: &Notes, room: usize) -> BasicProperties {
    let mut all = message.headers.clone();
    if notes.deliveries > 0 {
        all.insert(DELIVERIES.to_owned(), notes.deliveries.into());
    }
    for (name, moment) in [(READY_AT, notes.ready_at), (DIED_AT, notes.died_at)] {
        if let Some(moment) = moment {
            all.insert(name.to_owned(), moment.into());
        }
    }
    if let Some(reason) = &notes.reason {
        all.insert(REASON.to_owned(), reason.as_str().into());
    }
    let short = |text: &str| ShortString::try_new(text).ok();
    let mut written = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers::write(&all, room));
    if let Some(content_type) = short(&message.content_type) {
        written = written.with_content_type(content_type);
    }
    if let Some(encoding) = short(&message.content_encoding) {
        written = written.with_content_encoding(encoding);
    }
    let Properties {
        correlation_id,
        reply_to,
        priority,
        expiration,
    } = &message.properties;
    if let Some(id) = correlation_id.as_deref().and_then(short) {
        written = written.with_correlation_id(id);
    }
    if let Some(queue) = reply_to.as_deref().and_then(short) {
        written = written.with_reply_to(queue);
    }
    if let Some(priority) = priority {
        written = written.with_priority(*priority);
    }
    // The server closes the channel for what is no number of milliseconds.
    let is_number =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(expiration) = expiration.as_deref().filter(is_number).and_then(short) {
        written = written.with_expiration(expiration);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROOM: usize = 100_000;

    fn message() -> Message {
        Message {
            body: Bytes::from_static(b"[[2, 3], {}, {}]"),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers: json!({"id": "i", "task": "t"}).as_object().unwrap().clone(),
            properties: Properties {
                correlation_id: Some("i".to_owned()),
                reply_to: Some("r".to_owned()),
                priority: Some(9),
                expiration: Some("60000".to_owned()),
            },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let notes = Notes {
            deliveries: 2,
            ready_at: Some(5),
            reason: Some("ä".to_owned()),
            died_at: Some(6),
            counted: None,
        };
        let written = write(&message(), &notes, ROOM);
        assert_eq!(*written.delivery_mode(), Some(2));
        assert_eq!(read(&written, message().body.to_vec()), (message(), notes));
    }

    #[test]
    fn what_the_server_adds_goes_no_further() {
        let mut sent = message();
        for name in [
            "x-death",
            "x-first-death-queue",
            "x-last-death-reason",
            "CC",
            "BCC",
        ] {
            sent.headers.insert(name.to_owned(), json!(["other"]));
        }
        sent.headers.insert(DELIVERY_COUNT.to_owned(), json!(3));
        let (read, notes) = read(&write(&sent, &Notes::default(), ROOM), sent.body.to_vec());
        assert_eq!(read, message());
        assert_eq!(notes.counted, Some(3));
    }

    #[test]
    fn what_amqp_cannot_carry_is_left_out() {
        let mut sent = message();
        sent.properties.reply_to = Some("r".repeat(256));
        sent.properties.expiration = Some("soon".to_owned());
        let written = write(&sent, &Notes::default(), ROOM);
        assert_eq!(*written.reply_to(), None);
        assert_eq!(*written.expiration(), None);
    }

    #[test]
    fn notes_of_the_wrong_type_are_none() {
        let mut sent = message();
        for name in [DELIVERIES, READY_AT, REASON, DIED_AT, DELIVERY_COUNT] {
            sent.headers.insert(name.to_owned(), json!([1]));
        }
        let (_, notes) = read(&write(&sent, &Notes::default(), ROOM), Vec::new());
        assert_eq!(notes, Notes::default());
    }
}
