//! The sections `[broker_transport_options]` and `[result_backend_transport_options]`,
//! named as Celery's own settings.

use super::error::ConfigError;
use super::reader::Reader;
use super::worker::A_YEAR;
use std::time::Duration;

/// How long a Python worker may hold a message unless told otherwise (1 h), as Celery.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Longest prefix of keys, bytes: it stands before every one of them.
const PREFIX_BYTES: usize = 255;

/// What Celery calls `broker_transport_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerOptions {
    /// A text before every key in Redis.
    pub global_keyprefix: String,
    /// How long a Python worker may hold a message before it is given to another.
    pub visibility_timeout: Duration,
}

/// What Celery calls `result_backend_transport_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultOptions {
    /// A text before every key and channel in Redis.
    pub global_keyprefix: String,
}

impl BrokerOptions {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            global_keyprefix: prefix(reader, "broker_transport_options.global_keyprefix")?,
            visibility_timeout: reader.duration(
                "broker_transport_options.visibility_timeout",
                VISIBILITY_TIMEOUT,
                Duration::from_secs(1)..=A_YEAR,
            )?,
        })
    }
}

impl ResultOptions {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, ConfigError> {
        let key = "result_backend_transport_options.global_keyprefix";
        Ok(Self {
            global_keyprefix: prefix(reader, key)?,
        })
    }
}

fn prefix(reader: &mut Reader, key: &str) -> Result<String, ConfigError> {
    reader.text(key, String::new(), checked, Clone::clone)
}

fn checked(text: &str) -> Result<String, String> {
    if text.len() > PREFIX_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "a prefix has at most {PREFIX_BYTES} bytes and no control characters"
        ));
    }
    Ok(text.to_owned())
}
