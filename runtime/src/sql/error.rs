//! Trouble of such a database, by what the caller does next.

use std::time::Duration;

/// Trouble of a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// Back off and try again.
    #[error("{reason}")]
    Unavailable {
        /// What it said.
        reason: String,
        /// The cause.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// Do not try again: it does not take these values.
    #[error("{reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// Fail the start: a person must act.
    #[error("{reason}")]
    Misconfigured {
        /// What it said, and what to do.
        reason: String,
    },
}

impl SqlError {
    pub(super) fn late(after: Duration) -> Self {
        Self::Unavailable {
            reason: format!("no answer within {} s", after.as_secs()),
            source: None,
        }
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(|error| Some(error.code()?.into_owned()));
        let reason = error.to_string();
        match code.as_deref().map(kind) {
            Some(Kind::Values) => Self::Refused { reason },
            Some(Kind::Person) => Self::Misconfigured { reason },
            Some(Kind::Passing) | None => Self::Unavailable {
                reason,
                source: Some(error),
            },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Values,
    Person,
    Passing,
}

/// Tells what an error code of SQLite means.
fn kind(code: &str) -> Kind {
    // The low byte of an extended code is the primary one.
    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
    match primary {
        // SQL that does not fit the tables, a folder or file that cannot be written,
        // damage, no database at all.
        1 | 3 | 8 | 11 | 14 | 23 | 26 => Kind::Person,
        // Too big, or of another type.
        18 | 20 => Kind::Values,
        _ => Kind::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_who_can_help() {
        for (code, expected) in [
            ("5", Kind::Passing),
            ("517", Kind::Passing),
            ("26", Kind::Person),
            ("1032", Kind::Person),
            ("18", Kind::Values),
            ("", Kind::Passing),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
