//! Reads typed values out of what was written, and remembers what it found.

mod tables;
mod values;

use super::alike;
use super::error::ConfigError;
use super::raw::{RawConfig, RawValue, Source, Written};
use std::collections::BTreeMap;

/// A key with the value in force and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key, such as `worker.concurrency`.
    pub key: String,
    /// The value as it would be written in the file.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

impl Effective {
    /// Escapes as TOML does what was escaped as Rust does.
    fn in_toml(self) -> Self {
        Self {
            key: escaped(&self.key),
            value: escaped(&self.value),
            source: self.source,
        }
    }
}

/// Reads keys one by one. Each key is read exactly once; [`Reader::finish`]
/// fails for a key that was written and never read.
#[derive(Debug)]
pub(super) struct Reader {
    raw: RawConfig,
    effective: Vec<Effective>,
}

impl Reader {
    pub(super) fn new(raw: RawConfig) -> Self {
        Self {
            raw,
            effective: Vec::new(),
        }
    }

    /// Tells whether a key was written and not read yet.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.raw.get(key).is_some()
    }

    /// Tells where a key was written that is not read yet.
    pub(super) fn place(&self, key: &str) -> Source {
        let written = self.raw.get(key);
        written.map_or(Source::Default, |written| written.source.clone())
    }

    /// Tells whether nothing was written for a key that has no default, and notes it then.
    pub(super) fn is_nothing(&mut self, key: &str) -> bool {
        let source = match self.raw.get(key) {
            None => Source::Default,
            Some(written) => match &written.value {
                RawValue::Text(text) if text == "none" => written.source.clone(),
                RawValue::Text(_)
                | RawValue::Integer(_)
                | RawValue::Bool(_)
                | RawValue::List(_)
                | RawValue::Other(_) => return false,
            },
        };
        drop(self.raw.take(key));
        self.note(key, quoted("none"), source);
        true
    }

    /// Takes all of a table out whose keys people choose.
    pub(super) fn table(&mut self, table: &str) -> BTreeMap<String, Written> {
        self.raw.take_table(table)
    }

    /// Puts a key where it is read.
    pub(super) fn put(&mut self, key: String, written: Written) {
        self.raw.put(key, written);
    }

    /// Puts a key of a table where it is read.
    pub(super) fn put_in(&mut self, table: &str, name: &str, written: Written) {
        self.raw.put_in(table, name, written);
    }

    /// Ends the reading; fails for a key that no one asked for.
    pub(super) fn finish(self) -> Result<Vec<Effective>, ConfigError> {
        let Some((key, written)) = self.raw.left_over() else {
            return Ok(self.effective.into_iter().map(Effective::in_toml).collect());
        };
        let known = self.effective.iter().map(|known| known.key.as_str());
        Err(ConfigError::Unknown {
            key: key.clone(),
            nearest: alike::nearest(known, key).map(str::to_owned),
            source_place: written.source.clone(),
        })
    }

    /// Remembers a value in force that was not read by this reader.
    pub(super) fn note(&mut self, key: &str, value: String, source: Source) {
        self.effective.push(Effective {
            key: key.to_owned(),
            value,
            source,
        });
    }

    /// Tells where the value of a key that was read came from.
    pub(super) fn source(&self, key: &str) -> Source {
        self.effective
            .iter()
            .find(|known| known.key == key)
            .map_or(Source::Default, |known| known.source.clone())
    }
}

fn wrong(key: &str, written: &Written, reason: &str) -> ConfigError {
    ConfigError::Wrong {
        key: key.to_owned(),
        value: written.value.to_string(),
        reason: reason.to_owned(),
        source_place: written.source.clone(),
    }
}

/// Writes the escapes of Rust's texts that TOML has not (`\u{1b}`, `\0`) as TOML's.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        escaped.push(letter);
        if letter != '\\' {
            continue;
        }
        match rest.next() {
            Some('u') => {
                let digits: String = rest.by_ref().take_while(|digit| *digit != '}').collect();
                let digits = digits.trim_start_matches('{');
                escaped.push_str(&format!("U{digits:0>8}"));
            }
            Some('0') => escaped.push_str("u0000"),
            Some(other) => escaped.push(other),
            None => {}
        }
    }
    escaped
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
