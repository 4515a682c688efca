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

    /// Counts an attempt that starts, unless it may not: one of many that begin at once is
    /// never one too many.
    pub(super) fn begins(&self) -> bool {
        let now = self.clock.now();
        let State { share, spent } = &mut *self.lock();
        let may = spent.hold(share, now).is_none();
        if may {
            spent.start(now);
        }
        may
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Quota;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn of_many_attempts_that_begin_at_once_as_many_start_as_may() {
        let meter = Meter::new(Clock::manual(jiff::Timestamp::UNIX_EPOCH));
        meter.take_share(&Share {
            quota: Quota {
                starts_per_minute: Some(100),
                ..Quota::default()
            },
            ..Share::default()
        });
        let begun = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        begun.fetch_add(u32::from(meter.begins()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(begun.into_inner(), 100);
        assert_eq!(meter.starts_left(), 0);
        assert_eq!(meter.hold().unwrap().quota, "starts_per_minute");
    }
}
