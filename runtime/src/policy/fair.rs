//! Whose message is next, where several tenants share the places of a worker.
//!
//! Each tenant has a lane with a virtual time: the CPU time that it took, divided by its
//! weight. Of those who wait, the one whose time is least gets the next place. A lane that
//! has nothing in flight may always start one message, in a place of its own, so that it
//! waits for nobody else's task to end; all other places are lent to whoever has messages.
//!
//! The bound: with `n` lanes and a pool of `size` places, at most `size + n` attempts are in
//! flight (`size` where there is one lane), and a message of a lane that has nothing in flight waits for no place at all.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a message costs beside what its guest takes (200 µs): taking, decoding, storing and
/// settling it, so that a flood of empty tasks is not for nothing.
pub const MESSAGE: Duration = Duration::from_micros(200);
/// How far a lane's time may be ahead when it comes back (10 s of one core at weight 100):
/// what it took elsewhere delays it, but not for ever.
const DEBT: u128 = 10 * SECOND;
/// A second of virtual time: one second of CPU at the usual weight.
const SECOND: u128 = 1_000_000_000 * SCALE;
/// So that a nanosecond at the largest weight is still a number.
const SCALE: u128 = 100;
/// The usual weight.
const USUAL: u128 = 100;

/// The lanes of a worker.
#[derive(Debug)]
pub struct Fair {
    size: usize,
    /// Never goes back: the least time of those that are busy, as last seen.
    now: u128,
    lanes: BTreeMap<u64, Lane>,
}

#[derive(Debug)]
struct Lane {
    weight: u32,
    time: u128,
    running: usize,
    waiting: usize,
    most: usize,
}

impl Lane {
    fn is_busy(&self) -> bool {
        self.running + self.waiting > 0
    }

    fn wants(&self) -> bool {
        self.waiting > 0 && self.running < self.most
    }

    /// CPU time in this lane's virtual time.
    fn cost(&self, cpu: Duration) -> u128 {
        cpu.as_nanos() * SCALE * USUAL / u128::from(self.weight.max(1))
    }
}

impl Fair {
    /// Shares so many places.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            now: 0,
            lanes: BTreeMap::new(),
        }
    }

    /// Opens a lane.
    pub fn join(&mut self, lane: u64, weight: u32) {
        let opened = Lane {
            weight,
            time: self.now,
            running: 0,
            waiting: 0,
            most: usize::MAX,
        };
        self.lanes.insert(lane, opened);
    }

    /// Closes a lane; what it has in flight is counted no more.
    pub fn leave(&mut self, lane: u64) {
        self.lanes.remove(&lane);
    }

    /// Gives a lane another weight, and another bound of what it may have in flight.
    pub fn change(&mut self, lane: u64, weight: u32, most: Option<usize>) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.weight = weight;
            lane.most = most.unwrap_or(usize::MAX);
        }
    }

    /// Shares another number of places from now on.
    pub fn resize(&mut self, size: usize) {
        self.size = size;
    }

    /// Returns the number of places that are shared.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns how many places nobody has.
    #[must_use]
    pub fn free(&self) -> usize {
        let lent = self.lanes.values().map(|lane| self.lent(lane));
        self.size.saturating_sub(lent.sum())
    }

    /// Tells whether several lanes share the places.
    fn is_shared(&self) -> bool {
        self.lanes.len() > 1
    }

    /// The places of the pool that a lane has.
    fn lent(&self, lane: &Lane) -> usize {
        match self.is_shared() {
            true => lane.running.saturating_sub(1),
            false => lane.running,
        }
    }

    /// Returns how many messages a lane is to take now: as many as could start, but no more
    /// than its part of the free places while others are busy. Where it could start none it
    /// takes one all the same, which says that it has messages, unless it is alone.
    #[must_use]
    pub fn room(&self, lane: u64) -> usize {
        let Some(own) = self.lanes.get(&lane) else {
            return 0;
        };
        let slack = own.most.saturating_sub(own.running + own.waiting);
        let free = self.free();
        if !self.is_shared() {
            return free.saturating_sub(own.waiting).min(slack);
        }
        if own.waiting > 0 {
            return 0;
        }
        let others = self.lanes.iter();
        let others = others.filter(|(other, one)| **other != lane && one.is_busy());
        let part = free.div_ceil(others.count() + 1);
        let place_of_its_own = usize::from(own.running == 0);
        (part + place_of_its_own).max(1).min(slack)
    }

    /// Says that a lane has a message that wants to start.
    pub fn ask(&mut self, lane: u64) {
        self.see();
        let now = self.now;
        if let Some(lane) = self.lanes.get_mut(&lane) {
            if !lane.is_busy() {
                // Whoever did nothing saved nothing up.
                lane.time = lane.time.clamp(now, now.saturating_add(DEBT));
            }
            lane.waiting += 1;
        }
    }

    /// Says that a message does not want to start any more.
    pub fn withdraw(&mut self, lane: u64) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.waiting = lane.waiting.saturating_sub(1);
        }
    }

    /// Gives a place to whoever is next, and returns whose it is. To be asked until there is
    /// nobody, whenever something changed.
    pub fn grant(&mut self) -> Option<u64> {
        let (shared, free) = (self.is_shared(), self.free());
        let waiting = self.lanes.iter().filter(|(_, lane)| lane.wants());
        // Who has nothing in flight needs none of the pool's.
        let may = waiting.filter(|(_, lane)| free > 0 || (shared && lane.running == 0));
        let (&next, _) =
            may.min_by_key(|(_, lane)| (lane.running > 0 && shared && free == 0, lane.time))?;
        let lane = self.lanes.get_mut(&next)?;
        lane.waiting -= 1;
        lane.running += 1;
        lane.time = lane.time.saturating_add(lane.cost(MESSAGE));
        self.see();
        Some(next)
    }

    /// Says that an attempt of a lane ended.
    pub fn release(&mut self, lane: u64) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.running = lane.running.saturating_sub(1);
        }
        self.see();
    }

    /// Charges a lane for CPU time.
    pub fn charge(&mut self, lane: u64, cpu: Duration) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.time = lane.time.saturating_add(lane.cost(cpu));
        }
    }

    /// Gives back what a lane was charged too much.
    pub fn refund(&mut self, lane: u64, cpu: Duration) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.time = lane.time.saturating_sub(lane.cost(cpu));
        }
    }

    /// Returns how many attempts of a lane are in flight.
    #[must_use]
    pub fn running(&self, lane: u64) -> usize {
        self.lanes.get(&lane).map_or(0, |lane| lane.running)
    }

    /// Looks at the time of those who are busy.
    fn see(&mut self) {
        let busy = self.lanes.values().filter(|lane| lane.is_busy());
        if let Some(least) = busy.map(|lane| lane.time).min() {
            self.now = self.now.max(least);
        }
    }
}

#[cfg(test)]
mod tests;
