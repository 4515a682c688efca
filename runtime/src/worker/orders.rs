//! What a running worker is told from outside: its queues, how many attempts it
//! has in flight, which tasks are revoked, other time limits.
//!
//! All of it is in memory, and gone with the process.

mod pool;
mod queues;
mod revoked;

pub use pool::PoolError;
pub use queues::QueuesError;
pub use revoked::REVOKED;

use super::roll::Roll;
use crate::celery::Request;
use crate::celery::request::TimeLimit;
use pool::Pool;
use queues::Queues;
use revoked::Revoked;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most tasks that have time limits of their own from outside (1,000).
pub const TIME_LIMITS: usize = 1_000;

/// The orders of one worker.
#[derive(Debug)]
pub struct Orders {
    /// What the worker has in hand.
    pub roll: Roll,
    /// How many attempts it has in flight.
    pub pool: Pool,
    /// The queues that it takes from.
    pub queues: Queues,
    revoked: Mutex<Revoked>,
    limits: Mutex<HashMap<String, TimeLimit>>,
}

/// An order that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// There is nothing here that could follow it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// There are too many orders of this kind.
    #[error("{TIME_LIMITS} tasks have time limits of their own; restart the worker to forget them")]
    TooMany,
}

/// How hard a running task is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminate {
    /// It is asked, and cut off a little later.
    Asked,
    /// It is cut off.
    AtOnce,
}

impl Orders {
    /// Makes the orders of a worker that starts with these queues and this many
    /// attempts in flight; it may grow to `most`.
    #[must_use]
    pub fn new(queues: Vec<String>, concurrency: usize, most: usize) -> Self {
        Self {
            roll: Roll::default(),
            pool: Pool::new(concurrency, most),
            queues: Queues::new(queues),
            revoked: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    /// Revokes tasks by their ids: they are not started any more. Those that run
    /// are ended where that is wanted; their ids are returned.
    pub fn revoke(&self, ids: &[String], terminate: Option<Terminate>) -> Vec<String> {
        self.lock().add(ids);
        match terminate {
            Some(how) => self.roll.stop(ids, how == Terminate::AtOnce),
            None => Vec::new(),
        }
    }

    /// Revokes tasks by their stamps.
    ///
    /// # Errors
    /// [`OrderError::Unsupported`].
    pub fn revoke_by_stamps(
        &self,
        _stamps: &HashMap<String, Vec<String>>,
        _terminate: Option<Terminate>,
    ) -> Result<Vec<String>, OrderError> {
        Err(OrderError::Unsupported(
            "tasks are revoked by their ids here; revoke_by_stamped_headers is not known",
        ))
    }

    /// Limits how often a task is started; `None` takes the limit away.
    ///
    /// # Errors
    /// [`OrderError::Unsupported`].
    pub fn rate_limit(&self, _task: &str, rate: Option<f64>) -> Result<(), OrderError> {
        match rate {
            None => Ok(()),
            Some(_) => Err(OrderError::Unsupported("tasks have no rate limits here")),
        }
    }

    /// Gives a task other time limits from its next start on. They may lower those
    /// of the task, never raise them.
    ///
    /// # Errors
    /// [`OrderError::TooMany`].
    pub fn time_limit(&self, task: &str, limit: TimeLimit) -> Result<(), OrderError> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.len() >= TIME_LIMITS && !limits.contains_key(task) {
            return Err(OrderError::TooMany);
        }
        limits.insert(task.to_owned(), limit);
        Ok(())
    }

    /// Returns the revoked ids, the oldest first.
    #[must_use]
    pub fn revoked(&self) -> Vec<String> {
        self.lock().ids()
    }

    /// Tells whether a task was revoked.
    #[must_use]
    pub fn is_revoked(&self, id: &str) -> bool {
        self.lock().contains(id)
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

    fn lock(&self) -> MutexGuard<'_, Revoked> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
