//! A JSON Schema that somebody else wrote, as a component brings it.
//!
//! It may be anything: endless, exponential, or a pattern that compiles to megabytes. So it
//! is looked over before it is compiled, its patterns run on the engine that takes linear
//! time, and each comparison is weighed before it is made.

use super::survey::survey;
use super::weigh::{Budget, Scale};
use super::{Unfit, shown};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Largest schema of a parameter, bytes (64 KiB): those that derives write have a few
/// hundred.
pub const SCHEMA_BYTES: usize = 64 << 10;
/// Most patterns in the schemas of one task: each is compiled and kept.
pub const PATTERNS: usize = 16;
/// Largest compiled pattern, bytes (32 KiB): what it is compared with is weighed by it.
pub const PATTERN_BYTES: usize = 32 << 10;
/// What a pattern may remember while it runs, bytes (64 KiB).
const PATTERN_CACHE: usize = 64 << 10;

/// Why a schema cannot be used; who wrote the module can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is too large.
    #[error("it has {bytes} bytes; at most {SCHEMA_BYTES} are checked (fixed)")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is no schema, or nested too deep to be read.
    #[error("it is no JSON Schema: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It has more parts than anybody needs.
    #[error("it has over {} parts (fixed)", super::SUBSCHEMAS)]
    TooMany,
    /// The schemas of the task have too many patterns.
    #[error("the schemas of the task have over {PATTERNS} patterns (fixed)")]
    Patterns,
    /// It uses a keyword that reaches beyond it, or is not supported.
    #[error("it uses {keyword:?}, which is not supported")]
    Keyword {
        /// The keyword.
        keyword: String,
    },
    /// A reference leads nowhere in it.
    #[error("its reference {reference:?} leads nowhere within it")]
    Reference {
        /// The reference.
        reference: String,
    },
}

/// A schema that is ready to compare values with.
pub(super) struct Schema {
    validator: Validator,
    source: Value,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl Schema {
    /// Reads a schema that may have so many `patterns`, and takes those off that it has.
    pub(super) fn read(text: &str, patterns: &mut usize) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_BYTES {
            let bytes = text.len();
            return Err(SchemaError::TooLarge { bytes });
        }
        let malformed = |reason: String| SchemaError::Malformed {
            reason: shown(&reason),
        };
        let source: Value =
            serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let found = survey(&source)?;
        *patterns = patterns.checked_sub(found).ok_or(SchemaError::Patterns)?;
        let engine = PatternOptions::regex()
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_CACHE);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(false)
            .with_pattern_options(engine)
            .offline()
            .build(&source)
            .map_err(|error| malformed(error.masked().to_string()))?;
        Ok(Self { validator, source })
    }

    /// Compares the argument of a parameter with it.
    pub(super) fn check(
        &self,
        parameter: &str,
        value: &RawValue,
        budget: &mut Budget,
    ) -> Result<(), Unfit> {
        let parsed = serde_json::from_str::<Value>(value.get());
        let parsed = parsed.map_err(|error| Unfit::Value {
            parameter: shown(parameter),
            place: String::new(),
            value: shown(value.get()),
            expected: format!("it cannot be read: {error}"),
        })?;
        let weighed = Scale::new(&self.source, budget).weigh(&parsed);
        weighed.ok_or_else(|| Unfit::TooMuch {
            parameter: shown(parameter),
        })?;
        self.validator
            .validate(&parsed)
            .map_err(|error| Unfit::Value {
                parameter: shown(parameter),
                place: shown(error.instance_path().as_str()),
                value: shown(&error.instance().to_string()),
                expected: shown(&error.masked_with("it").to_string()),
            })
    }
}
