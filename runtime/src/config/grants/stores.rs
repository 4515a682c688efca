//! What a section grants of values, secrets and room.

use super::super::error::ConfigError;
use super::super::raw::Source;
use super::super::reader::Reader;
use super::inject::InjectLine;
use std::collections::BTreeSet;

/// Most names in one list (100): a denial repeats them all.
const NAMES: usize = 100;
/// Most room in a key-value store (1 GiB).
const KEY_VALUE: u64 = 1 << 30;
/// Most room for scratch files (256 MiB): an attempt may hold so much of the host's memory.
const SCRATCH: u64 = 256 << 20;

/// What there is to grant, by name.
pub(super) struct Named<'a> {
    pub(super) values: BTreeSet<&'a str>,
    pub(super) secrets: BTreeSet<&'a str>,
}

/// What one section grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreGrant {
    /// The configuration values that may be read, names of `[values]`.
    pub config: Vec<String>,
    /// The secrets that may be read, names of `[secrets]`.
    pub secrets: Vec<String>,
    /// The headers with secrets that the host adds to requests.
    pub inject: Vec<InjectLine>,
    /// Room in the key-value store of the module, bytes.
    pub key_value: u64,
    /// Room for scratch files of one attempt, bytes.
    pub scratch: u64,
}

/// Reads a section.
pub(super) fn read(
    reader: &mut Reader,
    section: &str,
    named: &Named<'_>,
) -> Result<StoreGrant, ConfigError> {
    let key = |name: &str| format!("{section}.{name}");
    let inject_key = key("inject");
    let (lines, place) = reader.list(&inject_key, &[])?;
    // Not what they are: who forgot the braces wrote the secret itself.
    let count = format!("a list of {}", lines.len());
    let refuse = |reason: String| ConfigError::Wrong {
        key: inject_key.clone(),
        value: count.clone(),
        reason,
        source_place: place.clone(),
    };
    if lines.len() > NAMES {
        return Err(refuse(format!("at most {NAMES} headers can be named")));
    }
    let inject = lines.iter().zip(1..).map(|(line, number)| {
        let read = InjectLine::parse(line).map_err(|reason| format!("line {number}: {reason}"))?;
        let known = |name: &str| named.secrets.contains(name);
        let unknown = read.secrets().find(|name| !known(name));
        match unknown.map(str::to_owned) {
            Some(name) => Err(format!(
                "line {number}: there is no secret {name:?} in [secrets]"
            )),
            None => Ok(read),
        }
    });
    let inject = inject.collect::<Result<_, String>>().map_err(refuse)?;
    Ok(StoreGrant {
        config: names(reader, &key("config"), &named.values, "[values]")?,
        secrets: names(reader, &key("secrets"), &named.secrets, "[secrets]")?,
        inject,
        key_value: reader.bytes(&key("key_value"), 0, 0..=KEY_VALUE)?,
        scratch: reader.bytes(&key("scratch"), 0, 0..=SCRATCH)?,
    })
}

fn names(
    reader: &mut Reader,
    key: &str,
    known: &BTreeSet<&str>,
    table: &str,
) -> Result<Vec<String>, ConfigError> {
    let (names, place) = reader.list(key, &[])?;
    if names.len() > NAMES {
        let reason = format!("at most {NAMES} names can be listed");
        return Err(wrong(key, &names, reason, &place));
    }
    match names.iter().find(|name| !known.contains(name.as_str())) {
        None => Ok(names),
        Some(name) => {
            let reason = format!("there is no {name:?} in {table}");
            Err(wrong(key, &names, reason, &place))
        }
    }
}

fn wrong(key: &str, items: &[String], reason: String, place: &Source) -> ConfigError {
    ConfigError::Wrong {
        key: key.to_owned(),
        value: format!("{items:?}"),
        reason,
        source_place: place.clone(),
    }
}
