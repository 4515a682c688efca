//! Writes revocations down: for all workers, and for those who wait for the tasks.

use crate::clock::{Clock, after};
use crate::results::orders::{Orders, Revocation, STAMP_BYTES, Target};
use crate::results::{Reply, Results, ResultsError, RunUsage, Write, Written};
use crate::task::{Exception, Fence, State, TaskId};
use std::sync::Arc;
use std::time::Duration;

/// Most tasks and stamps of one order (10,000): each of these tasks is looked up.
pub const TARGETS: usize = 10_000;

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// It is too much at once.
    #[error("{count} tasks are too many for one order; revoke at most {TARGETS} at a time (fixed)")]
    TooMany {
        /// How many they are.
        count: usize,
    },
    /// A stamp is too long.
    #[error(
        "the name or value of a stamp has {bytes} bytes; between 1 and {STAMP_BYTES} are allowed (fixed)"
    )]
    Stamp {
        /// Its length.
        bytes: usize,
    },
    /// The place for orders.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// What a revocation meant for a task at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody was known to run it: REVOKED is stored.
    Stored,
    /// It was over before, in this state.
    Over(State),
    /// Somebody runs it.
    Running(State),
    /// No states are kept here: it ends as revoked when its message is taken.
    Unknown,
}

/// What it takes to write revocations down.
#[derive(Debug, Clone)]
pub struct Clerk {
    /// Where workers hear of them.
    pub orders: Arc<dyn Orders>,
    /// Where callers hear of them.
    pub results: Arc<dyn Results>,
    /// The clock.
    pub clock: Clock,
    /// Who orders, for people.
    pub name: String,
    /// How long a revocation is kept.
    pub keep: Duration,
    /// How long results are kept; `None` is for ever.
    pub result_keep: Option<Duration>,
}

impl Clerk {
    /// Records revocations for every worker; `Ok` means that they survive all of them.
    ///
    /// # Errors
    /// [`RevokeError`]; then nothing is revoked, or some where the connection was lost.
    pub async fn record(
        &self,
        targets: &[Target],
        terminate: bool,
    ) -> Result<Vec<Revocation>, RevokeError> {
        if targets.len() > TARGETS {
            let count = targets.len();
            return Err(RevokeError::TooMany { count });
        }
        for target in targets {
            if let Target::Stamp { name, value } = target {
                let is_wrong = |bytes: &usize| !(1..=STAMP_BYTES).contains(bytes);
                if let Some(bytes) = [name.len(), value.len()].into_iter().find(is_wrong) {
                    return Err(RevokeError::Stamp { bytes });
                }
            }
        }
        let until = after(self.clock.now(), self.keep);
        let revocation = |target: &Target| Revocation {
            target: target.clone(),
            terminate,
            until,
        };
        let revocations: Vec<_> = targets.iter().map(revocation).collect();
        self.orders.revoke(revocations.clone()).await?;
        Ok(revocations)
    }

    /// Tells those who wait for a task that it is revoked, unless it is over or somebody
    /// is known to run it. A run that nobody knew of writes over it.
    ///
    /// # Errors
    /// [`ResultsError`], as reading and writing a state has it.
    pub async fn answer(&self, id: &TaskId) -> Result<Answer, ResultsError> {
        let found = match self.results.get(id).await {
            Err(ResultsError::Misconfigured { .. }) => return Ok(Answer::Unknown),
            found => found?,
        };
        let (task, retries) = match found {
            None => (String::new(), 0),
            Some(record) if record.is_last() => return Ok(Answer::Over(record.state)),
            Some(record) => match record.state {
                // Its next attempt has not begun.
                State::Retry => (record.task, record.fence.retries.saturating_add(1)),
                State::Revoked => return Ok(Answer::Stored),
                running @ (State::Started | State::Custom(_) | State::Success | State::Failure) => {
                    return Ok(Answer::Running(running));
                }
            },
        };
        let fence = Fence {
            retries,
            deliveries: 0,
        };
        match self.results.write(self.revoked(id, task, fence)).await? {
            Written::Stored => Ok(Answer::Stored),
            // It began meanwhile.
            Written::Refused => Ok(Answer::Running(State::Started)),
        }
    }

    fn revoked(&self, id: &TaskId, task: String, fence: Fence) -> Write {
        Write {
            id: id.clone(),
            task,
            fence,
            state: State::Revoked,
            result: None,
            exception: Some(revoked()),
            due: None,
            worker: self.name.clone(),
            usage: RunUsage::default(),
            log: None,
            keep: self.result_keep,
            reply: Reply::default(),
            children: String::new(),
            extended: None,
        }
    }
}

/// What a revoked task that did not run fails with.
pub(in crate::worker) fn revoked() -> Exception {
    Exception::new("celery.exceptions", "TaskRevokedError", "revoked")
}
