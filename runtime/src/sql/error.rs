//! Trouble of such a database, by what the caller does next.

use super::WAIT;
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
        let reason = if matches!(error, sqlx::Error::PoolTimedOut) {
            format!("no connection to the database within {} s", WAIT.as_secs())
        } else {
            error.to_string()
        };
        match sort(&error) {
            Kind::Values => Self::Refused { reason },
            Kind::Person => Self::Misconfigured { reason },
            Kind::Passing => Self::Unavailable {
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

fn sort(error: &sqlx::Error) -> Kind {
    use sqlx::Error;
    let code = error.as_database_error().and_then(|error| error.code());
    if let Some(code) = code {
        return kind(&code);
    }
    // A certificate that is not trusted, an option, a column of another kind.
    let is_for_a_person = if let Error::Io(error) = error {
        error.kind() == std::io::ErrorKind::InvalidData
    } else {
        matches!(
            error,
            Error::Tls(_) | Error::Configuration(_) | Error::ColumnDecode { .. } | Error::Decode(_)
        )
    };
    if is_for_a_person {
        Kind::Person
    } else {
        Kind::Passing
    }
}

/// Tells what an error code means: five letters of Postgres, a number of SQLite.
fn kind(code: &str) -> Kind {
    if code.len() == 5 {
        return state(code);
    }
    // The low byte of SQLite's extended codes is the primary one.
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

/// Tells what an SQLSTATE means.
fn state(code: &str) -> Kind {
    match code {
        // Somebody else made the same table or sequence at the same time.
        "42P07" | "42710" => Kind::Passing,
        // A column that must be filled and that we do not know, or a check that is not ours.
        "23502" | "23514" => Kind::Person,
        // Data that the columns do not take, and more than a message may be.
        _ if code.starts_with("22") || code.starts_with("54") => Kind::Values,
        // Who we are, which database, which schema, and SQL that does not fit the tables.
        _ if ["28", "3D", "3F", "42"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Kind::Person
        }
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
            ("28P01", Kind::Person),
            ("3D000", Kind::Person),
            ("42501", Kind::Person),
            ("42703", Kind::Person),
            ("23502", Kind::Person),
            ("23505", Kind::Passing),
            ("42P07", Kind::Passing),
            ("40P01", Kind::Passing),
            ("57P03", Kind::Passing),
            ("57014", Kind::Passing),
            ("08006", Kind::Passing),
            ("22001", Kind::Values),
            ("22021", Kind::Values),
            ("", Kind::Passing),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
