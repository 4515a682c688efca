//! The part of a message that never changes, as a row.

use crate::celery::{Message, Properties};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The content type of a message of which nothing but the body is known.
const UNREADABLE: &str = "application/octet-stream";

/// All of a message but its body, as it is stored.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    content_type: Cow<'a, str>,
    content_encoding: Cow<'a, str>,
    headers: Cow<'a, Map<String, Value>>,
    properties: Cow<'a, Properties>,
}

/// A message as it is stored.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) envelope: String,
    pub(super) body: Bytes,
}

impl Payload {
    /// Writes a message.
    pub(super) fn write(message: Message) -> Self {
        let envelope = Envelope {
            content_type: Cow::Borrowed(&message.content_type),
            content_encoding: Cow::Borrowed(&message.content_encoding),
            headers: Cow::Borrowed(&message.headers),
            properties: Cow::Borrowed(&message.properties),
        };
        #[expect(
            clippy::expect_used,
            reason = "text and maps with text keys are always JSON"
        )]
        let envelope = serde_json::to_string(&envelope).expect("an envelope is JSON");
        Self {
            envelope,
            body: message.body,
        }
    }

    /// Reads the message back. One whose envelope cannot be read has no headers:
    /// it ends among the dead letters like any other that says too little,
    /// where an error would keep all others from being taken.
    pub(super) fn read(self) -> Message {
        let envelope: Option<Envelope<'_>> = serde_json::from_str(&self.envelope).ok();
        let Some(envelope) = envelope else {
            return Message {
                body: self.body,
                content_type: UNREADABLE.to_owned(),
                content_encoding: "binary".to_owned(),
                headers: Map::new(),
                properties: Properties::default(),
            };
        };
        Message {
            body: self.body,
            content_type: envelope.content_type.into_owned(),
            content_encoding: envelope.content_encoding.into_owned(),
            headers: envelope.headers.into_owned(),
            properties: envelope.properties.into_owned(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.envelope.len() + self.body.len()
    }
}
