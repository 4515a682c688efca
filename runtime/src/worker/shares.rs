//! The places of a worker, and which lane gets the next one: [`crate::policy::fair`] decides,
//! here those wait whose turn it is not.

mod means;

use crate::policy::fair::Fair;
use means::Means;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What an attempt of a task that never ended here is charged at its start (10 ms).
const UNKNOWN: Duration = Duration::from_millis(10);

/// The places.
#[derive(Debug)]
pub(super) struct Shares(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    fair: Fair,
    lanes: HashMap<u64, Lane>,
    next: u64,
}

#[derive(Debug)]
struct Lane {
    /// Places that were given and not fetched yet.
    given: usize,
    changed: Arc<Notify>,
    means: Means,
    /// CPU time of all attempts that ended.
    spent: Duration,
}

/// A lane's way to places; dropped, the lane is closed.
#[derive(Debug)]
pub(super) struct Door {
    shares: Arc<Shares>,
    lane: u64,
    changed: Arc<Notify>,
}

/// The place of one attempt; dropped, it is somebody else's.
#[derive(Debug)]
pub(super) struct Place {
    shares: Arc<Shares>,
    lane: u64,
    task: String,
    charged: Duration,
}

impl Shares {
    pub(super) fn new(size: usize) -> Self {
        Self(Mutex::new(Inner {
            fair: Fair::new(size),
            lanes: HashMap::new(),
            next: 0,
        }))
    }

    /// Opens a lane.
    pub(super) fn join(self: &Arc<Self>, weight: u32) -> Door {
        let changed = Arc::new(Notify::new());
        let mut inner = self.lock();
        let lane = inner.next;
        inner.next += 1;
        let opened = Lane {
            given: 0,
            changed: Arc::clone(&changed),
            means: Means::default(),
            spent: Duration::ZERO,
        };
        inner.lanes.insert(lane, opened);
        inner.fair.join(lane, weight);
        inner.tell_all();
        Door {
            shares: Arc::clone(self),
            lane,
            changed,
        }
    }

    /// Adds places.
    pub(super) fn grow(&self, by: usize) {
        let mut inner = self.lock();
        let size = inner.fair.size().saturating_add(by);
        inner.fair.resize(size);
        inner.give();
        inner.tell_all();
    }

    /// Takes away places that nobody has; `false` says that there are not so many.
    pub(super) fn shrink(&self, by: usize) -> bool {
        let mut inner = self.lock();
        let is_free = inner.fair.free() >= by;
        if is_free {
            let size = inner.fair.size().saturating_sub(by);
            inner.fair.resize(size);
        }
        is_free
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Gives places to whoever is next.
    fn give(&mut self) {
        while let Some(next) = self.fair.grant() {
            if let Some(lane) = self.lanes.get_mut(&next) {
                lane.given += 1;
                lane.changed.notify_one();
            }
        }
    }

    fn tell_all(&self) {
        for lane in self.lanes.values() {
            lane.changed.notify_one();
        }
    }

    /// Fetches a place that was given, for an attempt of a task.
    fn fetch(&mut self, lane: u64, task: &str) -> Option<Duration> {
        let own = self.lanes.get_mut(&lane)?;
        own.given = own.given.checked_sub(1)?;
        Some(self.charge(lane, task))
    }

    /// Charges a lane for what an attempt of a task will probably take.
    fn charge(&mut self, lane: u64, task: &str) -> Duration {
        let mean = self.lanes.get(&lane).and_then(|lane| lane.means.of(task));
        let charged = mean.unwrap_or(UNKNOWN);
        self.fair.charge(lane, charged);
        charged
    }
}

impl Door {
    /// Gives the lane another weight, and another bound of what it may have in flight.
    pub(super) fn change(&self, weight: u32, most: Option<usize>) {
        let mut inner = self.shares.lock();
        inner.fair.change(self.lane, weight, most);
        inner.give();
        inner.tell_all();
    }

    /// Returns how many messages the lane is to take now.
    pub(super) fn room(&self) -> usize {
        self.shares.lock().fair.room(self.lane)
    }

    /// Resolves when there may be more room, or a place was given. It may be too early, and
    /// never too late. Cancel-safe; for one waiter.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns a place for an attempt of a task when it is the lane's turn. Cancel-safe; for
    /// one waiter.
    pub(super) async fn place(&self, task: &str) -> Place {
        let asked = Asked::new(self);
        loop {
            if let Some(charged) = self.shares.lock().fetch(self.lane, task) {
                asked.answered();
                return Place {
                    shares: Arc::clone(&self.shares),
                    lane: self.lane,
                    task: task.to_owned(),
                    charged,
                };
            }
            self.changed().await;
        }
    }

    /// Charges the lane for CPU time that it took in another worker.
    pub(super) fn charge(&self, cpu: Duration) {
        self.shares.lock().fair.charge(self.lane, cpu);
    }

    /// Returns the CPU time of all its attempts that ended.
    pub(super) fn spent(&self) -> Duration {
        let inner = self.shares.lock();
        inner
            .lanes
            .get(&self.lane)
            .map_or(Duration::ZERO, |lane| lane.spent)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut inner = self.shares.lock();
        inner.fair.leave(self.lane);
        inner.lanes.remove(&self.lane);
        inner.give();
        inner.tell_all();
    }
}

/// A question for a place that was not answered yet; dropped, it is taken back.
struct Asked<'a>(Option<&'a Door>);

impl<'a> Asked<'a> {
    fn new(door: &'a Door) -> Self {
        let mut inner = door.shares.lock();
        inner.fair.ask(door.lane);
        inner.give();
        Self(Some(door))
    }

    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Some(door) = self.0 else { return };
        let mut inner = door.shares.lock();
        let given = inner.lanes.get_mut(&door.lane).map_or(0, |lane| {
            let given = lane.given;
            lane.given = 0;
            given
        });
        match given {
            0 => inner.fair.withdraw(door.lane),
            _ => inner.fair.release(door.lane),
        }
        inner.give();
    }
}

impl Place {
    /// Says what the attempt took. What it was charged at its start is made up for.
    pub(super) fn took(&self, cpu: Duration) {
        let mut inner = self.shares.lock();
        match cpu.checked_sub(self.charged) {
            Some(more) => inner.fair.charge(self.lane, more),
            None => inner
                .fair
                .refund(self.lane, self.charged.saturating_sub(cpu)),
        }
        if let Some(lane) = inner.lanes.get_mut(&self.lane) {
            lane.means.learn(&self.task, cpu);
            lane.spent = lane.spent.saturating_add(cpu);
        }
    }

    /// Keeps it for an attempt of another task, which is charged as one that takes a place.
    pub(super) fn is_kept_for(&mut self, task: &str) {
        self.charged = self.shares.lock().charge(self.lane, task);
        task.clone_into(&mut self.task);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.shares.lock();
        inner.fair.release(self.lane);
        inner.give();
        if let Some(lane) = inner.lanes.get(&self.lane) {
            lane.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_place_that_is_given_back_is_the_next_ones() {
        let shares = Arc::new(Shares::new(1));
        let (a, b) = (shares.join(100), shares.join(100));
        let own = a.place("m.t").await;
        let lent = a.place("m.t").await;
        let other = b.place("m.t").await;
        assert!(b.place("m.t").now_or_never().is_none());
        // The question that was given up is not answered later.
        drop(lent);
        let again = b.place("m.t").await;
        assert!(a.place("m.t").now_or_never().is_none());
        drop((own, other, again));
        assert!(a.place("m.t").now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_tasks_took_is_what_they_are_charged_at_their_next_start() {
        let shares = Arc::new(Shares::new(4));
        let door = shares.join(100);
        let first = door.place("m.long").await;
        assert_eq!(first.charged, UNKNOWN);
        first.took(Duration::from_secs(2));
        drop(first);
        let second = door.place("m.long").await;
        assert_eq!(second.charged, Duration::from_secs(2));
        second.took(Duration::ZERO);
        assert_eq!(door.spent(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_place_that_is_kept_is_charged_for_each_task() {
        let shares = Arc::new(Shares::new(1));
        let door = shares.join(100);
        let mut place = door.place("m.long").await;
        place.took(Duration::from_secs(2));
        place.is_kept_for("m.short");
        assert_eq!(place.charged, UNKNOWN);
        place.took(Duration::from_secs(1));
        place.is_kept_for("m.long");
        assert_eq!(place.charged, Duration::from_secs(2));
        place.took(Duration::from_secs(2));
        assert_eq!(door.spent(), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn places_come_and_go_and_whoever_waits_hears_of_it() {
        let shares = Arc::new(Shares::new(1));
        let door = shares.join(100);
        let one = door.place("m.t").await;
        assert_eq!(door.room(), 0);
        assert!(!shares.shrink(1));
        let mut waits = Box::pin(door.place("m.t"));
        assert!(waits.as_mut().now_or_never().is_none());
        shares.grow(1);
        let two = waits.now_or_never().expect("there is one more");
        drop((one, two));
        assert!(shares.shrink(1));
        assert_eq!(door.room(), 1);
    }

    #[tokio::test]
    async fn a_lane_that_closes_leaves_its_places_to_others() {
        let shares = Arc::new(Shares::new(1));
        let (a, b) = (shares.join(100), shares.join(100));
        let held = [a.place("m.t").await, a.place("m.t").await];
        let own = b.place("m.t").await;
        assert!(b.place("m.t").now_or_never().is_none());
        drop(a);
        drop(own);
        assert_eq!(b.room(), 1);
        drop(held);
        assert_eq!(b.room(), 1);
    }
}
