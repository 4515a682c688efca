//! Code that is known and cannot be loaded: since when, and how often that is told.

use super::Resolver;
use crate::clock::after;
use crate::registry::error::RegistryError;
use crate::task::{TaskName, TenantName};
use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Shortest time between two warnings about one version of one module (1 min): each
/// message that waits for it comes back every few seconds.
const TELL: Duration = Duration::from_secs(60);

/// What is known of code that could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Since when this worker knows that only a push can help; `None` where it may pass.
    pub since: Option<Timestamp>,
    /// Whether it was not told lately.
    pub is_news: bool,
}

/// The trouble with one version of one module.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    since: Option<Timestamp>,
    told: Option<Timestamp>,
}

impl Troubles {
    fn see(&self, error: &RegistryError, now: Timestamp) -> Trouble {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = seen.told.is_none_or(|told| after(told, TELL) <= now);
        if is_news {
            seen.told = Some(now);
        }
        let since = error.lasts().then(|| *seen.since.get_or_insert(now));
        Trouble { since, is_news }
    }

    /// Forgets it: the code was loaded.
    pub(super) fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }
}

impl Resolver {
    /// Notes that [`Resolver::resolve`] could not load the code of a task of a tenant, and tells for
    /// how long that is so. What a push changes begins anew.
    #[must_use]
    pub fn trouble(&self, tenant: &TenantName, name: &TaskName, error: &RegistryError) -> Trouble {
        let now = self.0.registry.clock().now();
        let snapshot = self.snapshot();
        let module = snapshot.module(tenant, &name.module);
        module.map_or_else(
            // It was removed in this very moment: the next look says so.
            || Trouble {
                since: None,
                is_news: true,
            },
            |module| module.troubles().see(error, now),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::digest::Digest;

    #[test]
    fn what_lasts_is_timed_from_the_first_time_and_told_once_a_minute() {
        let (lasts, passes) = (
            RegistryError::Damaged {
                digest: Digest::of(b""),
            },
            RegistryError::Collected,
        );
        let at = |second| Timestamp::from_second(second).unwrap();
        let troubles = Troubles::default();
        let see = |error: &RegistryError, second| {
            let Trouble { since, is_news } = troubles.see(error, at(second));
            (since.map(Timestamp::as_second), is_news)
        };
        assert_eq!(see(&passes, 0), (None, true));
        assert_eq!(see(&lasts, 5), (Some(5), false));
        assert_eq!(see(&lasts, 59), (Some(5), false));
        assert_eq!(see(&passes, 60), (None, true));
        assert_eq!(see(&lasts, 61), (Some(5), false));
        troubles.is_over();
        assert_eq!(see(&lasts, 62), (Some(62), true));
    }
}
