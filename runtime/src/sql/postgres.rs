//! Connections and transactions of a Postgres server.

use super::{CONNECTIONS, SqlError, WAIT};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection, PgPool, Postgres};
use std::str::FromStr as _;

/// What the server shows of us.
const NAME: &str = "celeriac";
/// Begins a transaction that each statement sees the latest in, whatever the server's
/// own defaults are. One statement, and the time between two, has its end (10 s and 15 s):
/// a process that is frozen or cut off keeps nobody from the rows it had locked, and who
/// waits for somebody else's lock hears of it before the transaction has taken too long.
/// Nothing of it outlives the transaction, as others may use the connection of a pooler.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SET LOCAL statement_timeout = '10s'; \
     SET LOCAL idle_in_transaction_session_timeout = '15s'";
/// The same for one that reads.
const READ: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
     SET LOCAL statement_timeout = '10s'; \
     SET LOCAL idle_in_transaction_session_timeout = '15s'";

pub(super) fn pool(url: &str) -> Result<PgPool, SqlError> {
    let options = PgConnectOptions::from_str(url)?
        .application_name(NAME)
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(WAIT);
    Ok(pool.connect_lazy_with(options))
}

/// Begins a transaction.
pub(super) async fn begin(pool: &PgPool, writes: bool) -> Result<Open, SqlError> {
    let connection = pool.acquire().await?;
    let mut open = Open {
        connection,
        is_over: false,
    };
    let begin = if writes { WRITE } else { READ };
    open.say(begin).await?;
    Ok(open)
}

/// A connection within a transaction. It is closed when it is dropped there: to ask a
/// server that is away to undo something would take as long as it is away.
#[derive(Debug)]
pub(super) struct Open {
    connection: PoolConnection<Postgres>,
    is_over: bool,
}

impl Open {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Makes durable what was done.
    pub(super) async fn commit(mut self) -> Result<(), SqlError> {
        self.say("COMMIT").await?;
        self.is_over = true;
        Ok(())
    }

    /// Undoes what was done.
    pub(super) async fn undo(mut self) -> Result<(), SqlError> {
        self.say("ROLLBACK").await?;
        self.is_over = true;
        Ok(())
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), SqlError> {
        sqlx::raw_sql(sql).execute(self.connection()).await?;
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}
