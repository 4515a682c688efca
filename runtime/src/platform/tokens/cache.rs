//! Tokens that were found good a moment ago.

use super::Identity;
use blake3::Hash;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a token that was good is believed without another look (5 s): one that was
/// revoked by another process ends within it.
const BELIEVED: Duration = Duration::from_secs(5);
/// Most tokens that are remembered (10,000).
const MOST: usize = 10_000;

/// Good tokens by their hashes.
#[derive(Default)]
pub(in super::super) struct Cache(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// How often everything was forgotten.
    epoch: u64,
    good: HashMap<Hash, Good>,
}

struct Good {
    identity: Identity,
    read_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Cache {
    /// Returns whose token it is, where that is known; else what [`Cache::remember`] must
    /// be told after the look at the table.
    pub(super) fn find(&self, hash: &Hash, now: Timestamp) -> Result<Identity, u64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = known.good.get(hash).filter(|good| good.is_fresh(now));
        good.map(|good| good.identity.clone()).ok_or(known.epoch)
    }

    /// Remembers a good token, unless something changed since `epoch`.
    pub(super) fn remember(
        &self,
        epoch: u64,
        hash: Hash,
        identity: Identity,
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != epoch {
            return;
        }
        if known.good.len() >= MOST {
            known.good.retain(|_, good| good.is_fresh(now));
        }
        if known.good.len() < MOST {
            let good = Good {
                identity,
                read_at: now,
                expires_at,
            };
            known.good.insert(hash, good);
        }
    }

    /// Forgets everything: a token changed.
    pub(in super::super) fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.epoch += 1;
        known.good.clear();
    }
}

impl Good {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let age = Duration::try_from(now.duration_since(self.read_at));
        // A clock that was set back makes the age negative.
        let is_young = age.is_ok_and(|age| age < BELIEVED);
        is_young && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{after, before};
    use crate::task::Scope;

    const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

    fn identity() -> Identity {
        Identity {
            token: "0123456789ab".parse().unwrap(),
            name: "ci".to_owned(),
            scope: Scope::Operator,
            tenant: None,
        }
    }

    fn hash(number: usize) -> Hash {
        blake3::hash(&number.to_le_bytes())
    }

    #[test]
    fn a_good_token_is_believed_for_five_seconds_and_not_beyond_its_end() {
        let cache = Cache::default();
        let epoch = cache.find(&hash(1), NOW).unwrap_err();
        cache.remember(epoch, hash(1), identity(), NOW, None);
        let end = after(NOW, Duration::from_secs(2));
        cache.remember(epoch, hash(2), identity(), NOW, Some(end));
        let at = |number, seconds| {
            let now = after(NOW, Duration::from_secs(seconds));
            cache.find(&hash(number), now).is_ok()
        };
        assert_eq!([at(1, 0), at(1, 4), at(1, 5)], [true, true, false]);
        assert_eq!([at(2, 1), at(2, 2)], [true, false]);
        assert!(!at(3, 0));
        let set_back = before(NOW, Duration::from_secs(1));
        assert!(cache.find(&hash(1), set_back).is_err());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_believed_after_it() {
        let cache = Cache::default();
        let epoch = cache.find(&hash(1), NOW).unwrap_err();
        cache.forget();
        cache.remember(epoch, hash(1), identity(), NOW, None);
        assert!(cache.find(&hash(1), NOW).is_err());
    }

    #[test]
    fn it_holds_no_more_than_ten_thousand() {
        let cache = Cache::default();
        for number in 0..MOST + 5 {
            cache.remember(0, hash(number), identity(), NOW, None);
        }
        let count = || cache.0.lock().unwrap().good.len();
        assert_eq!(count(), MOST);
        let later = after(NOW, BELIEVED);
        cache.remember(0, hash(MOST), identity(), later, None);
        assert_eq!(count(), 1);
    }
}
