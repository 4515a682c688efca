//! How fast tasks start here, or in all workers together: the rates in force, and the
//! lines in which limited messages stand.

use crate::clock::Clock;
use crate::policy::rate::Line;
use crate::policy::route;
use crate::results::ResultsError;
use crate::results::orders::{Ask, Orders};
use crate::task::{Pace, Rate, RateScope, TaskId, Turn};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shortest wait that is the broker's (100 ms): as many starts as fall into it hold a
/// place of the worker's while they wait, and no more.
const SHORT: Duration = Duration::from_millis(100);
/// How late a message may come back before its place is another's, beyond what its
/// broker delays it (2 s).
const PATIENCE: Duration = Duration::from_secs(2);
/// Most tasks whose rate was changed while the worker runs (10,000), as many as can be
/// configured.
const CHANGED: usize = 10_000;

/// The rates of tasks.
#[derive(Debug)]
pub struct Rates {
    configured: BTreeMap<String, Option<Rate>>,
    changed: Mutex<HashMap<String, Option<Rate>>>,
    lines: Mutex<HashMap<String, Line>>,
    scope: RateScope,
    orders: Arc<dyn Orders>,
    clock: Clock,
    /// The step in which the broker delays.
    step: Duration,
}

/// More rates were changed than are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rates of {CHANGED} tasks were changed already, the most that can be (fixed); write this one into [tasks]"
)]
pub struct TooManyRates;

impl Rates {
    /// Makes the rates of a worker; `step` is that in which its broker delays.
    #[must_use]
    pub fn new(
        configured: BTreeMap<String, Option<Rate>>,
        scope: RateScope,
        orders: Arc<dyn Orders>,
        clock: Clock,
        step: Duration,
    ) -> Self {
        Self {
            configured,
            changed: Mutex::default(),
            lines: Mutex::default(),
            scope,
            orders,
            clock,
            step,
        }
    }

    /// Changes the rate of a task, by its full name, until this worker ends; `None` is no
    /// limit. This is what remote control's `rate_limit` calls.
    ///
    /// # Errors
    /// [`TooManyRates`].
    pub fn rate_limit(&self, task: &str, rate: Option<Rate>) -> Result<(), TooManyRates> {
        let mut changed = lock(&self.changed);
        if changed.len() >= CHANGED && !changed.contains_key(task) {
            return Err(TooManyRates);
        }
        changed.insert(task.to_owned(), rate);
        // As with Celery, what was promised at the old rate is void.
        lock(&self.lines).remove(task);
        Ok(())
    }

    /// Returns the rate of a task in force, by its full name.
    #[must_use]
    pub fn of(&self, task: &str) -> Option<Rate> {
        if let Some(changed) = lock(&self.changed).get(task) {
            return changed.clone();
        }
        route::find(&self.configured, task).cloned().flatten()
    }

    /// Tells when a message may start; `None` is at once, for its task has no rate.
    pub(super) async fn turn(&self, task: &str, id: &TaskId) -> Result<Option<Turn>, ResultsError> {
        let Some(rate) = self.of(task) else {
            return Ok(None);
        };
        let pace = Pace {
            interval: rate.interval(),
            short: SHORT.max(self.step),
            patience: PATIENCE + 2 * self.step,
        };
        let turn = match self.scope {
            RateScope::Worker => {
                let mut lines = lock(&self.lines);
                let line = lines.entry(task.to_owned()).or_default();
                line.turn(id, self.clock.now(), &pace)
            }
            RateScope::Cluster => {
                let (task, id) = (task.to_owned(), id.clone());
                self.orders.turn(Ask { task, id, pace }).await?
            }
        };
        Ok(Some(turn))
    }
}

/// What a panicking thread left is still a map.
fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
