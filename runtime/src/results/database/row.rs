//! What the two tables hold of a task.

use super::super::decide::Recorded;
use super::super::document::joined;
use super::super::{Record, RunUsage};
use super::tables::Tables;
use super::unpickle::plain;
use crate::celery::body;
use crate::celery::result::Found;
use crate::sql::{Kind, Link, SqlError, Value};
use crate::task::{Exception, Fence, State, TaskId};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::HashMap;

const KINDS: [Kind; 16] = [
    Kind::Text,
    Kind::Text,
    Kind::Bytes,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Text,
];
/// The columns of `celeriac_run` in the order of [`KINDS`], after four of Celery's.
const RUN: &str = "r.task, r.retries, r.deliveries, r.state, r.worker, r.lease_until, r.due, \
     r.expires_at, r.written_at, r.bare, r.used, r.log";

/// What is stored of a task.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// Celery's row.
    pub(super) meta: Option<Meta>,
    /// Ours.
    pub(super) run: Option<Run>,
}

/// Celery's row.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) state: State,
    result: Option<Vec<u8>>,
    traceback: Option<String>,
}

/// Our row.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) record: Record,
    pub(super) lease_until: Option<Timestamp>,
    pub(super) expires_at: Option<i64>,
    /// Whether there is no result at all, not even `null`.
    pub(super) bare: bool,
}

/// Reads the rows of some tasks; results and tracebacks only where they are wanted.
pub(super) async fn find(
    link: &mut Link,
    tables: &Tables,
    ids: &[&TaskId],
    whole: bool,
) -> Result<HashMap<TaskId, Row>, SqlError> {
    let result = if whole {
        "t.result, t.traceback"
    } else {
        "NULL, NULL"
    };
    let wanted = tables.ids();
    let sql = format!(
        "SELECT i.id, t.status, {result}, {RUN} FROM ({wanted}) i \
         LEFT JOIN celery_taskmeta t ON t.task_id = i.id \
         LEFT JOIN celeriac_run r ON r.task_id = i.id"
    );
    let rows = link.rows(&sql, vec![list(ids)], &KINDS).await?;
    let mut found = HashMap::new();
    for mut row in rows {
        let id = row.text().and_then(|id| TaskId::parse(&id).ok());
        if let Some(id) = id {
            let row = Row::read(&id, &mut row);
            found.insert(id, row);
        }
    }
    Ok(found)
}

/// Writes ids as a JSON array, which both databases make rows of.
pub(super) fn list(ids: &[&TaskId]) -> Value {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    Value::Text(Some(serde_json::Value::from(ids).to_string()))
}

impl Row {
    fn read(id: &TaskId, row: &mut crate::sql::Row) -> Self {
        let status = row.text();
        let (result, traceback) = (row.bytes(), row.text());
        Self {
            meta: status.map(|status| Meta {
                state: State::from_word(&status),
                result,
                traceback,
            }),
            run: Run::read(id, row),
        }
    }

    /// Tells whether the time of what is stored is over.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        let ends = self.run.as_ref().and_then(|run| run.expires_at);
        ends.is_some_and(|ends| ends <= now.as_millisecond())
    }

    /// What is recorded, unless its time is over.
    pub(super) fn recorded(&self, id: &TaskId, now: Timestamp) -> Option<Recorded> {
        if self.is_past(now) {
            return None;
        }
        let document = self.meta.as_ref().map(|meta| self.document(id, meta, now));
        // Somebody made Celery forget a task that is over.
        let run = self.run.as_ref();
        let run = run.filter(|run| document.is_some() || !run.record.state.is_final());
        let run = run.map(|run| Recorded {
            record: Record {
                usage: RunUsage::default(),
                log: None,
                ..run.record.clone()
            },
            lease_until: run.lease_until,
        });
        joined(document, run)
    }

    /// Tells whether a task succeeded with a result that cannot be read here.
    pub(super) fn is_unread(&self, record: &Record) -> bool {
        let run = self.run.as_ref();
        let is_bare = run.is_some_and(|run| run.bare && run.record.state == record.state);
        let stored = self.meta.as_ref().and_then(|meta| meta.result.as_ref());
        let is_stored = stored.is_some_and(|stored| !stored.is_empty()) && !is_bare;
        is_stored && record.state == State::Success && record.result.is_none()
    }

    /// The record of Celery's row, with what ours knows of it.
    fn document(&self, id: &TaskId, meta: &Meta, now: Timestamp) -> Record {
        let state = meta.state.clone();
        let failed = matches!(state, State::Failure | State::Revoked | State::Retry);
        let known = self.run.as_ref().filter(|run| run.record.state == state);
        let bare = known.is_some_and(|run| run.bare);
        let json = match bare && !failed {
            true => None,
            false => meta.result.as_deref().and_then(json),
        };
        let (result, exception) = match failed {
            true => (None, json.and_then(|json| meta.exception(&json))),
            false => (json.map(Bytes::from), None),
        };
        let about = self.run.as_ref().map(|run| run.record.clone());
        let about = about.unwrap_or_else(|| unknown(id, now));
        Record {
            state,
            result,
            exception,
            ..about
        }
    }
}

/// What is known of a task that only Celery's row tells of.
fn unknown(id: &TaskId, now: Timestamp) -> Record {
    Record {
        id: id.clone(),
        task: String::new(),
        fence: Fence {
            retries: 0,
            deliveries: 0,
        },
        state: State::Started,
        result: None,
        exception: None,
        due: None,
        worker: String::new(),
        usage: RunUsage::default(),
        log: None,
        written_at: now,
    }
}

/// Reads what stands in `result`: a pickle, or JSON.
fn json(bytes: &[u8]) -> Option<String> {
    if bytes.first() == Some(&0x80) {
        // Without Python's own values, digits stay as they are.
        return plain(bytes).or_else(|| typed(bytes));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let json: &RawValue = serde_json::from_str(text).ok()?;
    Some(json.get().to_owned())
}

/// Reads a pickle with dates, decimals and the like as kombu's marked values.
fn typed(pickle: &[u8]) -> Option<String> {
    let json = body::plain_pickle(pickle).ok()?;
    String::from_utf8(json.into()).ok()
}

impl Meta {
    /// What stands in memory after a write, where only its state matters.
    pub(super) fn of(state: State) -> Self {
        Self {
            state,
            result: None,
            traceback: None,
        }
    }

    fn exception(&self, json: &str) -> Option<Exception> {
        let found = Found {
            status: self.state.to_string(),
            result: RawValue::from_string(json.to_owned()).ok(),
            traceback: self.traceback.clone(),
            celeriac: None,
        };
        found.exception()
    }
}

impl Run {
    fn read(id: &TaskId, row: &mut crate::sql::Row) -> Option<Self> {
        let task = row.text()?;
        let number = |value: Option<i64>| u32::try_from(value?).ok();
        let fence = Fence {
            retries: number(row.int()).unwrap_or_default(),
            deliveries: number(row.int()).unwrap_or_default(),
        };
        let state = State::from_word(&row.text()?);
        let worker = row.text()?;
        let moment = |ms: Option<i64>| Timestamp::from_millisecond(ms?).ok();
        let (lease_until, due) = (moment(row.int()), moment(row.int()));
        let expires_at = row.int();
        let written_at = moment(row.int()).unwrap_or(Timestamp::UNIX_EPOCH);
        let bare = row.int() == Some(1);
        let used = row.text().unwrap_or_default();
        let record = Record {
            id: id.clone(),
            task,
            fence,
            state,
            result: None,
            exception: None,
            due,
            worker,
            usage: serde_json::from_str(&used).unwrap_or_default(),
            log: row.text(),
            written_at,
        };
        Some(Self {
            record,
            lease_until,
            expires_at,
            bare,
        })
    }
}
