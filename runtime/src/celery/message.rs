//! A message as a broker carries it: properties, headers, body.
//!
//! The form is Celery's task message protocol, version 2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A message, not looked into.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The body, as it was sent.
    pub body: Bytes,
    /// The media type of the body, such as `application/json`.
    pub content_type: String,
    /// The encoding of the body: `utf-8` or `binary`.
    pub content_encoding: String,
    /// Headers by name.
    pub headers: Map<String, Value>,
    /// Properties beside the headers.
    pub properties: Properties,
}

/// The properties of a message that a task queue uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// The task id.
    pub correlation_id: Option<String>,
    /// Where an `rpc://` client waits for the result.
    pub reply_to: Option<String>,
    /// 0 to 9, 9 first, whatever the broker's own order is; `None` is the
    /// broker's default place.
    pub priority: Option<u8>,
    /// Milliseconds until the message expires, as text.
    pub expiration: Option<String>,
}
