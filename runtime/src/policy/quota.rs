//! What a tenant used lately, and which of its quotas that fills.

mod stored;

pub use stored::Stored;

use crate::task::{Quota, Share};
use jiff::Timestamp;
use std::time::Duration;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Why a tenant's messages wait in the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The key of what is full: `suspended`, `starts_per_minute`, `cpu_per_hour`,
    /// `cpu_per_day`, `result_bytes`.
    pub quota: &'static str,
    /// Until when; `None` is until an operator says otherwise.
    pub until: Option<Timestamp>,
}

/// What a tenant used in the minute, the hour and the day of UTC that last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    minute: i64,
    starts: u32,
    hour: i64,
    in_hour: Duration,
    day: i64,
    in_day: Duration,
    /// Bytes of its results.
    pub stored: Stored,
}

impl Spent {
    /// Forgets what is over.
    fn turn(&mut self, now: Timestamp) {
        let seconds = now.as_second();
        let (minute, hour, day) = (seconds / MINUTE, seconds / HOUR, seconds / DAY);
        if self.minute != minute {
            (self.minute, self.starts) = (minute, 0);
        }
        if self.hour != hour {
            (self.hour, self.in_hour) = (hour, Duration::ZERO);
        }
        if self.day != day {
            (self.day, self.in_day) = (day, Duration::ZERO);
        }
    }

    /// Counts an attempt that starts.
    pub fn start(&mut self, now: Timestamp) {
        self.turn(now);
        self.starts = self.starts.saturating_add(1);
    }

    /// Counts CPU time.
    pub fn took(&mut self, now: Timestamp, cpu: Duration) {
        self.turn(now);
        self.in_hour = self.in_hour.saturating_add(cpu);
        self.in_day = self.in_day.saturating_add(cpu);
    }

    /// Takes over what is known of all workers together, where that is more.
    pub fn at_least(&mut self, now: Timestamp, in_hour: Duration, in_day: Duration) {
        self.turn(now);
        self.in_hour = self.in_hour.max(in_hour);
        self.in_day = self.in_day.max(in_day);
    }

    /// Returns how many attempts may still start in this minute.
    pub fn starts_left(&mut self, quota: &Quota, now: Timestamp) -> usize {
        self.turn(now);
        quota.starts_per_minute.map_or(usize::MAX, |most| {
            usize::try_from(most.saturating_sub(self.starts)).unwrap_or(usize::MAX)
        })
    }

    /// Tells whether and why nothing may start now; what lasts longest is told.
    pub fn hold(&mut self, share: &Share, now: Timestamp) -> Option<Hold> {
        self.turn(now);
        let quota = &share.quota;
        if share.suspended {
            return Some(Hold {
                quota: "suspended",
                until: None,
            });
        }
        let full = |most: Option<u64>, used: Duration| {
            most.is_some_and(|most| used >= Duration::from_secs(most))
        };
        let next =
            |now: i64, span: i64| Timestamp::from_second((now + 1).saturating_mul(span)).ok();
        let most = quota.result_bytes;
        let stored = most.and_then(|most| self.stored.full(now, most));
        let (quota, until) = if let Some(until) = stored {
            ("result_bytes", until)
        } else if full(quota.cpu_per_day_seconds, self.in_day) {
            ("cpu_per_day", next(self.day, DAY))
        } else if full(quota.cpu_per_hour_seconds, self.in_hour) {
            ("cpu_per_hour", next(self.hour, HOUR))
        } else if quota
            .starts_per_minute
            .is_some_and(|most| self.starts >= most)
        {
            ("starts_per_minute", next(self.minute, MINUTE))
        } else {
            return None;
        };
        Some(Hold { quota, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(quota: Quota) -> Share {
        Share {
            quota,
            ..Share::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_800 + second).unwrap()
    }

    #[test]
    fn starts_are_counted_by_the_minute() {
        let share = share(Quota {
            starts_per_minute: Some(2),
            ..Quota::default()
        });
        let mut spent = Spent::default();
        let begun = at(0).as_second() % 60;
        let now = at(60 - begun);
        assert_eq!(spent.starts_left(&share.quota, now), 2);
        spent.start(now);
        assert_eq!(spent.hold(&share, now), None);
        spent.start(now);
        assert_eq!(spent.starts_left(&share.quota, now), 0);
        let held = spent.hold(&share, now).unwrap();
        assert_eq!(held.quota, "starts_per_minute");
        let until = held.until.unwrap();
        assert_eq!(until.as_second() - now.as_second(), 60);
        assert_eq!(spent.hold(&share, until), None);
    }

    #[test]
    fn cpu_is_counted_by_the_hour_and_the_day() {
        let share = share(Quota {
            cpu_per_hour_seconds: Some(10),
            cpu_per_day_seconds: Some(15),
            ..Quota::default()
        });
        let mut spent = Spent::default();
        let now = at(0);
        spent.took(now, Duration::from_secs(9));
        assert_eq!(spent.hold(&share, now), None);
        spent.at_least(now, Duration::from_secs(10), Duration::from_secs(12));
        let held = spent.hold(&share, now).unwrap();
        assert_eq!(held.quota, "cpu_per_hour");
        let later = held.until.unwrap();
        assert_eq!(later.as_second() % 3_600, 0);
        spent.took(later, Duration::from_secs(3));
        if later.as_second() / 86_400 == now.as_second() / 86_400 {
            let held = spent.hold(&share, later).unwrap();
            assert_eq!(held.quota, "cpu_per_day");
            assert_eq!(spent.hold(&share, held.until.unwrap()), None);
        }
    }

    #[test]
    fn results_that_fill_their_quota_hold_what_comes_until_they_are_gone() {
        let share = share(Quota {
            result_bytes: Some(100),
            ..Quota::default()
        });
        let mut spent = Spent::default();
        spent.stored.keep(at(0), 99, Some(Duration::from_secs(60)));
        assert_eq!(spent.hold(&share, at(0)), None);
        spent.stored.keep(at(0), 1, Some(Duration::from_secs(60)));
        let held = spent.hold(&share, at(0)).unwrap();
        assert_eq!(held.quota, "result_bytes");
        assert_eq!(spent.hold(&share, held.until.unwrap()), None);
    }

    #[test]
    fn a_suspended_tenant_waits_until_somebody_says_otherwise() {
        let mut share = Share::default();
        assert_eq!(Spent::default().hold(&share, at(0)), None);
        share.suspended = true;
        let held = Spent::default().hold(&share, at(0)).unwrap();
        assert_eq!((held.quota, held.until), ("suspended", None));
    }
}
