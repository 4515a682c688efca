//! Called tasks, and waiting for them.

use super::{CallFailed, Client, ClientError};
use crate::results::{Hearing, Record, ResultsError};
use crate::task::{Exception, Json, State, TaskId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for a result (100 years): more cannot be added to a moment.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A task that was called.
#[derive(Debug, Clone)]
pub struct Handle {
    client: Client,
    id: TaskId,
    /// Where results are replies: as long as it is there, they are listened for.
    hearing: Option<Arc<Hearing>>,
}

impl Handle {
    pub(super) fn new(client: Client, id: TaskId, hearing: Option<Arc<Hearing>>) -> Self {
        Self {
            client,
            id,
            hearing,
        }
    }

    /// Returns the id of the task.
    #[must_use]
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Waits for the result; without a `timeout` for ever. Digits and the order of
    /// members are as the worker wrote them. Cancel-safe.
    ///
    /// # Errors
    /// [`CallFailed`]: what the task failed with, or why nothing is known.
    pub async fn get(&self, timeout: Option<Duration>) -> Result<Json, CallFailed> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout.min(LONGEST));
        self.get_until(deadline).await
    }

    /// Returns what is stored of the task now; `None` is Celery's PENDING.
    ///
    /// # Errors
    /// [`ResultsError`], as reading a state has it.
    pub async fn record(&self) -> Result<Option<Record>, ResultsError> {
        self.client.0.results.get(&self.id).await
    }

    /// Revokes the task, see [`Client::revoke`].
    ///
    /// # Errors
    /// As [`Client::revoke`].
    pub async fn revoke(&self, terminate: bool) -> Result<(), ClientError> {
        let ids = std::slice::from_ref(&self.id);
        self.client.revoke(ids, terminate).await
    }

    async fn get_until(&self, deadline: Option<Instant>) -> Result<Json, CallFailed> {
        if !self.client.keeps_results() && self.hearing.is_none() {
            return Err(CallFailed::NoResults);
        }
        let record = self.client.wait(&self.id, deadline, &mut |_| ()).await?;
        let Some(record) = record else {
            return Err(CallFailed::TimedOut { state: None });
        };
        ended(record)
    }
}

/// Returns the result of a task that is over.
fn ended(record: Record) -> Result<Json, CallFailed> {
    let unknown = || Exception::new("builtins", "Exception", "");
    match record.state {
        State::Success => {
            let stored = record.result.as_deref().unwrap_or(b"null");
            let text = std::str::from_utf8(stored).ok();
            text.and_then(Json::read).ok_or(CallFailed::Unreadable)
        }
        State::Failure => Err(CallFailed::Failed(record.exception.unwrap_or_else(unknown))),
        State::Revoked => Err(CallFailed::Revoked(
            record.exception.unwrap_or_else(unknown),
        )),
        state @ (State::Started | State::Retry | State::Custom(_)) => {
            Err(CallFailed::TimedOut { state: Some(state) })
        }
    }
}

/// Tasks that were called together.
#[derive(Debug, Clone)]
pub struct Group {
    id: TaskId,
    members: Vec<Handle>,
}

impl Group {
    pub(super) fn new(id: TaskId, members: Vec<Handle>) -> Self {
        Self { id, members }
    }

    /// Returns the id of the group.
    #[must_use]
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Returns its tasks, in the order of the calls.
    #[must_use]
    pub fn members(&self) -> &[Handle] {
        &self.members
    }

    /// Waits for all results, in the order of the calls; `timeout` is for all together.
    ///
    /// # Errors
    /// [`CallFailed`] of the first call that failed; the others go on.
    pub async fn get(&self, timeout: Option<Duration>) -> Result<Vec<Json>, CallFailed> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout.min(LONGEST));
        let mut results = Vec::with_capacity(self.members.len());
        for member in &self.members {
            results.push(member.get_until(deadline).await?);
        }
        Ok(results)
    }
}
