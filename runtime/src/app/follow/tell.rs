//! What a worker tells its control plane: that it runs and how far it is, and how runs beside
//! canaries ended.

use super::{Follower, PACE};
use crate::plane::{CanaryReport, ENDS, WorkerPresence};
use crate::registry::Resolver;
use crate::remote::RemoteError;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often a worker says that it runs (2 s): it counts as gone after three times that.
const BEAT: Duration = Duration::from_secs(2);
/// Longest time for each thing that is told (5 s): the next time it is told anew.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same of the last words (1 s).
const LAST: Duration = Duration::from_secs(1);

impl Follower {
    pub(super) async fn tell(self, resolver: Resolver, ended: CancellationToken) {
        let telling = Box::pin(self.tell_on(&resolver));
        tokio::select! {
            () = telling => {}
            () = ended.cancelled() => {}
        }
        let last = async {
            self.tell_ends(&resolver).await;
            let presence = ["v1", "worker", "presence", resolver.worker_id()];
            self.0.remote.delete(&presence).within(LAST).done().await
        };
        if let Err(error) = Box::pin(last).await {
            tracing::debug!(%error, "the control plane does not know that this worker ended; it notices in a few seconds");
        }
    }

    async fn tell_on(&self, resolver: &Resolver) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = self.0.registry.news();
        let mut told = None;
        loop {
            let is_due = tokio::select! {
                _ = beats.tick() => true,
                changed = news.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
            };
            let now = match resolver.presence(told.as_ref()).await {
                Ok(now) => now,
                Err(error) => {
                    tracing::debug!(%error, "how far this worker is cannot be read");
                    continue;
                }
            };
            if is_due || now.news {
                match self.tell_presence(&now).await {
                    Ok(()) => told = Some(now),
                    Err(error) => tracing::debug!(%error, "this worker cannot say that it runs"),
                }
            }
            if is_due {
                self.tell_ends(resolver).await;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn tell_presence(&self, presence: &WorkerPresence) -> Result<(), RemoteError> {
        let ask = self.0.remote.post(&["v1", "worker", "presence"]);
        ask.json(presence).within(PATIENCE).done().await
    }

    /// Tells how runs beside canaries ended; what cannot be told is kept for the next time.
    async fn tell_ends(&self, resolver: &Resolver) {
        let mut all = resolver.relayed();
        while !all.is_empty() {
            let rest = all.split_off(all.len().min(ENDS));
            let report = CanaryReport { canaries: all };
            let ask = self.0.remote.post(&["v1", "worker", "canaries"]);
            if let Err(error) = ask.json(&report).within(PATIENCE).done().await {
                tracing::debug!(%error, "how runs of canaries ended cannot be told now");
                resolver.relay_again(report.canaries);
                resolver.relay_again(rest);
                return;
            }
            all = rest;
        }
    }
}
