//! The clock: where every moment comes from, so that tests can set it.

use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Longest sleep without looking at the system's clock again, so that a clock
/// that was set forward is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Tells the time: the system's, or one set by hand.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that moves only when told: milliseconds since 1970.
    Manual(Arc<watch::Sender<i64>>),
}

impl Clock {
    /// Makes a clock that stands at `start` until it is advanced.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(watch::Sender::new(start.as_millisecond())))
    }

    /// Returns the moment it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Manual(ms) => Timestamp::from_millisecond(*ms.borrow()).unwrap_or(Timestamp::MAX),
        }
    }

    /// Returns the moment it is, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Moves a manual clock on; the system's clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(ms) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            ms.send_modify(|now| *now = now.saturating_add(by));
        }
    }

    /// Waits until this clock shows `moment` or later; a manual clock must be
    /// advanced for it. Cancel-safe.
    pub async fn sleep_until(&self, moment: Timestamp) {
        match self {
            Self::System => loop {
                let left =
                    Duration::try_from(moment.duration_since(self.now())).unwrap_or_default();
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            },
            Self::Manual(ms) => {
                // The sender lives as long as this clock, so the wait cannot fail.
                let mut ms = ms.subscribe();
                drop(ms.wait_for(|now| *now >= moment.as_millisecond()).await);
            }
        }
    }
}

/// Returns `moment + span`, stopping at the end of time instead of overflowing.
#[must_use]
pub fn after(moment: Timestamp, span: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(span)
        .ok()
        .and_then(|span| moment.checked_add(span).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Returns `moment - span`, stopping at the beginning of time instead of overflowing.
#[must_use]
pub fn before(moment: Timestamp, span: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(span)
        .ok()
        .and_then(|span| moment.checked_sub(span).ok())
        .unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_it_is_advanced_far_enough() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let due = after(clock.now(), Duration::from_secs(2));
        let mut sleep = Box::pin(clock.sleep_until(due));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        sleep.await;
        assert_eq!(clock.now(), due);
    }

    #[tokio::test]
    async fn a_moment_in_the_past_is_no_wait() {
        Clock::System.sleep_until(Timestamp::UNIX_EPOCH).await;
    }
}
