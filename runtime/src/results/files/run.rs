//! The record of a run that has not ended, a JSON document.

use super::super::decide::Recorded;
use super::super::document::expires_at;
use super::super::{Record, RunUsage, Start, Write};
use crate::task::{Fence, State, TaskId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A run; moments are milliseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) expires_at: Option<i64>,
    task: String,
    retries: u32,
    deliveries: u32,
    state: String,
    worker: String,
    lease_until: Option<i64>,
    due: Option<i64>,
    written_at: i64,
}

impl Run {
    /// One that begins.
    pub(super) fn begun(start: &Start, until: Timestamp, now: Timestamp) -> Self {
        Self {
            expires_at: Some(until.as_millisecond()),
            task: start.task.clone(),
            retries: start.fence.retries,
            deliveries: start.fence.deliveries,
            state: State::Started.to_string(),
            worker: start.worker.clone(),
            lease_until: Some(start.lease_until.as_millisecond()),
            due: None,
            written_at: now.as_millisecond(),
        }
    }

    /// One that told its state and is not over.
    pub(super) fn told(write: &Write, lease_until: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            expires_at: expires_at(write, now),
            task: write.task.clone(),
            retries: write.fence.retries,
            deliveries: write.fence.deliveries,
            state: write.state.to_string(),
            worker: write.worker.clone(),
            lease_until: lease_until.map(Timestamp::as_millisecond),
            due: write.due.map(Timestamp::as_millisecond),
            written_at: now.as_millisecond(),
        }
    }

    /// Returns it with a new lease, if it is this very run and still runs.
    pub(super) fn renewed(self, fence: Fence, until: Timestamp, kept: Timestamp) -> Option<Self> {
        let ours = (self.retries, self.deliveries) == (fence.retries, fence.deliveries);
        let expires_at = self.expires_at.map(|at| at.max(kept.as_millisecond()));
        (ours && self.lease_until.is_some()).then(|| Self {
            lease_until: Some(until.as_millisecond()),
            expires_at,
            ..self
        })
    }

    /// Reads a document; what is none is not there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Writes it.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns what it tells, unless its time is over.
    pub(super) fn recorded(self, id: &TaskId, now: Timestamp) -> Option<Recorded> {
        if self.expires_at.is_some_and(|at| at <= now.as_millisecond()) {
            return None;
        }
        let moment = |ms| Timestamp::from_millisecond(ms).ok();
        let record = Record {
            id: id.clone(),
            fence: Fence {
                retries: self.retries,
                deliveries: self.deliveries,
            },
            state: State::from_word(&self.state),
            task: self.task,
            result: None,
            exception: None,
            due: self.due.and_then(moment),
            worker: self.worker,
            usage: RunUsage::default(),
            log: None,
            written_at: moment(self.written_at).unwrap_or(now),
        };
        Some(Recorded {
            record,
            lease_until: self.lease_until.and_then(moment),
        })
    }
}
