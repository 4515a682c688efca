//! A transaction, and what goes in and out of it.

use super::SqlError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, Transaction};

/// A value of a statement or a row; each kind may be NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text. NUL characters, at which some readers stop, are replaced.
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

/// A transaction, undone when it is dropped.
#[derive(Debug)]
pub struct Link(Transaction<'static, Sqlite>);

impl Link {
    pub(super) fn new(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(transaction)
    }

    /// Runs a statement, and returns how many rows it changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, SqlError> {
        let done = bound(sql, values).execute(&mut *self.0).await?;
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
    ) -> Result<Vec<Row>, SqlError> {
        let rows = bound(sql, values).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| cells(row, kinds)).collect()
    }

    /// Makes durable what was done.
    pub(super) async fn commit(self) -> Result<(), SqlError> {
        Ok(self.0.commit().await?)
    }
}

fn bound(sql: &str, values: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    values.into_iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Int(number) => query.bind(number),
    })
}

/// The cells of a row. SQLite's columns hold what was put in them, whatever their kind.
fn cells(row: &SqliteRow, kinds: &[Kind]) -> Result<Row, SqlError> {
    let mut cells = Vec::with_capacity(kinds.len());
    for (at, kind) in kinds.iter().enumerate() {
        cells.push(match kind {
            Kind::Text => Value::Text(row.try_get_unchecked(at)?),
            Kind::Bytes => Value::Bytes(row.try_get_unchecked(at)?),
            Kind::Int => Value::Int(row.try_get_unchecked(at)?),
        });
    }
    Ok(Row(cells.into_iter()))
}
