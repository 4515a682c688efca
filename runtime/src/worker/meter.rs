//! What the tenant of a lane may use, and what it used.

use crate::clock::Clock;
use crate::policy::quota::{Hold, Spent};
use crate::task::{Buckets, Share};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The meter of one lane.
#[derive(Debug)]
pub struct Meter {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    share: Share,
    spent: Spent,
}

impl Meter {
    /// Makes the meter of a lane that used nothing yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Tells whether and why nothing may start now.
    #[must_use]
    pub fn hold(&self) -> Option<Hold> {
        let State { share, spent } = &mut *self.lock();
        spent.hold(share, self.clock.now())
    }

    pub(super) fn take_share(&self, share: &Share) {
        self.lock().share.clone_from(share);
    }

    /// Returns how many attempts may start in this minute.
    pub(super) fn starts_left(&self) -> usize {
        let State { share, spent } = &mut *self.lock();
        spent.starts_left(&share.quota, self.clock.now())
    }

    pub(super) fn starts(&self) {
        let now = self.clock.now();
        self.lock().spent.start(now);
    }

    pub(super) fn took(&self, cpu: Duration) {
        let now = self.clock.now();
        self.lock().spent.took(now, cpu);
    }

    /// Takes over what is known of all workers together, where that is more.
    pub fn at_least(&self, in_hour: Duration, in_day: Duration) {
        let now = self.clock.now();
        self.lock().spent.at_least(now, in_hour, in_day);
    }

    /// Counts bytes of a result that was stored for so long.
    pub(super) fn kept(&self, bytes: u64, keep: Option<Duration>) {
        let now = self.clock.now();
        self.lock().spent.stored.keep(now, bytes, keep);
    }

    /// Returns the bytes of results that no other worker was told of, and takes them as
    /// told.
    #[must_use]
    pub fn tell(&self) -> Buckets {
        self.lock().spent.stored.tell()
    }

    /// Tells whether the bytes of results have a quota.
    #[must_use]
    pub fn counts_results(&self) -> bool {
        self.lock().share.quota.result_bytes.is_some()
    }

    /// Takes back what could not be told.
    pub fn untell(&self, untold: Buckets) {
        self.lock().spent.stored.untell(untold);
    }

    /// Takes over what all workers together stored.
    pub fn learn(&self, stored: Buckets) {
        let now = self.clock.now();
        self.lock().spent.stored.learn(now, stored);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
