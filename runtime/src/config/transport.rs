//! The sections `[broker_transport_options]` and `[result_backend_transport_options]`,
//! named as Celery's own settings.

use super::address::Address;
use super::error::ConfigError;
use super::reader::Reader;
use super::worker::A_YEAR;
use std::fmt;
use std::time::Duration;

/// How long a Python worker may hold a message unless told otherwise (1 h), as Celery.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Longest prefix of keys, bytes: it stands before every one of them.
const PREFIX_BYTES: usize = 255;

/// Longest name, user or password, bytes.
const WORD_BYTES: usize = 255;

/// What is asked of sentinels, and who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SentinelOptions {
    /// What they call the master; empty where no sentinel is asked.
    pub master_name: String,
    /// A user of the sentinels themselves.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

/// What Celery calls `broker_transport_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerOptions {
    /// A text before every key in Redis.
    pub global_keyprefix: String,
    /// How long a Python worker may hold a message before it is given to another.
    pub visibility_timeout: Duration,
    /// What sentinels are asked for.
    pub sentinel: SentinelOptions,
}

/// What Celery calls `result_backend_transport_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultOptions {
    /// A text before every key and channel in Redis.
    pub global_keyprefix: String,
    /// What sentinels are asked for.
    pub sentinel: SentinelOptions,
}

impl BrokerOptions {
    pub(super) fn read(reader: &mut Reader, broker: &Address) -> Result<Self, ConfigError> {
        Ok(Self {
            global_keyprefix: prefix(reader, "broker_transport_options.global_keyprefix")?,
            visibility_timeout: reader.duration(
                "broker_transport_options.visibility_timeout",
                VISIBILITY_TIMEOUT,
                Duration::from_secs(1)..=A_YEAR,
            )?,
            sentinel: SentinelOptions::read(reader, "broker_transport_options", broker)?,
        })
    }
}

impl ResultOptions {
    pub(super) fn read(reader: &mut Reader, backend: &Address) -> Result<Self, ConfigError> {
        let section = "result_backend_transport_options";
        Ok(Self {
            global_keyprefix: prefix(reader, &format!("{section}.global_keyprefix"))?,
            sentinel: SentinelOptions::read(reader, section, backend)?,
        })
    }
}

impl SentinelOptions {
    fn read(reader: &mut Reader, section: &str, address: &Address) -> Result<Self, ConfigError> {
        let key = format!("{section}.master_name");
        let master_name = reader.text(&key, String::new(), word, Clone::clone)?;
        if master_name.is_empty() && matches!(address, Address::Sentinel(_)) {
            return Err(ConfigError::Wrong {
                value: format!("{master_name:?}"),
                reason: "sentinels must be asked for a master by its name".to_owned(),
                source_place: reader.source(&key),
                key,
            });
        }
        let kwargs = format!("{section}.sentinel_kwargs");
        let key = format!("{kwargs}.username");
        let username = reader.text(&key, String::new(), word, Clone::clone)?;
        let password = reader.secret(&format!("{kwargs}.password"), word)?;
        let set = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            master_name,
            username: set(username),
            password: set(password),
        })
    }
}

impl fmt::Debug for SentinelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentinelOptions")
            .field("master_name", &self.master_name)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .finish()
    }
}

fn word(text: &str) -> Result<String, String> {
    if text.len() > WORD_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "at most {WORD_BYTES} bytes and no control characters are allowed"
        ));
    }
    Ok(text.to_owned())
}

fn prefix(reader: &mut Reader, key: &str) -> Result<String, ConfigError> {
    reader.text(key, String::new(), checked, Clone::clone)
}

/// Checks a prefix of keys.
pub(super) fn checked(text: &str) -> Result<String, String> {
    if text.len() > PREFIX_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "a prefix has at most {PREFIX_BYTES} bytes and no control characters"
        ));
    }
    Ok(text.to_owned())
}
