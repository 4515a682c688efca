//! Opening the file: folder, connections, and how SQLite is set.

use super::error::{is_busy, why_unusable};
use super::{DatabaseError, migrations};
use crate::clock::Clock;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a connection waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);
/// Between two tries to open a file that others are opening too.
const OPEN_AGAIN: Duration = Duration::from_millis(20);
/// Most connections for reading; each has a thread of its own.
const READERS: u32 = 4;
/// Prepared statements kept for each connection.
const PREPARED: usize = 256;
/// Rows handed over at once by a connection's thread.
const ROWS_AHEAD: usize = 1024;

/// Makes the folder where it is missing, for its owner only.
pub(super) fn folder(dir: &Path) -> Result<PathBuf, DatabaseError> {
    let unusable = |error: &io::Error| DatabaseError::Unusable {
        path: dir.to_owned(),
        reason: why_no_folder(error),
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| unusable(&error))?;
    std::fs::canonicalize(dir).map_err(|error| unusable(&error))
}

/// Explains to people why a folder cannot be made or found.
fn why_no_folder(error: &io::Error) -> String {
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    if is(&[io::ErrorKind::AlreadyExists, io::ErrorKind::NotADirectory]) {
        "it is a file, or below one; name a folder with --data".to_owned()
    } else if is(&[
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::ReadOnlyFilesystem,
    ]) {
        format!("{error}; make it writable, or name another folder with --data")
    } else if is(&[io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded]) {
        format!("{error}; free some space, or name another folder with --data")
    } else {
        error.to_string()
    }
}

/// Makes the file where it is missing, for its owner only: SQLite gives its
/// other files the same mode. What goes wrong here SQLite meets and tells.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    drop(options.append(true).create(true).mode(0o600).open(path));
}

/// Opens the connection for writing, and brings the schema up to date.
pub(super) async fn writer(path: &Path, clock: &Clock) -> Result<SqliteConnection, DatabaseError> {
    make_private(path);
    let deadline = Instant::now() + BUSY;
    loop {
        let error = match connect(path, clock).await {
            Ok(connection) => return Ok(connection),
            Err(migrations::MigrationError::Refused(error)) => return Err(error),
            Err(migrations::MigrationError::Sqlite(error)) => error,
        };
        // Several processes that create the file at once find it locked for a moment.
        if is_busy(&error) && Instant::now() < deadline {
            tokio::time::sleep(OPEN_AGAIN).await;
            continue;
        }
        return Err(match DatabaseError::from(error) {
            DatabaseError::ReadOnly { source }
            | DatabaseError::Damaged { source }
            | DatabaseError::Statement { source } => DatabaseError::Unusable {
                path: path.to_owned(),
                reason: why_unusable(&source),
            },
            other @ (DatabaseError::Newer { .. }
            | DatabaseError::Unusable { .. }
            | DatabaseError::Full { .. }
            | DatabaseError::Busy { .. }
            | DatabaseError::Closed) => other,
        });
    }
}

async fn connect(
    path: &Path,
    clock: &Clock,
) -> Result<SqliteConnection, migrations::MigrationError> {
    let options = settings(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Commits survive a power loss, not only a killed process.
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536")
        .pragma("temp_store", "MEMORY")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864");
    let mut connection = options.connect().await?;
    migrations::run(&mut connection, path, clock).await?;
    Ok(connection)
}

/// Prepares the connections for reading; they open when they are needed.
pub(super) fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(BUSY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(
            settings(path)
                .pragma("query_only", "ON")
                .pragma("cache_size", "-8192"),
        )
}

fn settings(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(PREPARED)
        .row_buffer_size(ROWS_AHEAD)
        .thread_name(|number| format!("sqlite-{number}"))
        .disable_statement_logging()
}
