//! What people ordered about tasks: revocations, which every worker must hear of, and
//! the starts of tasks whose rate all workers share.
//!
//! Kept beside the results where these have a place that all workers see. Results that
//! have none (`rpc://`, files, tables of others) leave it to the broker's Redis, or to
//! the file of the data folder; who opens the stores decides.

use super::ResultsError;
use crate::task::{Buckets, Pace, TaskId, TenantName, Turn};
use async_trait::async_trait;
use jiff::Timestamp;
use std::fmt::Debug;
use std::time::Duration;

/// Most revocations that are kept (50,000), as Celery keeps them; the oldest go first.
pub const REVOCATIONS: usize = 50_000;
/// Most revocations of one answer (1,000), so that an answer stays small.
pub const PAGE: usize = 1_000;
/// Longest name and longest value of a stamp, bytes.
pub const STAMP_BYTES: usize = 1_024;
/// Which tasks are revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The one of this id.
    Task(TaskId),
    /// Every one that bears this stamp.
    Stamp {
        /// The name of the stamp.
        name: String,
        /// Its value, as JSON.
        value: String,
    },
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Which tasks.
    pub target: Target,
    /// Whether those that run are ended, too.
    pub terminate: bool,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// How far a reader of revocations has read; it means something to its driver alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(pub(super) String);

/// A message that wants to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The full name of the task.
    pub task: String,
    /// The task.
    pub id: TaskId,
    /// How fast such tasks start.
    pub pace: Pace,
}

/// What tenants used in one worker since it last told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spending {
    /// Hours since 1970.
    pub hour: i64,
    /// Whose, and how much; nothing where there is none.
    pub cpu: Vec<(TenantName, Duration)>,
    /// The second of 1970 that it is.
    pub second: i64,
    /// Bytes of results that were stored, by the second at which they are gone, of every
    /// tenant whose sum is wanted.
    pub stored: Vec<(TenantName, Buckets)>,
}

/// What all workers together counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// CPU time.
    pub cpu: Vec<Total>,
    /// Bytes of results that are not gone yet, of the tenants that were asked for.
    pub stored: Vec<(TenantName, Buckets)>,
}

/// CPU time of a tenant in all workers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Whose.
    pub tenant: TenantName,
    /// In that hour of UTC.
    pub in_hour: Duration,
    /// In that day of UTC.
    pub in_day: Duration,
}

/// A place for orders. Methods may be called from many tasks at once.
#[async_trait]
pub trait Orders: Debug + Send + Sync {
    /// Records revocations, of which at most [`REVOCATIONS`] are kept. One that is
    /// recorded again takes the place of the earlier one, and ends running tasks if that
    /// did; within a minute it may add nothing, so that many may record the same.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<(), ResultsError>;

    /// Returns what was recorded after a mark, oldest first and at most [`PAGE`] of it,
    /// and the next mark; `None` begins at the beginning. What is past its time may be
    /// left out.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn revoked(
        &self,
        after: Option<&Mark>,
    ) -> Result<(Vec<Revocation>, Option<Mark>), ResultsError>;

    /// Tells when a message may start, so that all workers together start no more than
    /// one in each interval; by the rules of a worker's own line.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`]; [`ResultsError::Misconfigured`] where workers
    /// share nothing.
    async fn turn(&self, ask: Ask) -> Result<Turn, ResultsError>;

    /// Counts what tenants used, and returns that of all workers together: CPU time in the
    /// hour and the day, and bytes of results that are not gone yet; where nothing is
    /// counted, nothing.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn spend(&self, _spending: Spending) -> Result<Totals, ResultsError> {
        Ok(Totals::default())
    }
}
