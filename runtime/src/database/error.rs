//! Trouble of the database, by what the caller does next.

use std::path::PathBuf;
use std::sync::Arc;

/// SQLite's primary result codes that mean something to a caller.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
    /// Extended: the shared memory file beside the database cannot grow.
    pub(super) const IOERR_SHMSIZE: i32 = 10 | (19 << 8);
}

/// Trouble of the database.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Fail the start: a newer version wrote the file.
    #[error(
        "{path:?} was written by a newer celeriac (its schema has step {found:04}, this one knows steps up to {known:04}); use the newer celeriac, or another --data folder"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The highest step found in it.
        found: u32,
        /// The highest step known here.
        known: u32,
    },
    /// Fail the start: the file or its folder cannot be used.
    #[error("{path:?} cannot be used: {reason}")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Free some space: nothing was stored.
    #[error("the disk with the database is full; free some space or move the --data folder")]
    Full {
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// Back off and try again: another process holds the file for long.
    #[error("the database is busy: another process holds it; try again")]
    Busy {
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// An operator must act: it can be read but not written.
    #[error("the database cannot be written: make the --data folder and its files writable")]
    ReadOnly {
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// An operator must act: the content is damaged.
    #[error("the database is damaged; stop every celeriac on it and restore it from a copy")]
    Damaged {
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The statement did not succeed.
    #[error("the database refused a statement: {source}")]
    Statement {
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// It is shut down.
    #[error("the database is closed")]
    Closed,
}

impl DatabaseError {
    /// Tells whether the same statement may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full { .. } => true,
            Self::Newer { .. }
            | Self::Unusable { .. }
            | Self::ReadOnly { .. }
            | Self::Damaged { .. }
            | Self::Statement { .. }
            | Self::Closed => false,
        }
    }
}

impl From<Arc<sqlx::Error>> for DatabaseError {
    fn from(source: Arc<sqlx::Error>) -> Self {
        match primary_code(&source) {
            Some(code::BUSY | code::LOCKED) => Self::Busy { source },
            Some(code::READONLY | code::CANTOPEN) => Self::ReadOnly { source },
            Some(code::CORRUPT | code::NOTADB) => Self::Damaged { source },
            Some(code::FULL) => Self::Full { source },
            _ if extended_code(&source) == Some(code::IOERR_SHMSIZE) => Self::Full { source },
            _ if matches!(*source, sqlx::Error::PoolClosed) => Self::Closed,
            _ if matches!(*source, sqlx::Error::PoolTimedOut) => Self::Busy { source },
            _ => Self::Statement { source },
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(source: sqlx::Error) -> Self {
        Self::from(Arc::new(source))
    }
}

/// Returns SQLite's extended result code.
fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// Returns SQLite's primary result code: the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    Some(extended_code(error)? & 0xff)
}

/// Tells whether the error is that another connection holds the file.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::LOCKED))
}

/// Explains to people why the file at the given place cannot be opened.
pub(super) fn why_unusable(error: &sqlx::Error) -> String {
    match primary_code(error) {
        Some(code::NOTADB) => {
            "it is not a SQLite database; move it away, or name another folder with --data".to_owned()
        }
        Some(code::CORRUPT) => "it is damaged; restore it from a copy, or name another folder with --data".to_owned(),
        Some(code::READONLY | code::CANTOPEN) => {
            "it cannot be opened for writing; make the folder and the file writable, or name another folder with --data"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
