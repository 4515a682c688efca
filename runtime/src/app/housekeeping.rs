//! What is done now and then: old results go, and versions and files that nothing needs.

use crate::registry::Registry;
use crate::results::Results;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often results past their time are removed (1 min).
const SWEEP: Duration = Duration::from_secs(60);
/// How often the registry's garbage is collected (1 h).
const COLLECTION: Duration = Duration::from_secs(3_600);
/// Most rounds of one sweep: a million results a minute is more than is made.
const ROUNDS: u32 = 100;

/// Collects the registry's garbage for ever; it is ended from outside, at any moment.
pub(super) async fn collect(registry: Registry) {
    let mut ticks = interval(COLLECTION);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = registry.collect_garbage().await {
            tracing::warn!(%error, "the registry's garbage was not collected; trying again in an hour");
        }
    }
}

/// Sweeps the results of a tenant for ever; it is ended from outside, at any moment.
pub(super) async fn sweep_all(results: Arc<dyn Results>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweep(&*results).await;
    }
}

async fn sweep(results: &dyn Results) {
    for _ in 0..ROUNDS {
        match results.sweep().await {
            Ok(0) => return,
            Ok(removed) => tracing::debug!(removed, "removed results past their time"),
            Err(error) => {
                tracing::warn!(%error, "old results were not removed; trying again in a minute");
                return;
            }
        }
    }
}
