//! Tells what tenants used to whoever keeps it, every few seconds and at the end.
//!
//! It never delays a task: while nobody takes it, sums grow. What a worker had counted and
//! not told when it is killed is lost.

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
    /// Returns what tells what is counted there.
    pub(super) async fn teller(&self, tally: &Arc<Tally>) -> Result<Teller, StartError> {
        Ok(Teller {
            tally: Arc::clone(tally),
            books: Arc::new(self.platform().await?),
        })
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
