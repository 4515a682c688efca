//! The formats of a body: each accepted one becomes the JSON text that a request is
//! cut from. A plain JSON body stays the message's own bytes.
//!
//! Every body is hostile: nothing here calls what it names, nests deeper than
//! [`DEPTH`], or grows beyond [`EXPANDED_BYTES`].

mod construct;
mod cursor;
mod document;
mod msgpack;
mod number;
mod pickle;
mod scalar;
mod typed;
mod unread;
mod yaml;

pub use crate::task::{Accept, Format};
pub use document::{DEPTH, NODES};
pub use number::DIGITS;

use super::compression::{self, EXPANDED_BYTES};
use super::message::Message;
use bytes::Bytes;

use std::borrow::Cow;
use std::fmt::Write as _;

/// Finds the format of a content type, or says what would accept it.
fn accepted(accept: &Accept, content_type: &str) -> Result<Format, BodyError> {
    let Some(format) = Format::of(content_type) else {
        let known = Format::ALL.map(Format::content_type).join(", ");
        let content_type = shown(content_type);
        return Err(BodyError::not_accepted(format!(
            "content type {content_type:?} is not accepted; send one of {known}, or to a task that accepts it itself"
        )));
    };
    if accept.formats().contains(&format) {
        return Ok(format);
    }
    let mut line = String::new();
    for format in accept.formats().iter().chain([&format]) {
        let comma = if line.is_empty() { "" } else { ", " };
        let _ = write!(line, "{comma}\"{}\"", format.name());
    }
    Err(BodyError::not_accepted(format!(
        "content type {content_type:?} is not accepted; send application/json, or set accept_content = [{line}]"
    )))
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Send it in another form, or accept this one.
    #[error("{reason}")]
    NotAccepted {
        /// What is not accepted, and what would be.
        reason: String,
    },
    /// It is not what it says it is.
    #[error("{reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It holds a value that a task cannot be given.
    #[error("{reason}")]
    NoJson {
        /// Which value, and what to send instead.
        reason: String,
    },
    /// It is over a limit.
    #[error("{reason}")]
    TooLarge {
        /// The limit.
        reason: String,
    },
}

impl BodyError {
    fn not_accepted(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::NotAccepted { reason }
    }

    fn malformed(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Malformed { reason }
    }

    fn no_json(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::NoJson { reason }
    }

    pub(super) fn too_large(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::TooLarge { reason }
    }
}

/// Tells whether a body is JSON as it stands, so that reading it costs next to nothing.
#[must_use]
pub fn is_plain(message: &Message) -> bool {
    message.content_type == Format::Json.content_type() && compression::of(message).is_none()
}

/// Returns the body of a message as JSON text: the message's own bytes where they are.
///
/// # Errors
/// [`BodyError`] when it is not accepted, not readable, or over a limit.
pub fn json(message: &Message, accept: &Accept) -> Result<Bytes, BodyError> {
    if accept.leaves_unread(&message.content_type) {
        return Ok(unread::wrap(message, &expanded(message)?));
    }
    let format = accepted(accept, &message.content_type)?;
    if matches!(format, Format::Json | Format::Yaml) {
        check_encoding(&message.content_encoding)?;
    }
    let plain = expanded(message)?;
    let document = match format {
        Format::Json => return Ok(plain),
        Format::Yaml => yaml::read(&plain)?,
        Format::Msgpack => msgpack::read(&plain)?,
        Format::Pickle => pickle::read(&plain)?,
    };
    document.json().map(Bytes::from)
}

/// Returns the plain data of a pickle as JSON; dates and what else JSON lacks as kombu's
/// marked values. Nothing that it names is called.
///
/// # Errors
/// [`BodyError`] when it holds anything else, or is over a limit.
pub fn plain_pickle(pickle: &[u8]) -> Result<Bytes, BodyError> {
    pickle::read(pickle)?.json().map(Bytes::from)
}

fn expanded(message: &Message) -> Result<Bytes, BodyError> {
    match compression::of(message) {
        None => Ok(message.body.clone()),
        Some(kind) => compression::expand(kind, &message.body),
    }
}

fn check_encoding(encoding: &str) -> Result<(), BodyError> {
    let encoding = encoding.to_ascii_lowercase();
    if ["", "utf-8", "utf8", "us-ascii", "ascii", "binary"].contains(&encoding.as_str()) {
        return Ok(());
    }
    Err(BodyError::not_accepted(format!(
        "content encoding {encoding:?} is not accepted; send utf-8"
    )))
}

/// At most the first 80 characters of a hostile text, for a message.
fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(80) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default())),
    }
}
