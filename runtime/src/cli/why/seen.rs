//! All that was seen of a task, wherever something may be known.

use crate::broker::{Depth, Looked};
use crate::registry::Kill;
use crate::results::Record;
use crate::task::{State, TaskId};
use jiff::Timestamp;
use serde_json::Value;

/// All that was seen of a task.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: TaskId,
    pub(super) now: Timestamp,
    pub(super) keeps_results: bool,
    pub(super) record: Option<Record>,
    pub(super) looked: Looked,
    /// How long the queues are whose messages the broker does not show.
    pub(super) depths: Vec<(String, Depth)>,
    pub(super) is_revoked: bool,
    /// What keeps its task from running.
    pub(super) killed: Option<Kill>,
    pub(super) workers: Vec<Hold>,
    /// Workers that take from its queue, where that was asked.
    pub(super) takers: Option<Vec<Taker>>,
    pub(super) max_retries: Option<u32>,
    pub(super) rate: Option<String>,
}

/// A worker that takes from the queue of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taker {
    pub(super) worker: String,
    /// The quota of the tenant that is full there, and until when.
    pub(super) held: Option<(String, Option<Timestamp>)>,
}

/// A worker that has the task in hand.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) worker: String,
    pub(super) runs: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) task: Option<String>,
    pub(super) queue: Option<String>,
}

impl Seen {
    /// The task's name, wherever it stands.
    pub(super) fn task(&self) -> Option<&str> {
        let message = self.looked.found.as_ref().map(|found| &found.message);
        let header = message.and_then(|message| message.headers.get("task"));
        let record = self.record.as_ref().map(|record| record.task.as_str());
        let held = self.workers.iter().find_map(|hold| hold.task.as_deref());
        let named = header.and_then(Value::as_str).or(record).or(held);
        named.filter(|name| !name.is_empty())
    }

    /// Whether an attempt of it failed before.
    pub(super) fn is_retried(&self) -> bool {
        let is_retry = |record: &Record| record.state == State::Retry;
        self.retries() > 0 || self.record.as_ref().is_some_and(is_retry)
    }

    /// Retries so far, as its message tells.
    pub(super) fn retries(&self) -> u64 {
        let message = self.looked.found.as_ref().map(|found| &found.message);
        let header = message.and_then(|message| message.headers.get("retries"));
        header.and_then(Value::as_u64).unwrap_or(0)
    }

    /// Retries so far, as its message tells, else its record.
    pub(super) fn retries_known(&self) -> u64 {
        match (&self.looked.found, &self.record) {
            (Some(_), _) => self.retries(),
            (None, Some(record)) => u64::from(record.fence.retries),
            (None, None) => 0,
        }
    }
}
