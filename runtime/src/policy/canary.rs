//! Which tasks a new version gets, and when it has shown that it fails.
//!
//! The choice hangs on the task's id alone, so that every retry and every redelivery of a
//! task meets the same version, on every worker.
//!
//! The judgement compares two shares of failed runs: the canary's, and that of the current
//! version since the canary began. The canary has failed when its share is higher by more
//! than some points, and when that is hardly chance: with one failure and one success
//! added to either side (after Agresti and Caffo, so that few runs prove little), the
//! difference is more than three of its standard errors. It is looked at each second, not
//! once: of versions that are as good as the current one, that ends two in a hundred at
//! most, and those are flaky ones.

use super::verdict::Verdict;
use crate::task::{ModuleName, Portion, TaskId};
use celeriac_sandbox::Outcome;

/// Standard errors that a difference must exceed: by chance in one of 700 looks.
const ERRORS: f64 = 3.0;

/// How runs of a version ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// All of them.
    pub ended: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Ends {
    /// Adds others to them.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            ended: self.ended.saturating_add(more.ended),
            failed: self.failed.saturating_add(more.failed),
        }
    }
}

/// When a canary is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Runs of the canary that must have ended before.
    pub runs: u64,
    /// How much higher its share of failures may be than the current version's.
    pub points: Portion,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            runs: 20,
            points: Portion::percent(5),
        }
    }
}

/// Tells whether a task is one of those that run the canary.
#[must_use]
pub fn is_chosen(share: Portion, module: &ModuleName, version: u32, task: &TaskId) -> bool {
    let mut hash = blake3::Hasher::new();
    // Each canary gets tasks of its own: an id that is always used meets not every one.
    hash.update(module.as_str().as_bytes());
    hash.update(&version.to_be_bytes());
    hash.update(task.as_str().as_bytes());
    let [a, b, c, d, ..] = *hash.finalize().as_bytes();
    let place = u64::from(u32::from_be_bytes([a, b, c, d]));
    let part = (place * u64::from(Portion::WHOLE)) >> 32;
    part < u64::from(share.parts())
}

/// Tells whether a run ended badly; `None` where it did not end, or said nothing of the
/// code: a task that asks for another attempt, one that was revoked or given back.
#[must_use]
pub fn ended_badly(outcome: &Outcome, verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Succeed(_) | Verdict::Ignore => Some(false),
        Verdict::Fail(_) | Verdict::Reject { .. } => Some(true),
        Verdict::RetryAt { .. } => (!matches!(outcome, Outcome::Retry(_))).then_some(true),
        Verdict::Revoke(_) | Verdict::Return | Verdict::Defer => None,
    }
}

/// Tells whether the canary fails more than the current version, beyond what may be chance.
#[must_use]
pub fn has_failed(canary: Ends, current: Ends, rule: &Rule) -> bool {
    if canary.ended < rule.runs.max(1) {
        return false;
    }
    let points = f64::from(rule.points.parts()) / f64::from(Portion::WHOLE);
    let (new, old) = (Side::of(canary), Side::of(current));
    if new.share(0.0) - old.share(0.0) <= points {
        return false;
    }
    let difference = new.share(1.0) - old.share(1.0);
    difference > ERRORS * (new.variance() + old.variance()).sqrt()
}

/// Ends as numbers that can be divided.
struct Side {
    ended: f64,
    failed: f64,
}

impl Side {
    fn of(ends: Ends) -> Self {
        let (mut ended, mut failed) = (ends.ended, ends.failed.min(ends.ended));
        // So many runs say the same as half of them.
        while u32::try_from(ended).is_err() {
            (ended, failed) = (ended / 2, failed / 2);
        }
        let number = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Self {
            ended: number(ended),
            failed: number(failed),
        }
    }

    /// Returns the share of failures, with so many of each end added; 0 of nothing.
    fn share(&self, added: f64) -> f64 {
        let of = self.ended + 2.0 * added;
        match of > 0.0 {
            true => (self.failed + added) / of,
            false => 0.0,
        }
    }

    fn variance(&self) -> f64 {
        let share = self.share(1.0);
        share * (1.0 - share) / (self.ended + 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(ended: u64, failed: u64) -> Ends {
        Ends { ended, failed }
    }

    #[test]
    fn only_what_is_worse_by_enough_and_hardly_chance_has_failed() {
        let rule = Rule::default();
        for (canary, current, expected) in [
            // Too few.
            ((19, 19), (400, 0), false),
            ((20, 20), (400, 0), true),
            // A current version that did not run says nothing: then few failures are no proof.
            ((20, 20), (0, 0), false),
            ((20, 20), (5, 0), true),
            ((20, 20), (5, 5), false),
            // A few failures among few may be chance.
            ((20, 1), (400, 0), false),
            ((20, 4), (400, 0), false),
            ((20, 6), (400, 0), true),
            ((20, 4), (400, 80), false),
            // Within the points, however sure.
            ((100_000, 4_900), (100_000, 0), false),
            ((100_000, 5_100), (100_000, 0), true),
            ((1_000, 150), (1_000, 80), true),
            ((1_000, 120), (1_000, 80), false),
            ((u64::MAX, u64::MAX), (u64::MAX, 0), true),
            // Counts that cannot be are no reason to panic.
            ((20, 40), (0, 7), false),
        ] {
            let (canary, current) = (ends(canary.0, canary.1), ends(current.0, current.1));
            assert_eq!(
                has_failed(canary, current, &rule),
                expected,
                "{canary:?} {current:?}"
            );
        }
    }

    fn chosen(share: Portion, module: &str, version: u32) -> Vec<usize> {
        let module = module.parse().unwrap();
        let is = |at: &usize| {
            is_chosen(
                share,
                &module,
                version,
                &TaskId::parse(&format!("id-{at}")).unwrap(),
            )
        };
        (0..2_000).filter(is).collect()
    }

    #[test]
    fn a_share_of_the_ids_is_chosen_and_a_larger_share_has_them_too() {
        let of = |percent| chosen(Portion::percent(percent), "images", 2);
        let (few, more) = (of(5), of(25));
        assert!((70..130).contains(&few.len()), "{}", few.len());
        assert!((440..560).contains(&more.len()), "{}", more.len());
        assert!(few.iter().all(|at| more.contains(at)));
        assert_eq!((of(0).len(), of(100).len()), (0, 2_000));
        assert_ne!(chosen(Portion::percent(5), "images", 3), few);
        assert_ne!(chosen(Portion::percent(5), "mail", 2), few);
    }

    proptest! {
        #[test]
        fn what_fails_no_more_than_the_current_never_fails(
            canary in (0..10_000u64, 0..10_000u64), current in (1..10_000u64, 0..10_000u64),
        ) {
            let (canary, current) = (ends(canary.0, canary.1.min(canary.0)), ends(current.0, current.1.min(current.0)));
            let no_worse = canary.failed * current.ended <= current.failed * canary.ended;
            if no_worse {
                prop_assert!(!has_failed(canary, current, &Rule::default()));
            }
        }

        #[test]
        fn one_failure_more_saves_no_canary_and_one_in_the_current_dooms_none(
            ended in 20..5_000u64, failed in 0..5_000u64, other in 0..5_000u64, lost in 0..5_000u64,
        ) {
            let rule = Rule::default();
            let (failed, lost) = (failed.min(ended - 1), lost.min(other.saturating_sub(1)));
            if has_failed(ends(ended, failed), ends(other, lost), &rule) {
                prop_assert!(has_failed(ends(ended, failed + 1), ends(other, lost), &rule));
            } else if other > 0 {
                prop_assert!(!has_failed(ends(ended, failed), ends(other, lost + 1), &rule));
            }
        }

        #[test]
        fn no_counts_make_it_panic(a in any::<u64>(), b in any::<u64>(), c in any::<u64>(), d in any::<u64>()) {
            let _either = has_failed(ends(a, b), ends(c, d), &Rule::default());
        }
    }
}
