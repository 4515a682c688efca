//! What can be wrong with a configuration.

use super::raw::{ENV_PREFIX, Source};
use std::path::PathBuf;

/// A configuration that cannot be used. Each one names the key, its value, the
/// bound and where the value was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than a configuration may be.
    #[error("the configuration {} has {bytes} bytes; at most {allowed} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// The file is not TOML.
    #[error("{source_place} is not valid TOML: {reason}")]
    Syntax {
        /// File and line.
        source_place: Source,
        /// The parser's words.
        reason: String,
    },
    /// A key that does not exist.
    #[error("there is no key {key:?} in {source_place}{}", suggestion(.nearest.as_deref(), .source_place))]
    Unknown {
        /// The key as it was written.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
        /// Where it was written.
        source_place: Source,
    },
    /// A value that is not of the key's kind.
    #[error("{key} is {value}: {reason}, in {source_place}")]
    Wrong {
        /// The key.
        key: String,
        /// The value as it was written.
        value: String,
        /// What is wrong with it, and what was wanted.
        reason: String,
        /// Where it was written.
        source_place: Source,
    },
    /// A value outside its bounds.
    #[error("{key} is {value}; {bound}, in {source_place}")]
    OutOfRange {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// The bound, such as `at most 4000`.
        bound: String,
        /// Where it was written.
        source_place: Source,
    },
}

/// Names the key that was meant, as it is written where the wrong one stands.
fn suggestion(key: Option<&str>, place: &Source) -> String {
    let Some(key) = key else {
        return String::new();
    };
    match (place, variable(key)) {
        (Source::Environment(_), Some(variable)) => {
            format!("; did you mean {variable} ({key})?")
        }
        _ => format!("; did you mean {key:?}?"),
    }
}

/// Returns the environment variable of a key: `a.b` is `CELERIAC_A__B`. An alias
/// has none that a person would write.
fn variable(key: &str) -> Option<String> {
    let is_alias = key.starts_with("aliases.");
    (!is_alias).then(|| {
        format!(
            "{ENV_PREFIX}{}",
            key.replace('.', "__").to_ascii_uppercase()
        )
    })
}
