//! Trying again while a broker or a result backend is away.

use crate::broker::BrokerError;
use crate::results::ResultsError;
use crate::shutdown::Shutdown;
use std::time::Duration;

/// First and longest pause between two tries.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// An error that may pass by itself.
pub(super) trait Passing: std::fmt::Display {
    fn passes(&self) -> bool;
}

impl Passing for BrokerError {
    fn passes(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl Passing for ResultsError {
    fn passes(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Grows from one pause to the next, with jitter, so that many workers do not
/// return as a crowd.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

/// Repeats `work` until it succeeds or fails for good; gives up with the last
/// error when the worker's drain is over.
pub(super) async fn insist<T, E, Work>(
    shutdown: &Shutdown,
    mut work: impl FnMut() -> Work,
) -> Result<T, E>
where
    E: Passing,
    Work: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::default();
    loop {
        let error = match work().await {
            Err(error) if error.passes() => error,
            settled => return settled,
        };
        if shutdown.is_cancelled() {
            return Err(error);
        }
        tracing::warn!(%error, "trying again");
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> BrokerError {
        BrokerError::Unavailable {
            system: "test",
            reason: "away".to_owned(),
            source: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_away_is_tried_until_it_is_back() {
        let mut tries = 0;
        let shutdown = Shutdown::new();
        let answer = insist(&shutdown, || {
            tries += 1;
            std::future::ready(if tries < 4 { Err(away()) } else { Ok(tries) })
        });
        assert_eq!(answer.await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_drain_ends_the_patience() {
        let shutdown = Shutdown::new();
        shutdown.cancel();
        let answer: Result<(), _> = insist(&shutdown, || std::future::ready(Err(away()))).await;
        assert!(answer.is_err());
    }

    #[test]
    fn pauses_grow_to_five_seconds() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            assert!(backoff.next() <= LONGEST);
        }
        assert!(backoff.next() >= LONGEST / 2);
    }
}
