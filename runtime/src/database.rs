//! The one file of a machine: `DIR/celeriac.db` (SQLite), and the only opener of it.
//!
//! It knows nothing of what is stored: the embedded drivers and the registry
//! bring their own [`Statement`]s.
//!
//! Every write goes through one writer per process. It takes all statements
//! that wait, runs them in one transaction, grouped by type so that each type
//! can use multi-row SQL, and answers after the commit: hundreds of callers
//! share one sync of the disk, and what was answered survives a power loss.

mod error;
mod lane;
pub(crate) mod migrations;
mod open;
pub mod rows;
mod watcher;
mod writer;

pub use error::DatabaseError;
pub use sqlx::SqliteConnection;
pub use watcher::Watcher;

use crate::clock::Clock;
use lane::Job;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use watcher::Changes;

/// Name of the file within the data folder.
pub const FILE_NAME: &str = "celeriac.db";
/// Most statements of one transaction; the next ones wait for the next. Beyond
/// some hundred the sync of the disk is no longer the larger part.
pub const BATCH_STATEMENTS: usize = 512;
/// Most statements that wait for the writer; further callers wait to queue up.
pub const QUEUE_STATEMENTS: usize = 2 * BATCH_STATEMENTS;
/// Most bytes of statements that wait or run (64 MiB), so that large messages
/// cannot pile up in memory; a larger statement goes alone.
pub const QUEUE_BYTES: usize = 64 << 20;

/// Unit in which [`QUEUE_BYTES`] is counted: a semaphore counts in 32 bits.
const BYTES_PER_PERMIT: usize = 1 << 10;

/// One write. Statements of one type that wait together are applied together.
pub trait Statement: Send + Sync + Sized + 'static {
    /// What the caller gets after the commit.
    type Output: Send + 'static;

    /// Applies statements within the writer's transaction, and returns one
    /// output for each, in order. May be called again, with other neighbours,
    /// after a transaction that failed and was rolled back.
    fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> impl Future<Output = Result<Vec<Self::Output>, sqlx::Error>> + Send;

    /// Returns about how many bytes the statement holds, if it may be many.
    fn weight(&self) -> usize {
        0
    }

    /// Tells whether somebody may wait for what this statement does, see
    /// [`Database::watch`].
    fn wakes(&self) -> bool {
        true
    }
}

/// The open file. A cheap handle: clones share the writer and the readers.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Clock,
    queue: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    readers: SqlitePool,
    changes: Changes,
    closing: CancellationToken,
    writer: Mutex<JoinSet<()>>,
}

impl Database {
    /// Opens `DIR/celeriac.db`, and creates the folder (mode 0700) and the file
    /// where they are missing.
    ///
    /// # Errors
    /// [`DatabaseError::Unusable`] when the folder or file cannot be used,
    /// [`DatabaseError::Newer`] when a newer version of Celeriac wrote it,
    /// [`DatabaseError::Full`], [`DatabaseError::Busy`].
    pub async fn open(dir: &Path, clock: Clock) -> Result<Self, DatabaseError> {
        let path = open::folder(dir)?.join(FILE_NAME);
        let connection = open::writer(&path, &clock).await?;
        let readers = open::readers(&path);
        let (queue, jobs) = mpsc::channel(QUEUE_STATEMENTS);
        let changes = Changes::new();
        let closing = CancellationToken::new();
        let mut writer = JoinSet::new();
        writer.spawn(writer::run(
            connection,
            jobs,
            changes.clone(),
            closing.clone(),
        ));
        let room = Arc::new(Semaphore::new(QUEUE_BYTES / BYTES_PER_PERMIT));
        let writer = Mutex::new(writer);
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                clock,
                queue,
                room,
                readers,
                changes,
                closing,
                writer,
            }),
        })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns the clock that rows are dated by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Applies a statement durably. When the caller goes away, it may or may
    /// not be applied.
    ///
    /// # Errors
    /// What the statement ran into; other statements of its transaction are not
    /// harmed by it, nor it by them. [`DatabaseError::Closed`].
    pub async fn write<S: Statement>(&self, statement: S) -> Result<S::Output, DatabaseError> {
        let permits = statement.weight().min(QUEUE_BYTES) / BYTES_PER_PERMIT;
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let room = match permits {
            0 => None,
            _ => Some(
                Arc::clone(&self.inner.room)
                    .acquire_many_owned(permits)
                    .await
                    .map_err(|_| DatabaseError::Closed)?,
            ),
        };
        let (answer, answered) = oneshot::channel();
        let job = Job::new(statement, Some(answer), room);
        self.inner
            .queue
            .send(job)
            .await
            .map_err(|_| DatabaseError::Closed)?;
        answered.await.map_err(|_| DatabaseError::Closed)?
    }

    /// Returns a way to queue small statements without waiting, which does not
    /// keep the database open.
    #[must_use]
    pub fn poster(&self) -> Poster {
        Poster {
            queue: self.inner.queue.downgrade(),
        }
    }

    /// Takes a connection for reading only. It sees all that was answered.
    ///
    /// # Errors
    /// [`DatabaseError::Busy`], [`DatabaseError::Closed`].
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>, DatabaseError> {
        Ok(self.inner.readers.acquire().await?)
    }

    /// Returns a watcher that notices commits from now on, of this process and
    /// of others on the same file.
    #[must_use]
    pub fn watch(&self) -> Watcher {
        self.inner.changes.watch()
    }

    /// Finishes what is queued, refuses what comes later, and closes the file.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        let mut writer = self.inner.writer.lock().await;
        while let Some(ended) = writer.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, path = %self.inner.path.display(), "the writer of the database ended badly");
            }
        }
        self.inner.readers.close().await;
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// Queues statements whose outcome nobody waits for.
#[derive(Debug, Clone)]
pub struct Poster {
    queue: mpsc::WeakSender<Job>,
}

impl Poster {
    /// Queues a statement, and tells whether there was room for it.
    pub fn post<S: Statement>(&self, statement: S) -> bool {
        self.queue
            .upgrade()
            .is_some_and(|queue| queue.try_send(Job::new(statement, None, None)).is_ok())
    }
}

#[cfg(test)]
mod tests;
