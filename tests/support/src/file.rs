//! The embedded file, opened from outside.

use crate::raw::Letter;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// How long a writer may hold the file (20 s).
const BUSY: Duration = Duration::from_secs(20);

/// A connection to `FOLDER/celeriac.db`.
#[derive(Debug)]
pub struct File {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl File {
    /// Opens the file of a data folder.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let options = SqliteConnectOptions::new()
            .filename(data.join("celeriac.db"))
            .busy_timeout(BUSY);
        let connection = runtime.block_on(options.connect()).expect("the file opens");
        Self {
            runtime,
            connection,
        }
    }

    /// Runs a statement.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&mut self, sql: &str) {
        let query = sqlx::query(AssertSqlSafe(sql));
        self.runtime
            .block_on(query.execute(&mut self.connection))
            .expect("the statement is good");
    }

    /// Runs a query that answers with one number.
    ///
    /// # Panics
    /// When it does not.
    pub fn number(&mut self, sql: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        self.runtime
            .block_on(query.fetch_one(&mut self.connection))
            .expect("a number")
    }

    /// Runs a query.
    ///
    /// # Panics
    /// When it fails.
    pub fn rows(&mut self, sql: &str) -> Vec<SqliteRow> {
        let query = sqlx::query(AssertSqlSafe(sql));
        self.runtime
            .block_on(query.fetch_all(&mut self.connection))
            .expect("rows")
    }

    pub(crate) fn insert(&mut self, id: i64, letter: &Letter) {
        let envelope = letter.envelope();
        let bytes = i64::try_from(envelope.len() + letter.body.len()).expect("a length");
        let message = sqlx::query(
            "INSERT INTO messages (id, queue, state, priority, due, ready_at, bytes) VALUES (?, ?, 0, ?, 0, ?, ?)",
        );
        let message = message
            .bind(id)
            .bind(&letter.queue)
            .bind(letter.priority)
            .bind(now())
            .bind(bytes);
        self.runtime
            .block_on(message.execute(&mut self.connection))
            .expect("the message is stored");
        let payload = sqlx::query("INSERT INTO payloads (id, envelope, body) VALUES (?, ?, ?)");
        let payload = payload.bind(id).bind(envelope).bind(&letter.body);
        self.runtime
            .block_on(payload.execute(&mut self.connection))
            .expect("the payload is stored");
    }
}

/// Returns the time, milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a stranger has only the clock of the machine"
)]
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_millis()).expect("not yet the end of time")
}
