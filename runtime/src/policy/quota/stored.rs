//! Bytes of results that a tenant has, by the moment at which they go.
//!
//! Nobody is asked what is there: each worker counts what it stores, in buckets of a
//! twenty-fourth of the time that results are kept, and a bucket is over when all in it are.

use crate::task::Buckets;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Parts of the time that results are kept (24): of those of a day, hours.
const PARTS: u64 = 24;
/// Most buckets that are believed from elsewhere (1,000): workers that keep results for
/// different times have different ones.
const BUCKETS: usize = 1_000;
/// The bucket of what is kept for ever.
const EVER: i64 = i64::MAX;

/// What a tenant has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// What was stored here.
    own: BTreeMap<i64, u64>,
    /// What all workers together have counted.
    all: BTreeMap<i64, u64>,
    /// What nobody else was told of.
    untold: BTreeMap<i64, u64>,
}

impl Stored {
    /// Counts what was stored, and is kept for so long.
    pub fn keep(&mut self, now: Timestamp, bytes: u64, keep: Option<Duration>) {
        let bucket = bucket(now, keep);
        for count in [&mut self.own, &mut self.untold] {
            let count = count.entry(bucket).or_default();
            *count = count.saturating_add(bytes);
        }
        self.turn(now);
    }

    /// Takes over what all workers counted together.
    pub fn learn(&mut self, now: Timestamp, all: Buckets) {
        self.all = all.into_iter().take(BUCKETS).collect();
        self.turn(now);
    }

    /// Returns what nobody else was told of, and takes it as told.
    pub fn tell(&mut self) -> Buckets {
        std::mem::take(&mut self.untold).into_iter().collect()
    }

    /// Takes back what could not be told.
    pub fn untell(&mut self, buckets: Buckets) {
        for (bucket, bytes) in buckets {
            let count = self.untold.entry(bucket).or_default();
            *count = count.saturating_add(bytes);
        }
    }

    /// Tells whether it is as much as it may be: until when, which may be for ever.
    pub fn full(&mut self, now: Timestamp, most: u64) -> Option<Option<Timestamp>> {
        self.turn(now);
        let mut both = self.all.clone();
        for (bucket, bytes) in &self.own {
            let known = both.entry(*bucket).or_default();
            *known = (*known).max(*bytes);
        }
        let mut left = both
            .values()
            .fold(0_u64, |sum, one| sum.saturating_add(*one));
        if left < most {
            return None;
        }
        for (bucket, bytes) in both {
            left = left.saturating_sub(bytes);
            if left < most {
                return Some(Timestamp::from_second(bucket).ok());
            }
        }
        Some(None)
    }

    /// Forgets what is gone.
    fn turn(&mut self, now: Timestamp) {
        let now = now.as_second();
        for count in [&mut self.own, &mut self.all, &mut self.untold] {
            count.retain(|bucket, _| *bucket > now);
        }
    }
}

/// The bucket of what is kept for so long from now: a moment at which all in it is gone.
fn bucket(now: Timestamp, keep: Option<Duration>) -> i64 {
    let Some(keep) = keep else {
        return EVER;
    };
    let second = |count: u64| i64::try_from(count).unwrap_or(EVER);
    let span = second(keep.as_secs().div_ceil(PARTS).max(1));
    let gone = now.as_second().saturating_add(second(keep.as_secs()));
    let part = gone.div_euclid(span).saturating_add(1);
    part.saturating_mul(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_800 + second).unwrap()
    }

    #[test]
    fn results_count_until_the_last_of_their_hour_is_gone() {
        let mut stored = Stored::default();
        stored.keep(at(0), 60, DAY);
        assert_eq!(stored.full(at(0), 61), None);
        let until = stored.full(at(0), 60).unwrap().unwrap();
        let kept = until.as_second() - at(0).as_second();
        assert!((86_400..=90_000).contains(&kept), "{kept}");
        stored.keep(at(7_200), 50, DAY);
        assert_eq!(stored.full(at(7_200), 60), Some(Some(until)));
        assert_eq!(stored.full(until, 60), None);
        assert!(stored.full(until, 50).is_some());
    }

    #[test]
    fn a_day_of_results_is_some_buckets_however_many_they_are() {
        let mut stored = Stored::default();
        for minute in 0..10_000 {
            stored.keep(at(60 * minute), 1, DAY);
        }
        assert!(stored.own.len() <= 26, "{}", stored.own.len());
        stored.learn(at(600_000), (0..5_000).map(|n| (i64::MAX - n, 1)).collect());
        assert!(stored.all.len() <= BUCKETS);
    }

    #[test]
    fn what_others_stored_counts_and_what_was_told_does_not_count_twice() {
        let mut stored = Stored::default();
        stored.keep(at(0), 10, DAY);
        let told = stored.tell();
        assert_eq!(told.len(), 1);
        assert_eq!(stored.tell(), []);
        let all: Buckets = told.iter().map(|(bucket, _)| (*bucket, 30)).collect();
        stored.learn(at(1), all);
        assert_eq!(stored.full(at(1), 31), None);
        assert!(stored.full(at(1), 30).is_some());
        stored.untell(told.clone());
        assert_eq!(stored.tell(), told);
    }

    #[test]
    fn what_is_kept_for_ever_is_full_for_ever() {
        let mut stored = Stored::default();
        stored.keep(at(0), 10, None);
        assert_eq!(stored.full(at(0), 10), Some(None));
        assert_eq!(stored.full(at(1_000_000_000), 10), Some(None));
    }
}
