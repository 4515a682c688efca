//! The results seam: states, results, and the record of runs.
//!
//! Every write about a run carries its [`Fence`] and is refused when a higher
//! one is recorded or the state is final; so a worker that was thought dead
//! cannot overwrite its successor, and a repeated write is harmless.
//!
//! The happy path stays cheap: the first run of a task (`Fence::is_first`)
//! needs no [`Results::begin`], and writes once, at its end.

pub mod chord;
pub mod database;
pub mod disabled;
pub mod embedded;
pub mod files;
pub mod orders;
pub mod redis;
pub mod rpc;
pub mod shelf;

mod decide;
mod document;
mod weight;

pub use crate::celery::result::Extended;
pub use crate::task::Exception;
use crate::task::{Fence, State, TaskId, UsedGrants};
use async_trait::async_trait;
use bytes::Bytes;
use chord::{Expect, JoinPart, Joined, Joining};
use jiff::Timestamp;
pub use rpc::Hearing;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::time::Duration;

/// Stands between the name of a worker and what tells its runs apart.
pub const RUN: &str = " run ";

/// The start of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The task.
    pub id: TaskId,
    /// Its full name as the caller wrote it.
    pub task: String,
    /// The run.
    pub fence: Fence,
    /// The worker, `NAME@HOST`, and after [`RUN`] what is like that of no other run.
    pub worker: String,
    /// Until when the run is believed alive without [`Results::renew`].
    pub lease_until: Timestamp,
}

/// The answer to the start of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// Run it: the record has our fence.
    Run,
    /// It is over: repeat the follow-ups of this record, then settle.
    Over(Box<Record>),
    /// This very attempt already ended in a retry: publish the retry again
    /// (due then), then settle.
    Retried {
        /// When the retry is due.
        due: Option<Timestamp>,
    },
    /// A later retry is recorded: acknowledge and forget.
    Stale,
    /// Another run of the same attempt holds it until then: park.
    Held {
        /// When its lease lapses.
        until: Timestamp,
    },
}

/// Where a task belongs, for those who wait for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The queue where an `rpc://` client waits, if it does.
    pub to: Option<String>,
    /// What that client knows the answer by; else the task id.
    pub correlation: Option<String>,
    /// The group the task belongs to.
    pub group: Option<String>,
    /// The task that sent it.
    pub parent: Option<String>,
}

/// What is written when a run ends, or tells how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The task.
    pub id: TaskId,
    /// Its full name as the caller wrote it.
    pub task: String,
    /// The run.
    pub fence: Fence,
    /// The new state.
    pub state: State,
    /// JSON: the result of SUCCESS, the meta of a custom state; else `None`.
    pub result: Option<Bytes>,
    /// What a failed, retried or revoked task failed with.
    pub exception: Option<Exception>,
    /// When the next retry is due, for [`State::Retry`].
    pub due: Option<Timestamp>,
    /// The worker.
    pub worker: String,
    /// What the run used.
    pub usage: RunUsage,
    /// The attempt's log, a JSON object of `lines`, `dropped_lines` and
    /// `dropped_bytes`, with `room_lines` and `room_bytes` where something was dropped;
    /// `None` when it is empty.
    pub log: Option<String>,
    /// How long the record is kept from now; `None` is for ever.
    pub keep: Option<Duration>,
    /// Where the task belongs.
    pub reply: Reply,
    /// JSON: the tasks it sent, an array of Celery's tuples; empty where it sent none.
    pub children: String,
    /// What `result_extended` adds, where it is wanted.
    pub extended: Option<Extended>,
}

impl Write {
    /// Tells whether it is about no run at all: a revocation that was ordered while
    /// nobody was known to run the task. Its callers hear of it at once, but a run that
    /// went on unknown, whose deliveries count from 1, writes over it.
    #[must_use]
    pub fn is_order(&self) -> bool {
        self.state == State::Revoked && self.fence.deliveries == 0
    }

    /// Tells whether nothing may be written over it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.state.is_final() && !self.is_order()
    }
}

/// What one run used.
///
/// What a version of ours did not know of is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunUsage {
    /// Time between ready and start, milliseconds.
    pub queue_wait_ms: u64,
    /// Time in the sandbox, microseconds.
    pub run_us: u64,
    /// CPU time, microseconds.
    pub cpu_us: u64,
    /// Highest sum of memories and tables, bytes.
    pub memory_peak_bytes: u64,
    /// Bytes of the arguments, and of what grants brought.
    pub bytes_in: u64,
    /// Bytes of the result, and of what grants took.
    pub bytes_out: u64,
    /// Calls of functions of the host.
    pub host_calls: u64,
    /// What it did with its grants.
    #[serde(skip_serializing_if = "UsedGrants::is_none")]
    pub uses: UsedGrants,
}

/// What is known of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The task.
    pub id: TaskId,
    /// Its full name.
    pub task: String,
    /// The run that wrote last.
    pub fence: Fence,
    /// The state.
    pub state: State,
    /// JSON, as in [`Write::result`].
    pub result: Option<Bytes>,
    /// As in [`Write::exception`].
    pub exception: Option<Exception>,
    /// As in [`Write::due`].
    pub due: Option<Timestamp>,
    /// The worker that wrote last, as in [`Start::worker`] where it has only begun; see
    /// [`Record::worker_name`].
    pub worker: String,
    /// What the last run used.
    pub usage: RunUsage,
    /// As in [`Write::log`].
    pub log: Option<String>,
    /// When the last write happened.
    pub written_at: Timestamp,
}

impl Record {
    /// Returns the name of the worker that wrote last, without its run.
    #[must_use]
    pub fn worker_name(&self) -> &str {
        let name = self.worker.rsplit_once(RUN);
        name.map_or(&self.worker, |(name, _)| name)
    }

    /// Tells whether nothing may be written over it, see [`Write::is_order`].
    #[must_use]
    pub fn is_last(&self) -> bool {
        let is_order = self.state == State::Revoked && self.fence.deliveries == 0;
        self.state.is_final() && !is_order
    }

    /// What the task failed with; where that cannot be read, as of a document that is not
    /// ours, that it did.
    #[must_use]
    pub fn failure(&self) -> Exception {
        self.exception.clone().unwrap_or_else(|| match self.state {
            State::Revoked => Exception::new("celery.exceptions", "TaskRevokedError", "revoked"),
            State::Started | State::Success | State::Failure | State::Retry | State::Custom(_) => {
                let text = "it failed with something that cannot be read here";
                Exception::new("builtins", "Exception", text)
            }
        })
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored,
    /// A higher fence or a final state stood in the way: nothing changed.
    Refused,
}

/// Trouble of a result backend, by what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// Back off and try again.
    #[error("result backend {system} is unavailable: {reason}")]
    Unavailable {
        /// The driver.
        system: &'static str,
        /// What it said.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Make the message a dead letter: what became of its task cannot be kept.
    #[error("result backend {system} cannot keep what becomes of the task: {reason}")]
    Malformed {
        /// The driver.
        system: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// Fail the start.
    #[error("result backend {system} cannot be used: {reason}")]
    Misconfigured {
        /// The driver.
        system: &'static str,
        /// Why, and what to do.
        reason: String,
    },
}

/// A result backend. Methods may be called from many tasks at once.
#[async_trait]
pub trait Results: Debug + Send + Sync {
    /// Returns the driver's name for logs and metrics.
    fn system(&self) -> &'static str;

    /// Tells whether what is written stays here; else it goes to its callers, or nowhere.
    fn keeps(&self) -> bool {
        true
    }

    /// Takes the fence of a run that may have had predecessors.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`], and [`ResultsError::Malformed`] where something else
    /// is in the place of the task.
    async fn begin(&self, start: Start) -> Result<Begun, ResultsError>;

    /// Renews the leases of begun runs.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn renew(&self, runs: Vec<(TaskId, Fence)>, until: Timestamp)
    -> Result<(), ResultsError>;

    /// Stores a state, conditional on the fence.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`], and [`ResultsError::Malformed`] where something else
    /// is in the place of the task.
    async fn write(&self, write: Write) -> Result<Written, ResultsError>;

    /// Returns what is known of a task; `None` is Celery's PENDING.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`], and [`ResultsError::Malformed`] where something else
    /// is in the place of the task.
    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError>;

    /// Watches a task: make it, [`Results::get`], and wait only then, so that no
    /// change is missed.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn watch(&self, id: &TaskId) -> Result<Box<dyn Watch>, ResultsError>;

    /// Returns how it brings the parts of a chord together.
    fn joining(&self) -> Joining {
        Joining::Never
    }

    /// Announces a chord before its header is sent. Nothing where parts are not counted.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn expect(&self, _chord: Expect) -> Result<(), ResultsError> {
        Ok(())
    }

    /// Makes ready to hear what becomes of tasks that are about to be called, where that
    /// goes to their caller alone: their messages have to name the queue. Nothing where
    /// results are kept.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`], also where too many are waited for.
    async fn hear(&self, _ids: Vec<TaskId>) -> Result<Option<Hearing>, ResultsError> {
        Ok(None)
    }

    /// Ends what [`Results::hear`] began.
    async fn hush(&self) {}

    /// Counts a part of a chord, once however often it is told, and returns all of them
    /// to whoever is to send the body. Nothing where parts are not counted.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`], and [`ResultsError::Malformed`] where the parts
    /// cannot be brought together.
    async fn join(&self, _part: JoinPart) -> Result<Joined, ResultsError> {
        Ok(Joined::Waiting)
    }

    /// Tells that the body of a chord was sent, or failed: whatever comes later of it is
    /// not counted.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn joined(&self, _group: &str) -> Result<(), ResultsError> {
        Ok(())
    }

    /// Removes records past their time, at most 10,000, and returns how many.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn sweep(&self) -> Result<u64, ResultsError>;
}

/// Notices when what is known of a task may have changed.
#[async_trait]
pub trait Watch: Send {
    /// Waits for the next change; it may come for nothing. Cancel-safe.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`] when no change can be heard any more.
    async fn changed(&mut self) -> Result<(), ResultsError>;
}
