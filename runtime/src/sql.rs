//! Connections to the databases that Celery's SQLAlchemy backend and the control plane
//! use, SQLite files and Postgres servers: the only opener of them.
//!
//! To those above both are text with `$1`, values of three kinds, and rows of them; what
//! they must say differently they ask [`Sql::dialect`] for. What is embedded in our own
//! file is another matter, see [`crate::database`].

mod error;
mod link;
mod migrate;
mod postgres;

pub use error::SqlError;
pub use link::{Kind, Line, Link, Row, Value};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, PgPool, SqlitePool};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Connections of one process: one of them writes at a time, and the servers of Postgres
/// allow 100 to everybody unless told otherwise.
const CONNECTIONS: u32 = 8;
/// Longest wait for a connection, or for another process to let a file go (5 s).
const WAIT: Duration = Duration::from_secs(5);
/// Longest transaction (15 s): a folder of the network that is away may never answer, nor
/// a server that is frozen.
const ANSWER: Duration = Duration::from_secs(15);

/// One database.
#[derive(Clone)]
pub struct Sql {
    pool: Pool,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Which SQL a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// Postgres'.
    Postgres,
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
            // A confined worker writes nowhere but beside the file.
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT);
        Self {
            pool: Pool::Sqlite(pool.connect_lazy_with(options)),
        }
    }

    /// Prepares connections to a Postgres server, which need not be there yet. Call it
    /// within a runtime.
    ///
    /// # Errors
    /// [`SqlError::Misconfigured`] when `url` is not
    /// `postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?OPTIONS]`.
    pub fn postgres(url: &str) -> Result<Self, SqlError> {
        Ok(Self {
            pool: Pool::Postgres(postgres::pool(url)?),
        })
    }

    /// Returns which SQL it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match &self.pool {
            Pool::Sqlite(_) => Dialect::Sqlite,
            Pool::Postgres(_) => Dialect::Postgres,
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
            match work(&mut link).await {
                Ok(done) => {
                    link.commit().await?;
                    Ok(done)
                }
                Err(error) => {
                    link.undo().await;
                    Err(error)
                }
            }
        };
        let late = |_| Err(SqlError::late(ANSWER).into());
        tokio::time::timeout(ANSWER, whole)
            .await
            .unwrap_or_else(late)
    }

    async fn begin(&self, writes: bool) -> Result<Link, SqlError> {
        Ok(match &self.pool {
            Pool::Sqlite(pool) => {
                // Whoever reads first and writes then may be refused in between.
                let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
                Link::sqlite(pool.begin_with(begin).await?)
            }
            Pool::Postgres(pool) => Link::postgres(postgres::begin(pool, writes).await?),
        })
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql")
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}
