//! The line in which the messages of a limited task wait for their start, without
//! anybody holding them.

use crate::task::{PROMISES, Pace, TaskId, Turn};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// After how many times its patience a promise is forgotten that nobody came for.
const FORGOTTEN: i64 = 20;

/// The line of the messages of one task.
///
/// Who comes too early is promised a moment of its own, so that those who wait come
/// back one after the other. The gate, not the promise, says who starts: two starts are
/// never closer than the interval, whenever messages come back. A promise nobody comes
/// for, because its message went to another worker or was revoked, is given away.
///
/// Moments are microseconds since 1970. The same rules are within a script of the
/// Redis driver of the results seam, where workers share a line.
#[derive(Debug, Default)]
pub struct Line {
    /// No start before.
    gate: i64,
    /// The end of the line.
    tail: i64,
    /// The end of the line of those who came in time and found the gate closed.
    late: i64,
    promises: HashMap<TaskId, i64>,
    places: BTreeSet<(i64, TaskId)>,
}

impl Line {
    /// Tells a message when it may start; a start that is told is counted.
    pub fn turn(&mut self, id: &TaskId, now: Timestamp, pace: &Pace) -> Turn {
        let now = now.as_microsecond();
        let [interval, short, patience] = [pace.interval, pace.short, pace.patience].map(micros);
        self.forget(now.saturating_sub(patience.saturating_mul(FORGOTTEN)));
        let gate = self.gate.max(now);
        let is_soon = gate - now < short;
        let promised = self.promises.get(id).copied();
        let is_turn = match promised {
            Some(at) => at - now < short,
            None => is_soon && self.has_room(now, gate.saturating_add(interval), patience),
        };
        if is_soon && is_turn {
            self.release(id);
            self.gate = gate.saturating_add(interval);
            return Turn::Start(moment(gate));
        }
        let end = |from: &mut i64| {
            let at = gate.max(*from);
            *from = at.saturating_add(interval);
            at
        };
        let at = match promised {
            Some(early) if early - now >= short => early,
            Some(_) => end(&mut self.late),
            None => end(&mut self.tail),
        };
        self.promise(id, at);
        Turn::Return(moment(at))
    }

    /// Tells whether somebody without a promise may start: nobody waits, the first did
    /// not come, or there is time enough before the first.
    fn has_room(&mut self, now: i64, until: i64, patience: i64) -> bool {
        let Some((at, first)) = self.places.first().cloned() else {
            return true;
        };
        if at.saturating_add(patience) <= now {
            self.release(&first);
            return true;
        }
        until <= at
    }

    fn promise(&mut self, id: &TaskId, at: i64) {
        self.release(id);
        if self.promises.len() < PROMISES {
            self.promises.insert(id.clone(), at);
            self.places.insert((at, id.clone()));
        }
    }

    fn release(&mut self, id: &TaskId) {
        if let Some(at) = self.promises.remove(id) {
            self.places.remove(&(at, id.clone()));
        }
    }

    fn forget(&mut self, until: i64) {
        while let Some((at, id)) = self.places.first().cloned()
            && at <= until
        {
            self.release(&id);
        }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
