//! How many requests somebody may send in a minute.
//!
//! Each has a bucket that fills evenly and holds the requests of ten seconds, so that a
//! burst is no fault. The table of buckets is bounded: where it is full of busy ones,
//! newcomers share one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Most buckets of a table (65,536).
const BUCKETS: usize = 65_536;
/// What a request waits at most: paces are of a minute.
const MINUTE: Duration = Duration::from_secs(60);
/// How many seconds of requests a bucket holds.
const BURST: f64 = 10.0;

/// The paces of many.
#[derive(Debug)]
pub(super) struct Paces<K> {
    per_second: f64,
    most: usize,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    own: HashMap<K, Bucket>,
    shared: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    seen: Instant,
}

impl<K: Hash + Eq> Paces<K> {
    pub(super) fn new(per_minute: u32) -> Self {
        Self::with(per_minute, BUCKETS)
    }

    fn with(per_minute: u32, most: usize) -> Self {
        let per_second = f64::from(per_minute) / 60.0;
        let shared = Bucket {
            left: full(per_second),
            seen: Instant::now(),
        };
        Self {
            per_second,
            most,
            known: Mutex::new(Known {
                own: HashMap::new(),
                shared,
            }),
        }
    }

    /// Takes one request, or tells how long to wait for it.
    pub(super) fn take(&self, who: K) -> Result<(), Duration> {
        let (now, full) = (Instant::now(), full(self.per_second));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.own.len() >= self.most && !known.own.contains_key(&who) {
            // Whoever has a full bucket is like a newcomer.
            known
                .own
                .retain(|_, bucket| bucket.at(now, self.per_second) < full);
        }
        let has_room = known.own.len() < self.most || known.own.contains_key(&who);
        let bucket = match has_room {
            true => known.own.entry(who).or_insert(Bucket {
                left: full,
                seen: now,
            }),
            false => &mut known.shared,
        };
        let left = bucket.at(now, self.per_second);
        let enough = left >= 1.0;
        *bucket = Bucket {
            left: if enough { left - 1.0 } else { left },
            seen: now,
        };
        match enough {
            true => Ok(()),
            false => {
                let wait = Duration::try_from_secs_f64((1.0 - left) / self.per_second);
                Err(wait.unwrap_or(MINUTE))
            }
        }
    }
}

impl Bucket {
    fn at(&self, now: Instant, per_second: f64) -> f64 {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        (self.left + passed * per_second).min(full(per_second))
    }
}

/// How many requests a full bucket holds.
fn full(per_second: f64) -> f64 {
    (per_second * BURST).max(1.0)
}

/// Whom an address belongs to: of IPv6 whoever has one has a network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(bits.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_no_fault_and_a_flood_waits() {
        let paces = Paces::new(60);
        for _ in 0..10 {
            assert_eq!(paces.take("a"), Ok(()));
        }
        let wait = paces.take("a").unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(paces.take("b"), Ok(()));
        tokio::time::advance(wait).await;
        assert_eq!(paces.take("a"), Ok(()));
        assert!(paces.take("a").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_the_table_is_full_shares_a_bucket_until_others_rest() {
        let paces = Paces::with(60, 2);
        assert_eq!([paces.take(1), paces.take(2)], [Ok(()), Ok(())]);
        for newcomer in 3..13 {
            assert_eq!(paces.take(newcomer), Ok(()));
        }
        assert!(paces.take(13).is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..5 {
            assert_eq!(paces.take(14), Ok(()));
        }
        assert_eq!(paces.known.lock().unwrap().own.len(), 1);
    }

    #[test]
    fn one_network_of_ipv6_is_one_who_asks() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
