//! A transaction, and what goes in and out of it.

use super::SqlError;
use super::postgres::Open;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection, Transaction};

/// A value of a statement or a row; each kind may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text. NUL characters, at which some readers stop and which Postgres does not take,
    /// are replaced.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// A whole number.
    Int(Option<i64>),
}

impl Value {
    /// Makes text that is not NULL.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Some(clean(text)))
    }

    /// Makes text or NULL.
    #[must_use]
    pub fn maybe(text: Option<&str>) -> Self {
        Self::Text(text.map(clean))
    }
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Value::Text`].
    Text,
    /// [`Value::Bytes`].
    Bytes,
    /// [`Value::Int`].
    Int,
}

/// A row, its cells taken one after the other.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    /// Takes a cell of text.
    pub fn text(&mut self) -> Option<String> {
        match self.0.next() {
            Some(Value::Text(text)) => text,
            Some(Value::Bytes(_) | Value::Int(_)) | None => None,
        }
    }

    /// Takes a cell of bytes.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => bytes,
            Some(Value::Text(_) | Value::Int(_)) | None => None,
        }
    }

    /// Takes a cell of a number.
    pub fn int(&mut self) -> Option<i64> {
        match self.0.next() {
            Some(Value::Int(number)) => number,
            Some(Value::Text(_) | Value::Bytes(_)) | None => None,
        }
    }
}

/// A transaction of either database, undone when it is dropped.
#[derive(Debug)]
pub struct Link(Either);

#[derive(Debug)]
enum Either {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Open),
}

/// A statement with its values, of whichever database it is run on.
macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql.to_owned()));
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
                Value::Int(number) => query.bind(number),
            };
        }
        query
    }};
}

/// The cells of a row, of the kinds that its caller expects: SQLite's columns hold what was
/// put in them, and Postgres' are of kinds that are near enough.
macro_rules! cells {
    ($row:expr, $kinds:expr) => {{
        let mut cells = Vec::with_capacity($kinds.len());
        for (at, kind) in $kinds.iter().enumerate() {
            cells.push(match kind {
                Kind::Text => Value::Text($row.try_get_unchecked(at)?),
                Kind::Bytes => Value::Bytes($row.try_get_unchecked(at)?),
                Kind::Int => Value::Int($row.try_get_unchecked(at)?),
            });
        }
        Ok(Row(cells.into_iter()))
    }};
}

impl Link {
    pub(super) fn sqlite(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(Either::Sqlite(transaction))
    }

    pub(super) fn postgres(open: Open) -> Self {
        Self(Either::Postgres(open))
    }

    /// Runs a statement, and returns how many rows it changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, SqlError> {
        Ok(Line::Link(self).execute(sql, values).await?)
    }

    /// Runs several statements, without values.
    ///
    /// # Errors
    /// What the database said.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), SqlError> {
        match &mut self.0 {
            Either::Sqlite(link) => {
                sqlx::raw_sql(sql).execute(&mut **link).await?;
            }
            Either::Postgres(open) => {
                sqlx::raw_sql(sql).execute(open.connection()).await?;
            }
        }
        Ok(())
    }

    /// Runs a statement, and returns its rows.
    ///
    /// # Errors
    /// What the database said, and where a cell is of another kind.
    pub async fn rows(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Row>, SqlError> {
        Ok(Line::Link(self).rows(sql, values, kinds).await?)
    }

    /// Makes durable what was done.
    pub(super) async fn commit(self) -> Result<(), SqlError> {
        match self.0 {
            Either::Sqlite(link) => Ok(link.commit().await?),
            Either::Postgres(open) => open.commit().await,
        }
    }

    /// Undoes what was done, as far as it is not undone already.
    pub(super) async fn undo(self) {
        let undone = match self.0 {
            Either::Sqlite(link) => link.rollback().await.map_err(SqlError::from),
            Either::Postgres(open) => open.undo().await,
        };
        if let Err(error) = undone {
            tracing::debug!(%error, "a transaction is undone by closing its connection");
        }
    }
}

/// A connection in somebody's transaction, which begins it and ends it: our own file's
/// writer, or a [`Link`].
#[derive(Debug)]
pub enum Line<'a> {
    /// Of our own file.
    File(&'a mut SqliteConnection),
    /// Of another database.
    Link(&'a mut Link),
}

impl Line<'_> {
    /// Runs a statement, and returns how many rows it changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, sqlx::Error> {
        let file = match self {
            Self::File(file) => &mut **file,
            Self::Link(Link(Either::Sqlite(link))) => &mut **link,
            Self::Link(Link(Either::Postgres(open))) => {
                let done = bound!(sql, values).execute(open.connection()).await?;
                return Ok(done.rows_affected());
            }
        };
        let done = bound!(sql, values).execute(file).await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement, and returns its rows.
    ///
    /// # Errors
    /// What the database said, and where a cell is of another kind.
    pub async fn rows(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Row>, sqlx::Error> {
        let file = match self {
            Self::File(file) => &mut **file,
            Self::Link(Link(Either::Sqlite(link))) => &mut **link,
            Self::Link(Link(Either::Postgres(open))) => {
                let rows = bound!(sql, values).fetch_all(open.connection()).await?;
                return rows.iter().map(|row| cells!(row, kinds)).collect();
            }
        };
        let rows = bound!(sql, values).fetch_all(file).await?;
        rows.iter().map(|row| cells!(row, kinds)).collect()
    }
}
