//! How often the progress of a run is stored: a burst becomes one update, the latest.

use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two stored progress updates (500 ms): a person sees no more, and
/// each is a write where results are kept.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Says when the next update may be stored.
#[derive(Debug)]
pub(super) struct Pace(Instant);

impl Pace {
    /// The first is stored at once.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Waits for the turn of the next update. Cancel-safe.
    pub(super) async fn turn(&self) {
        tokio::time::sleep_until(self.0).await;
    }

    /// Notes that an update has its turn now.
    pub(super) fn took(&mut self) {
        self.0 = Instant::now() + PROGRESS_EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::watch;

    #[tokio::test(start_paused = true)]
    async fn two_updates_a_second_are_passed_on_and_the_last_of_them_is_one() {
        let (sender, mut progress) = watch::channel(0);
        let guest = async {
            let mut every = tokio::time::interval(Duration::from_millis(10));
            for number in 1..=1_000 {
                every.tick().await;
                sender.send_replace(number);
            }
            drop(sender);
        };
        let worker = async {
            let (mut pace, mut stored) = (Pace::new(), Vec::new());
            while progress.changed().await.is_ok() {
                pace.turn().await;
                pace.took();
                stored.push(*progress.borrow_and_update());
            }
            stored
        };
        let ((), stored) = tokio::join!(guest, worker);
        // Ten seconds, the first update at once.
        assert_eq!(stored.len(), 21);
        assert_eq!((stored.first(), stored.last()), (Some(&1), Some(&1_000)));
    }
}
