//! Values of one key each: read, checked against their bounds, and noted as they would
//! be written.

use super::{Reader, quoted, wrong};
use crate::config::error::ConfigError;
use crate::config::raw::{RawValue, Source, Written};
use crate::config::{address, units};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The word for a value that is switched off or unlimited.
const NONE_WORDS: [&str; 2] = ["off", "none"];
impl Reader {
    /// Reads a whole number within bounds.
    pub(in crate::config) fn number(
        &mut self,
        key: &str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let read = |written: &Written| match &written.value {
            RawValue::Integer(number) => {
                u64::try_from(*number).map_err(|_| format!("at least {} is wanted", bounds.start()))
            }
            RawValue::Text(text) if !matches!(written.source, Source::File { .. }) => text
                .trim()
                .parse()
                .map_err(|_| "a whole number is wanted".to_owned()),
            RawValue::Text(_) | RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => {
                Err("a whole number is wanted".to_owned())
            }
        };
        self.bounded(key, default, &bounds, read, |number| number.to_string())
    }

    /// Reads a span of time within bounds.
    pub(in crate::config) fn duration(
        &mut self,
        key: &str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        self.bounded(key, default, &bounds, with_unit(units::duration), |span| {
            quoted(&units::print_duration(span))
        })
    }

    /// Reads a span of time within bounds, or the word for none.
    pub(in crate::config) fn maybe_duration(
        &mut self,
        key: &str,
        default: Option<Duration>,
        bounds: RangeInclusive<Duration>,
        none: &str,
    ) -> Result<Option<Duration>, ConfigError> {
        if self.is_none(key, none, default.is_none()) {
            let source = self
                .raw
                .take(key)
                .map_or(Source::Default, |written| written.source);
            self.note(key, quoted(none), source);
            return Ok(None);
        }
        self.duration(key, default.unwrap_or_default(), bounds)
            .map(Some)
    }

    /// Reads a number of bytes within bounds.
    pub(in crate::config) fn bytes(
        &mut self,
        key: &str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        self.bounded(key, default, &bounds, with_unit(units::bytes), |count| {
            quoted(&units::print_bytes(count))
        })
    }

    /// Reads a truth value.
    pub(in crate::config) fn flag(
        &mut self,
        key: &str,
        default: bool,
    ) -> Result<bool, ConfigError> {
        let Some(written) = self.raw.take(key) else {
            self.note(key, default.to_string(), Source::Default);
            return Ok(default);
        };
        let flag = match &written.value {
            RawValue::Bool(flag) => *flag,
            RawValue::Text(text) if text == "true" => true,
            RawValue::Text(text) if text == "false" => false,
            RawValue::Text(_) | RawValue::Integer(_) | RawValue::List(_) | RawValue::Other(_) => {
                return Err(wrong(key, &written, "true or false is wanted"));
            }
        };
        self.note(key, flag.to_string(), written.source);
        Ok(flag)
    }

    /// Reads a list of texts: a list in the file, joined by commas elsewhere.
    pub(in crate::config) fn list(
        &mut self,
        key: &str,
        default: &[&str],
    ) -> Result<(Vec<String>, Source), ConfigError> {
        let (items, source) = match self.raw.take(key) {
            None => (
                default.iter().map(|item| (*item).to_owned()).collect(),
                Source::Default,
            ),
            Some(written) => match &written.value {
                RawValue::List(items) => (items.clone(), written.source),
                RawValue::Text(text) if !matches!(written.source, Source::File { .. }) => (
                    text.split(',').map(|item| item.trim().to_owned()).collect(),
                    written.source,
                ),
                RawValue::Text(_)
                | RawValue::Bool(_)
                | RawValue::Integer(_)
                | RawValue::Other(_) => {
                    return Err(wrong(
                        key,
                        &written,
                        "a list of strings is wanted, such as [\"celery\"]",
                    ));
                }
            },
        };
        self.note(key, format!("{items:?}"), source.clone());
        Ok((items, source))
    }

    /// Reads a text and what it means; `shown` is what a listing may show of it.
    pub(in crate::config) fn text<T>(
        &mut self,
        key: &str,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
        shown: impl Fn(&T) -> String,
    ) -> Result<T, ConfigError> {
        let Some(written) = self.raw.take(key) else {
            self.note(key, quoted(&shown(&default)), Source::Default);
            return Ok(default);
        };
        let RawValue::Text(text) = &written.value else {
            return Err(wrong(key, &written, "a string is wanted"));
        };
        // The value itself is left out: it may be an address with a password.
        let value = read(text).map_err(|reason| ConfigError::Wrong {
            key: key.to_owned(),
            value: quoted(&address::redact(text)),
            reason,
            source_place: written.source.clone(),
        })?;
        self.note(key, quoted(&shown(&value)), written.source);
        Ok(value)
    }

    /// Reads a text that nobody may see; without one it is empty.
    pub(in crate::config) fn secret(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Result<String, ConfigError> {
        let hidden = |secret: &str| match secret {
            "" => quoted(""),
            _ => quoted("***"),
        };
        let Some(written) = self.raw.take(key) else {
            self.note(key, hidden(""), Source::Default);
            return Ok(String::new());
        };
        let secret = match &written.value {
            RawValue::Text(text) => read(text),
            RawValue::Integer(_) | RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => {
                Err("a string is wanted".to_owned())
            }
        };
        let secret = secret.map_err(|reason| ConfigError::Wrong {
            key: key.to_owned(),
            value: quoted("***"),
            reason,
            source_place: written.source.clone(),
        })?;
        self.note(key, hidden(&secret), written.source);
        Ok(secret)
    }

    /// Tells whether nothing, or a word for nothing, was written.
    fn is_none(&self, key: &str, none: &str, by_default: bool) -> bool {
        match self.raw.get(key).map(|written| &written.value) {
            None => by_default,
            Some(RawValue::Text(text)) => text == none || NONE_WORDS.contains(&text.as_str()),
            Some(
                RawValue::Integer(_) | RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_),
            ) => false,
        }
    }

    fn bounded<T: PartialOrd + Copy>(
        &mut self,
        key: &str,
        default: T,
        bounds: &RangeInclusive<T>,
        read: impl Fn(&Written) -> Result<T, String>,
        print: impl Fn(T) -> String,
    ) -> Result<T, ConfigError> {
        let Some(written) = self.raw.take(key) else {
            self.note(key, print(default), Source::Default);
            return Ok(default);
        };
        let value = read(&written).map_err(|reason| wrong(key, &written, &reason))?;
        if !bounds.contains(&value) {
            let bound = if value < *bounds.start() {
                format!("at least {} is allowed", print(*bounds.start()))
            } else {
                format!("at most {} is allowed", print(*bounds.end()))
            };
            return Err(ConfigError::OutOfRange {
                key: key.to_owned(),
                value: print(value),
                bound,
                source_place: written.source,
            });
        }
        self.note(key, print(value), written.source);
        Ok(value)
    }
}

fn with_unit<T>(
    parse: fn(&str) -> Result<T, units::UnitError>,
) -> impl Fn(&Written) -> Result<T, String> {
    move |written| {
        let text = match &written.value {
            RawValue::Text(text) => text.clone(),
            RawValue::Integer(number) => number.to_string(),
            RawValue::Bool(_) | RawValue::List(_) | RawValue::Other(_) => String::new(),
        };
        parse(&text).map_err(|error| error.to_string())
    }
}
