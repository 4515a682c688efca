//! What a running worker is told from outside: its queues, how many attempts it
//! has in flight, which tasks are revoked, other rates and time limits.
//!
//! All of it is in memory, and gone with the process; but revocations are written down.

mod pool;
mod queues;

pub use pool::{Pool, PoolError};
pub use queues::QueuesError;

use super::meter::Meter;
use super::rates::Rates;
use super::revocations::Revocations;
use super::roll::Roll;
use crate::celery::Request;
use crate::celery::request::TimeLimit;
use queues::Queues;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most tasks that have time limits of their own from outside (1,000).
pub const TIME_LIMITS: usize = 1_000;

/// What steers one lane of a worker.
#[derive(Debug)]
pub struct Steering {
    /// What the worker has in hand.
    pub roll: Roll,
    /// How many attempts the worker has in flight.
    pub pool: Arc<Pool>,
    /// The queues that it takes from.
    pub queues: Queues,
    /// The revoked tasks.
    pub revocations: Arc<Revocations>,
    /// How fast tasks start.
    pub rates: Rates,
    /// What its tenant may use, and used.
    pub meter: Meter,
    limits: Mutex<HashMap<String, TimeLimit>>,
}

/// More tasks have time limits of their own than are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{TIME_LIMITS} tasks have time limits of their own, the most that can (fixed); restart the worker to forget them"
)]
pub struct TooManyLimits;

impl Steering {
    /// Steers a lane that starts with these queues, and shares these places with others.
    #[must_use]
    pub fn new(
        queues: Vec<String>,
        pool: Arc<Pool>,
        revocations: Revocations,
        rates: Rates,
        meter: Meter,
    ) -> Self {
        Self {
            roll: Roll::default(),
            pool,
            queues: Queues::new(queues),
            revocations: Arc::new(revocations),
            rates,
            meter,
            limits: Mutex::default(),
        }
    }

    /// Gives a task other time limits from its next start on. They may lower those
    /// of the task, never raise them.
    ///
    /// # Errors
    /// [`TooManyLimits`].
    pub fn time_limit(&self, task: &str, limit: TimeLimit) -> Result<(), TooManyLimits> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.len() >= TIME_LIMITS && !limits.contains_key(task) {
            return Err(TooManyLimits);
        }
        limits.insert(task.to_owned(), limit);
        Ok(())
    }

    /// Returns the time limits that a request is to have: its own, else those that
    /// were ordered for its task.
    pub(super) fn limits_of(&self, request: &Request) -> TimeLimit {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let ordered = limits.get(&request.task).copied().unwrap_or_default();
        TimeLimit {
            hard: request.time_limit.hard.or(ordered.hard),
            soft: request.time_limit.soft.or(ordered.soft),
        }
    }
}
