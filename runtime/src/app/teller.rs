//! Tells what tenants used to whoever keeps it, every few seconds and at the end.
//!
//! It never delays a task: while nobody takes it, sums grow. What a worker had counted and
//! not told when it is killed is lost.

use super::follow::Follower;
use super::{App, StartError};
use crate::platform::{Books, Uncounted};
use crate::worker::Tally;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often it is told (2 s): as much is lost with a worker that is killed.
const EVERY: Duration = Duration::from_secs(2);
/// Longest telling at the end of a worker (5 s).
const LAST: Duration = Duration::from_secs(5);

impl App {
    /// Returns what tells what is counted there: the control plane that the worker follows,
    /// or the tables here.
    pub(super) async fn teller(
        &self,
        tally: &Arc<Tally>,
        follower: Option<&Follower>,
    ) -> Result<Teller, StartError> {
        let books: Arc<dyn Books> = match follower {
            Some(follower) => Arc::new(follower.clone()),
            None => Arc::new(self.platform().await?),
        };
        let tally = Arc::clone(tally);
        Ok(Teller { tally, books })
    }
}

/// What a worker counts, and who keeps it.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    tally: Arc<Tally>,
    books: Arc<dyn Books>,
}

impl Teller {
    /// Tells for ever; it is ended from outside, at any moment.
    pub(super) async fn run(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            ticks.tick().await;
            let told = self.tell().await;
            match (&told, is_away) {
                (Ok(()), false) => {}
                (Ok(()), true) => tracing::info!("what tenants use is kept again"),
                (Err(reason), false) => tracing::warn!(
                    reason,
                    "what tenants use cannot be kept now; it is counted here and told later"
                ),
                (Err(reason), true) => {
                    tracing::debug!(reason, "what tenants use can still not be kept");
                }
            }
            is_away = told.is_err();
        }
    }

    /// Tells the rest, once nothing more is counted.
    pub(super) async fn close(self) {
        let told = timeout(LAST, self.tell()).await;
        let reason = match told {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer within {} s", LAST.as_secs()),
        };
        let untold = self.tally.untold();
        tracing::error!(
            reason,
            attempts = untold.attempts,
            cpu_us = untold.cpu_us,
            "what tenants used at last is not kept, and in no bill"
        );
    }

    /// Tells all there is, batch by batch; says why where nobody takes one.
    async fn tell(&self) -> Result<(), String> {
        while let Some(batch) = self.tally.next_batch() {
            match self.books.count(&batch).await {
                Ok(()) => {}
                Err(Uncounted::Away { reason }) => return Err(reason),
                Err(Uncounted::Refused { reason }) => tracing::error!(
                    reason,
                    rows = batch.rows.len(),
                    "what tenants used was refused, and is in no bill; this is a bug, please report it"
                ),
            }
            self.tally.counted(&batch);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::{UsageBatch, UsageSums};
    use crate::task::Day;
    use async_trait::async_trait;
    use jiff::Timestamp;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU8, Ordering};

    const GOOD: u8 = 0;
    const AWAY: u8 = 1;
    /// It counts, and its answer is lost.
    const DEAF: u8 = 2;
    const REFUSES: u8 = 3;
    const SILENT: u8 = 4;

    #[derive(Debug, Default)]
    struct Shelf {
        mood: AtomicU8,
        told: Mutex<Vec<UsageBatch>>,
    }

    #[async_trait]
    impl Books for Shelf {
        async fn count(&self, batch: &UsageBatch) -> Result<(), Uncounted> {
            let reason = "it is tried".to_owned();
            let mood = self.mood.load(Ordering::SeqCst);
            match mood {
                AWAY => return Err(Uncounted::Away { reason }),
                REFUSES => return Err(Uncounted::Refused { reason }),
                SILENT => std::future::pending().await,
                _ => {}
            }
            let mut told = self.told.lock().unwrap();
            if told.iter().all(|known| known.number != batch.number) {
                told.push(batch.clone());
            }
            match mood {
                DEAF => Err(Uncounted::Away { reason }),
                _ => Ok(()),
            }
        }
    }

    impl Shelf {
        fn is(&self, mood: u8) {
            self.mood.store(mood, Ordering::SeqCst);
        }

        fn attempts(&self) -> u64 {
            let told = self.told.lock().unwrap();
            let rows = told.iter().flat_map(|batch| &batch.rows);
            rows.map(|row| row.used.attempts).sum()
        }
    }

    fn stand() -> (Arc<Shelf>, Teller) {
        let shelf = Arc::new(Shelf::default());
        let teller = Teller {
            tally: Arc::default(),
            books: Arc::clone(&shelf) as _,
        };
        (shelf, teller)
    }

    fn count(teller: &Teller, tasks: u64) {
        let used = UsageSums {
            attempts: 1,
            ..UsageSums::default()
        };
        let (day, tenant) = (Day::of(Timestamp::UNIX_EPOCH), "acme".parse().unwrap());
        for task in 0..tasks {
            let name = format!("t{task}");
            teller.tally.count(day, &tenant, ("m", &name), &used);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_counted_is_told_within_seconds_and_once_whatever_fails() {
        let (shelf, teller) = stand();
        let running = tokio::task::JoinSet::from_iter([teller.clone().run()]);
        count(&teller, 3);
        let a_while = || async {
            let never = std::future::pending::<()>();
            drop(timeout(EVERY + Duration::from_millis(1), never).await);
        };
        a_while().await;
        assert_eq!(shelf.attempts(), 3);
        shelf.is(AWAY);
        count(&teller, 2);
        a_while().await;
        a_while().await;
        assert_eq!(shelf.attempts(), 3);
        shelf.is(DEAF);
        count(&teller, 2);
        a_while().await;
        // The first batch is there, and will be told again.
        assert_eq!(shelf.attempts(), 5);
        shelf.is(GOOD);
        a_while().await;
        assert_eq!(shelf.attempts(), 7);
        assert_eq!(teller.tally.untold(), UsageSums::default());
        // One that is never taken keeps no other from being told.
        shelf.is(REFUSES);
        count(&teller, 1);
        a_while().await;
        shelf.is(GOOD);
        count(&teller, 1);
        a_while().await;
        assert_eq!(shelf.attempts(), 8);
        drop(running);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_told_at_the_end_and_not_waited_for_without_end() {
        let (shelf, teller) = stand();
        count(&teller, 2_000);
        teller.clone().close().await;
        assert_eq!(shelf.attempts(), 2_000);
        count(&teller, 1);
        shelf.is(SILENT);
        let begun = tokio::time::Instant::now();
        teller.clone().close().await;
        assert_eq!(begun.elapsed(), LAST);
        assert_eq!(teller.tally.untold().attempts, 1);
        teller.close().await;
    }
}
