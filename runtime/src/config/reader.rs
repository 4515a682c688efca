//! Reads typed values out of what was written, and remembers what it found.

use super::error::ConfigError;
use super::raw::{RawConfig, RawValue, Source, Written};
use super::units;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The word for a value that is switched off or unlimited.
const NONE_WORDS: [&str; 2] = ["off", "none"];
/// How alike a known key must be to be suggested, 0 to 1.
const ALIKE: f64 = 0.6;

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

    /// Reads a whole number within bounds.
    pub(super) fn number(
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
    pub(super) fn duration(
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
    pub(super) fn maybe_duration(
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
    pub(super) fn bytes(
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
    pub(super) fn flag(&mut self, key: &str, default: bool) -> Result<bool, ConfigError> {
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
    pub(super) fn list(
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
    pub(super) fn text<T>(
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
            value: quoted(&super::address::redact(text)),
            reason,
            source_place: written.source.clone(),
        })?;
        self.note(key, quoted(&shown(&value)), written.source);
        Ok(value)
    }

    /// Reads a text that nobody may see; without one it is empty.
    pub(super) fn secret(
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

    /// Reads a table of texts whose keys people choose, each pair checked; `wanted`
    /// is what a text stands for.
    pub(super) fn texts(
        &mut self,
        table: &str,
        most: usize,
        wanted: &str,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut texts = BTreeMap::new();
        for (name, written) in self.raw.take_table(table) {
            let key = format!("{table}.{name:?}");
            let RawValue::Text(target) = &written.value else {
                let reason = format!("a string is wanted: {wanted}");
                return Err(wrong(&key, &written, &reason));
            };
            check(&name, target).map_err(|reason| wrong(&key, &written, &reason))?;
            if texts.len() >= most {
                return Err(too_many(table, most, written.source));
            }
            self.note(&key, quoted(target), written.source);
            texts.insert(name, target.clone());
        }
        Ok(texts)
    }

    /// Opens the sections of a table, each with some of `keys`, and returns their
    /// names. A key of theirs is read as `TABLE."NAME".KEY`.
    pub(super) fn sections(
        &mut self,
        table: &str,
        keys: &[&str],
        most: usize,
    ) -> Result<BTreeSet<String>, ConfigError> {
        let mut names = BTreeSet::new();
        for (path, written) in self.raw.take_table(table) {
            let (name, key) = path.rsplit_once('.').unwrap_or(("", &path));
            if name.is_empty() || !keys.contains(&key) {
                let alike = |known: &&&str| strsim::normalized_damerau_levenshtein(known, key);
                let nearest = keys.iter().filter(|known| alike(known) >= ALIKE);
                let nearest = nearest.max_by(|a, b| alike(a).total_cmp(&alike(b)));
                let name = if name.is_empty() { "NAME" } else { name };
                return Err(ConfigError::Unknown {
                    nearest: nearest.map(|key| format!("{table}.{name}.{key}")),
                    key: format!("{table}.{path}"),
                    source_place: written.source,
                });
            }
            names.insert(name.to_owned());
            if names.len() > most {
                return Err(too_many(table, most, written.source));
            }
            self.raw.put(format!("{table}.{name:?}.{key}"), written);
        }
        Ok(names)
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

    /// Ends the reading; fails for a key that no one asked for.
    pub(super) fn finish(self) -> Result<Vec<Effective>, ConfigError> {
        let Some((key, written)) = self.raw.left_over() else {
            return Ok(self.effective);
        };
        let nearest = self
            .effective
            .iter()
            .map(|known| {
                (
                    strsim::normalized_damerau_levenshtein(&known.key, key)
                        .max(last_part(&known.key, key)),
                    &known.key,
                )
            })
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, key)| key.clone());
        Err(ConfigError::Unknown {
            key: key.clone(),
            nearest,
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

/// Compares the last parts of two keys, a little less than equal keys: it finds
/// a key that was written into the wrong section.
fn last_part(known: &str, key: &str) -> f64 {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    0.9 * strsim::normalized_damerau_levenshtein(&last(known), &last(key))
}

fn wrong(key: &str, written: &Written, reason: &str) -> ConfigError {
    ConfigError::Wrong {
        key: key.to_owned(),
        value: written.value.to_string(),
        reason: reason.to_owned(),
        source_place: written.source.clone(),
    }
}

fn too_many(table: &str, most: usize, source_place: Source) -> ConfigError {
    ConfigError::OutOfRange {
        key: table.to_owned(),
        value: "longer".to_owned(),
        bound: format!("at most {most} are allowed"),
        source_place,
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
