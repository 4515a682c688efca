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
mod yaml;

pub use document::{DEPTH, NODES};
pub use number::DIGITS;

use super::compression::{self, EXPANDED_BYTES};
use super::message::Message;
use bytes::Bytes;

use std::borrow::Cow;
use std::fmt::Write as _;

/// A format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, with kombu's own values.
    Json,
    /// YAML, the safe part of it.
    Yaml,
    /// MessagePack.
    Msgpack,
    /// Python's pickle, plain data only.
    Pickle,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Json, Self::Yaml, Self::Msgpack, Self::Pickle];

    /// Its name in kombu and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Msgpack => "msgpack",
            Self::Pickle => "pickle",
        }
    }

    /// Its content type, as kombu writes it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/x-yaml",
            Self::Msgpack => "application/x-msgpack",
            Self::Pickle => "application/x-python-serialize",
        }
    }

    /// Finds a format by its name or its content type.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| text == format.name() || text == format.content_type())
    }
}

/// The formats that a worker reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept(Vec<Format>);

/// JSON alone, as Celery.
impl Default for Accept {
    fn default() -> Self {
        Self(vec![Format::Json])
    }
}

impl Accept {
    /// Accepts these.
    #[must_use]
    pub fn new(formats: &[Format]) -> Self {
        let all = Format::ALL.into_iter();
        Self(all.filter(|format| formats.contains(format)).collect())
    }

    /// Accepts every format there is.
    #[must_use]
    pub fn all() -> Self {
        Self::new(&Format::ALL)
    }

    /// Returns what is accepted, each format once.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.0
    }

    /// Finds the format of a content type, or says what would accept it.
    fn check(&self, content_type: &str) -> Result<Format, BodyError> {
        let format = Format::ALL
            .into_iter()
            .find(|format| format.content_type() == content_type);
        let Some(format) = format else {
            let known = Format::ALL.map(Format::content_type).join(", ");
            return Err(BodyError::not_accepted(format!(
                "content type {content_type:?} is not accepted; send one of {known}"
            )));
        };
        if self.0.contains(&format) {
            return Ok(format);
        }
        let mut line = String::new();
        for format in self.0.iter().chain([&format]) {
            let comma = if line.is_empty() { "" } else { ", " };
            let _ = write!(line, "{comma}\"{}\"", format.name());
        }
        Err(BodyError::not_accepted(format!(
            "content type {content_type:?} is not accepted; send application/json, or set accept_content = [{line}]"
        )))
    }
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
    let format = accept.check(&message.content_type)?;
    if matches!(format, Format::Json | Format::Yaml) {
        check_encoding(&message.content_encoding)?;
    }
    let plain = match compression::of(message) {
        None => message.body.clone(),
        Some(kind) => compression::expand(kind, &message.body)?,
    };
    let document = match format {
        Format::Json => return Ok(plain),
        Format::Yaml => yaml::read(&plain)?,
        Format::Msgpack => msgpack::read(&plain)?,
        Format::Pickle => pickle::read(&plain)?,
    };
    document.json().map(Bytes::from)
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
