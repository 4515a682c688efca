//! Connections to the SQLite files that Celery's SQLAlchemy backend uses: the only
//! opener of them.
//!
//! To those above a database is text with `$1`, values of three kinds, and rows of them.
//! Our own file is another matter, see [`crate::database`].

mod error;
mod link;

pub use error::SqlError;
pub use link::{Kind, Link, Row, Value};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqlitePool};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Connections of one process: one of them writes at a time.
const CONNECTIONS: u32 = 8;
/// Longest wait for a connection, or for another process to let a file go (5 s).
const WAIT: Duration = Duration::from_secs(5);
/// Longest transaction (15 s): a folder of the network that is away may never answer.
const ANSWER: Duration = Duration::from_secs(15);

/// One database.
#[derive(Clone)]
pub struct Sql {
    pool: SqlitePool,
}

impl Sql {
    /// Prepares to open a SQLite file, which is made where it is missing. Call it within
    /// a runtime.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(WAIT)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT);
        Self {
            pool: pool.connect_lazy_with(options),
        }
    }

    /// Does work within one transaction, which is undone when the work fails, takes
    /// longer than 15 s, or its caller goes away. Only one that writes can write.
    ///
    /// # Errors
    /// What the database said.
    pub async fn transaction<T, E: From<SqlError>>(
        &self,
        writes: bool,
        work: impl AsyncFnOnce(&mut Link) -> Result<T, E>,
    ) -> Result<T, E> {
        let whole = async {
            let mut link = self.begin(writes).await?;
            let done = work(&mut link).await?;
            link.commit().await?;
            Ok(done)
        };
        let late = |_| Err(SqlError::late(ANSWER).into());
        tokio::time::timeout(ANSWER, whole)
            .await
            .unwrap_or_else(late)
    }

    async fn begin(&self, writes: bool) -> Result<Link, SqlError> {
        // Whoever reads first and writes then may be refused in between.
        let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
        Ok(Link::new(self.pool.begin_with(begin).await?))
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").finish_non_exhaustive()
    }
}
