//! Results in Celery's own tables of a SQLite file or a Postgres server, `db+sqlite:///FILE`
//! and `db+postgresql://…`.
//!
//! `celery_taskmeta` has what Celery's clients read. `celeriac_run` beside it has what
//! only we know: which run wrote, its lease, what it used, when it is over. Both change
//! in one transaction, and calls that wait together share one ([`lane`]).

mod dialect;
mod lane;
mod pickle;
mod renew;
mod row;
mod sweep;
mod tables;
mod unpickle;
mod write;

use super::chord::Joining;
use super::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::clock::Clock;
use crate::sql::{Sql, SqlError};
use crate::task::{Fence, TaskId};
use async_trait::async_trait;
use jiff::Timestamp;
use lane::{Answer, Ask, Lane};
use std::sync::Arc;
use std::time::Duration;
use tables::Tables;
use tokio::sync::OnceCell;

/// The driver's name.
pub const SYSTEM: &str = "database";
/// How long the record of a begun run outlives its lease without a write (1 day).
const BEGUN_KEPT: Duration = Duration::from_secs(86_400);
/// Between two looks of somebody who waits (200 ms): nothing tells of a new row.
const LOOK: Duration = Duration::from_millis(200);
/// Most records removed by one sweep, so that one transaction stays short.
const SWEPT: i64 = 10_000;

/// How results and exceptions are written in the column `result`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// A pickle of plain data: every release of Celery reads it.
    #[default]
    Pickle,
    /// JSON, as Celery 5.7 writes it; no older release reads it.
    Json,
}

/// Results within one database.
#[derive(Debug, Clone)]
pub struct DatabaseResults {
    sql: Sql,
    clock: Clock,
    form: Form,
    keep: Option<Duration>,
    tables: Arc<OnceCell<Tables>>,
    lane: Arc<Lane>,
}

impl DatabaseResults {
    /// Uses a database; its file or its server need not be there yet.
    #[must_use]
    pub fn new(sql: Sql, clock: Clock) -> Self {
        Self {
            sql,
            clock,
            form: Form::default(),
            keep: None,
            tables: Arc::default(),
            lane: Arc::default(),
        }
    }

    /// Writes results in another form.
    #[must_use]
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Also sweeps what others have written, that long after it was.
    #[must_use]
    pub fn with_keep(self, keep: Option<Duration>) -> Self {
        Self { keep, ..self }
    }

    /// Returns the tables, which are made where they are missing.
    async fn tables(&self) -> Result<&Tables, SqlError> {
        self.tables
            .get_or_try_init(|| Tables::prepare(&self.sql))
            .await
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, ResultsError> {
        self.lane.ask(self, ask).await
    }
}

#[async_trait]
impl Results for DatabaseResults {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    async fn begin(&self, start: Start) -> Result<Begun, ResultsError> {
        fits(&start.id)?;
        match self.ask(Ask::Begin(start)).await? {
            Answer::Begun(begun) => Ok(begun),
            Answer::Written(_) => Err(confused()),
        }
    }

    async fn renew(
        &self,
        runs: Vec<(TaskId, Fence)>,
        until: Timestamp,
    ) -> Result<(), ResultsError> {
        if runs.is_empty() {
            return Ok(());
        }
        Ok(renew::renew(self, runs, until).await?)
    }

    async fn write(&self, write: Write) -> Result<Written, ResultsError> {
        fits(&write.id)?;
        write::fits(&write)?;
        match self.ask(Ask::Write(Box::new(write))).await? {
            Answer::Written(written) => Ok(written),
            Answer::Begun(_) => Err(confused()),
        }
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError> {
        let tables = self.tables().await?;
        let now = self.clock.now();
        let rows = self
            .sql
            .transaction(false, async |link| {
                row::find(link, tables, &[id], true).await
            })
            .await?;
        let Some(row) = rows.into_values().next() else {
            return Ok(None);
        };
        let record = row.recorded(id, now).map(|recorded| recorded.record);
        match record {
            Some(record) if row.is_unread(&record) => Err(unread(id)),
            record => Ok(record),
        }
    }

    async fn watch(&self, _id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        Ok(Box::new(Looks))
    }

    fn joining(&self) -> Joining {
        Joining::Polls
    }

    async fn sweep(&self) -> Result<u64, ResultsError> {
        Ok(sweep::sweep(self).await?)
    }
}

/// Looks again now and then.
struct Looks;

#[async_trait]
impl Watch for Looks {
    async fn changed(&mut self) -> Result<(), ResultsError> {
        tokio::time::sleep(LOOK).await;
        Ok(())
    }
}

impl From<SqlError> for ResultsError {
    fn from(error: SqlError) -> Self {
        let system = SYSTEM;
        match error {
            SqlError::Unavailable { reason, source } => Self::Unavailable {
                system,
                reason,
                source: source.map(|source| Box::new(source) as _),
            },
            SqlError::Refused { reason } => Self::Malformed { system, reason },
            SqlError::Misconfigured { reason } => Self::Misconfigured {
                system,
                reason: format!("{reason}; check result_backend, and who may use its tables"),
            },
        }
    }
}

/// Ids are their callers' choice; Celery's column takes 155 characters.
fn fits(id: &TaskId) -> Result<(), ResultsError> {
    tables::fits("task id", id.as_str(), tables::NAME)
}

/// A Python worker returned what only Python can make again.
fn unread(id: &TaskId) -> ResultsError {
    ResultsError::Malformed {
        system: SYSTEM,
        reason: format!(
            "the result of task {id} is no plain data; have the task return numbers, texts, lists, dictionaries, dates, decimals, UUIDs or bytes"
        ),
    }
}

fn confused() -> ResultsError {
    ResultsError::Unavailable {
        system: SYSTEM,
        reason: "an answer to another question".to_owned(),
        source: None,
    }
}

#[cfg(test)]
mod tests;
