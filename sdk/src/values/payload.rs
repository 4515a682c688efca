//! A body in a format of somebody's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Bytes;

/// The body of a message in a format that the worker does not know, as a task gets it
/// that names its content type: `#[task(accept = ["application/x-shop"])]`.
///
/// It is the one positional argument. The bytes are what the sender's serializer made of
/// Celery's whole body `(args, kwargs, embed)`, expanded where they were compressed; what is
/// to follow the task (links, the rest of a chain, a chord) stands in them too, so that the
/// worker cannot see it and does not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payload {
    /// The content type, one of those that the task accepts.
    pub content_type: String,
    /// The content encoding, such as `utf-8` or `binary`; empty where none was given.
    pub content_encoding: String,
    /// The bytes.
    pub body: Bytes,
}
