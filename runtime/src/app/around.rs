//! What runs around the lanes of a worker: what follows signals, what is served, and the end
//! of all that.

use super::follow::Follower;
use super::housekeeping;
use super::teller::Teller;
use crate::registry::{Registry, Resolver};
use crate::results::Results;
use crate::shutdown::{Phase, Shutdown, Signals};
use crate::telemetry::{Metrics, human};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long what is served may take to end (2 s): an answer under
/// way, the last look of the registry.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What runs around the lanes of a worker.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// These are cut off at the end.
    pub(super) beside: JoinSet<()>,
    /// These end by themselves once `ended` is.
    pub(super) served: JoinSet<()>,
    pub(super) ended: CancellationToken,
    /// It tells what tenants use.
    teller: Option<Teller>,
}

impl Around {
    /// Listens to signals, and stops when they say so.
    pub(super) fn listens(
        &mut self,
        (shutdown, signals): (&Shutdown, Signals),
        span: Duration,
        metrics: &Arc<Metrics>,
    ) {
        let following = follow_signals(shutdown.clone(), signals, span, Arc::clone(metrics));
        self.beside.spawn(following);
        self.beside.spawn(drain(shutdown.clone(), span));
    }

    /// Follows the registry, cleans up, and tells whom it concerns.
    pub(super) fn runs_beside(
        &mut self,
        resolver: &Resolver,
        registry: &Registry,
        (results, follower): (&Arc<dyn Results>, Option<&Follower>),
    ) {
        self.beside
            .spawn(housekeeping::sweep_all(Arc::clone(results)));
        self.beside.spawn(housekeeping::collect(registry.clone()));
        let (following, end) = (resolver.clone(), self.ended.clone());
        self.served.spawn(async move { following.run(end).await });
        if let Some(follower) = follower {
            self.served.spawn(follower.tells(resolver, &self.ended));
        }
    }

    /// Tells what tenants use, to the last of it at the end.
    pub(super) fn tells_usage(&mut self, teller: Teller) {
        self.beside.spawn(teller.clone().run());
        self.teller = Some(teller);
    }

    /// Ends all of it.
    pub(super) async fn end(mut self) {
        self.ended.cancel();
        self.beside.shutdown().await;
        if let Some(teller) = self.teller {
            teller.close().await;
        }
        finish(self.served).await;
    }
}

async fn follow_signals(
    shutdown: Shutdown,
    signals: Signals,
    drain: Duration,
    metrics: Arc<Metrics>,
) {
    let said = |phase| {
        let tasks = metrics.running();
        if let Some(words) = stopping(phase, tasks, drain) {
            tracing::info!(tasks, "{words}");
        }
    };
    shutdown.listen(signals, said).await;
}

/// Says what a signal does to the tasks that run, if any does.
fn stopping(phase: Phase, tasks: i64, drain: Duration) -> Option<String> {
    if tasks == 0 {
        return None;
    }
    Some(match phase {
        Phase::Draining => format!(
            "draining for at most {}; a second signal gives running tasks back at once",
            human::span(drain)
        ),
        Phase::Cancelling => "giving running tasks back".to_owned(),
    })
}

async fn drain(shutdown: Shutdown, drain: Duration) {
    shutdown.drain(drain).await;
}

pub(super) async fn finish(mut tasks: JoinSet<()>) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task beside the worker ended badly");
            }
        }
    };
    if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
        tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_told_only_where_something_runs() {
        let drain = Duration::from_secs(30);
        assert_eq!(stopping(Phase::Draining, 0, drain), None);
        assert_eq!(stopping(Phase::Cancelling, 0, drain), None);
        let words = stopping(Phase::Draining, 2, drain).unwrap();
        assert!(words.starts_with("draining for at most 30 s;"), "{words}");
        let words = stopping(Phase::Cancelling, 1, drain).unwrap();
        assert_eq!(words, "giving running tasks back");
    }
}
