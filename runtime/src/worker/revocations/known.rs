//! The revocations that a worker holds: found without asking anybody, and bounded.

use crate::results::orders::{REVOCATIONS, Revocation, Target};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// The newest revocations, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_target: HashMap<Target, Kept>,
    by_age: BTreeMap<u64, Target>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    place: u64,
    until: Timestamp,
}

impl Known {
    /// Keeps a revocation; the oldest goes where there are too many.
    pub(super) fn learn(&mut self, revocation: &Revocation) {
        let target = &revocation.target;
        let kept = Kept {
            place: self.next,
            until: revocation.until,
        };
        if let Some(earlier) = self.by_target.insert(target.clone(), kept) {
            self.by_age.remove(&earlier.place);
        }
        self.by_age.insert(self.next, target.clone());
        self.next = self.next.saturating_add(1);
        while self.by_age.len() > REVOCATIONS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_target.remove(&oldest);
        }
    }

    /// Tells whether what bears one of these targets is revoked.
    pub(super) fn holds(&mut self, targets: &[Target], now: Timestamp) -> bool {
        targets.iter().any(|target| self.holds_one(target, now))
    }

    fn holds_one(&mut self, target: &Target, now: Timestamp) -> bool {
        let Some(kept) = self.by_target.get(target).copied() else {
            return false;
        };
        if kept.until > now {
            return true;
        }
        self.by_target.remove(target);
        self.by_age.remove(&kept.place);
        false
    }

    /// Returns what is revoked, oldest first.
    pub(super) fn all(&self, now: Timestamp) -> Vec<Target> {
        let is_kept = |target: &&Target| {
            let kept = self.by_target.get(*target);
            kept.is_some_and(|kept| kept.until > now)
        };
        self.by_age.values().filter(is_kept).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;

    const NOW: Timestamp = Timestamp::constant(1_000, 0);
    const LATER: Timestamp = Timestamp::constant(2_000, 0);

    fn target(number: usize) -> Target {
        Target::Task(TaskId::parse(&number.to_string()).unwrap())
    }

    fn revocation(number: usize) -> Revocation {
        Revocation {
            target: target(number),
            terminate: false,
            until: LATER,
        }
    }

    #[test]
    fn what_is_past_its_time_is_forgotten() {
        let mut known = Known::default();
        known.learn(&revocation(1));
        assert!(known.holds(&[target(0), target(1)], NOW));
        assert!(!known.holds(&[target(0)], NOW));
        assert_eq!(known.all(NOW), [target(1)]);
        assert!(known.all(LATER).is_empty());
        assert!(!known.holds(&[target(1)], LATER));
        assert!(known.by_age.is_empty() && known.by_target.is_empty());
    }

    #[test]
    fn the_newest_fifty_thousand_are_held() {
        let mut known = Known::default();
        known.learn(&revocation(0));
        for number in 1..REVOCATIONS {
            known.learn(&revocation(number));
        }
        // It counts as new again, so that another is the oldest.
        known.learn(&revocation(0));
        known.learn(&revocation(REVOCATIONS));
        assert_eq!(known.by_target.len(), REVOCATIONS);
        assert_eq!(known.by_age.len(), REVOCATIONS);
        assert!(known.holds(&[target(0)], NOW));
        assert!(!known.holds(&[target(1)], NOW));
    }
}
