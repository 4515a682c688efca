//! Keeps the leases of what runs, all in one call, and tells an attempt when
//! its lease is lost.

use super::crew::Crew;
use crate::broker::Receipt;
use crate::clock::after;
use crate::task::{Fence, TaskId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The lease of the run record where the broker has none of its own.
const RUN_LEASE: Duration = Duration::from_secs(30);

/// The leases of this worker's running attempts.
#[derive(Debug, Default)]
pub(super) struct Leases(Arc<Mutex<HashMap<Receipt, Held>>>);

#[derive(Debug)]
struct Held {
    run: Option<(TaskId, Fence)>,
    lost: CancellationToken,
}

/// Keeps one lease while it lives.
#[derive(Debug)]
pub(super) struct Alive {
    receipt: Receipt,
    lost: CancellationToken,
    all: Arc<Mutex<HashMap<Receipt, Held>>>,
}

impl Leases {
    /// Keeps a lease from now on.
    pub(super) fn keep(&self, receipt: &Receipt) -> Alive {
        let lost = CancellationToken::new();
        let held = Held {
            run: None,
            lost: lost.clone(),
        };
        lock(&self.0).insert(receipt.clone(), held);
        Alive {
            receipt: receipt.clone(),
            lost,
            all: self.0.clone(),
        }
    }

    fn held(&self) -> (Vec<Receipt>, Vec<(TaskId, Fence)>) {
        let held = lock(&self.0);
        let runs = held.values().filter_map(|one| one.run.clone()).collect();
        (held.keys().cloned().collect(), runs)
    }

    fn lose(&self, receipts: &[Receipt]) {
        let held = lock(&self.0);
        for lost in receipts.iter().filter_map(|receipt| held.get(receipt)) {
            lost.lost.cancel();
        }
    }
}

impl Alive {
    /// Keeps the lease of the run record as well.
    pub(super) fn has_run(&self, id: TaskId, fence: Fence) {
        if let Some(held) = lock(&self.all).get_mut(&self.receipt) {
            held.run = Some((id, fence));
        }
    }

    /// Keeps nothing any more: the message was acknowledged, so nobody else can
    /// get it, and a beat must not take its absence for a loss.
    pub(super) fn is_settled(&self) {
        lock(&self.all).remove(&self.receipt);
    }

    /// Tells whether the message is still there to come back.
    pub(super) fn is_kept(&self) -> bool {
        lock(&self.all).contains_key(&self.receipt)
    }

    /// Takes the run record away from the beat.
    fn take_run(&self) -> Option<(TaskId, Fence)> {
        lock(&self.all).get_mut(&self.receipt)?.run.take()
    }

    /// Resolves when the lease is lost. Cancel-safe.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.receipt);
    }
}

/// A map that a panicking thread left is still a map.
fn lock(leases: &Mutex<HashMap<Receipt, Held>>) -> MutexGuard<'_, HashMap<Receipt, Held>> {
    leases.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beating heart; stop it after the last attempt ended.
#[derive(Debug)]
pub(super) struct Beat {
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Beat {
    pub(super) async fn stop(self) {
        self.ended.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the heartbeat ended early");
        }
    }
}

/// The lease of a run from now on.
pub(super) fn lease(crew: &Crew) -> Duration {
    crew.broker.profile().lease.unwrap_or(RUN_LEASE)
}

/// Ends the lease of a run record whose message goes back to its queue, so that
/// whoever takes it next need not wait until the lease lapses.
pub(super) async fn let_go(crew: &Crew, alive: &Alive) {
    let Some(run) = alive.take_run() else {
        return;
    };
    // Where this is not heard, the next one waits; nothing else is lost.
    if let Err(error) = crew.results.renew(vec![run], crew.clock.now()).await {
        tracing::warn!(%error, "the lease of a run record was not ended");
    }
}

/// Starts to renew leases at a third of their length, so that two beats may fail.
pub(super) fn start(crew: &Arc<Crew>) -> Beat {
    let ended = CancellationToken::new();
    let (crew, until) = (crew.clone(), ended.clone());
    #[expect(clippy::disallowed_methods, reason = "Beat::stop waits for it")]
    let task = tokio::spawn(async move {
        let every = lease(&crew) / 3;
        loop {
            tokio::select! {
                () = until.cancelled() => return,
                () = tokio::time::sleep(every) => beat(&crew, every).await,
            }
        }
    });
    Beat { ended, task }
}

async fn beat(crew: &Crew, every: Duration) {
    let (receipts, runs) = crew.leases.held();
    if receipts.is_empty() {
        return;
    }
    // Side by side, and the second no longer than until the next beat: results
    // that answer nobody must not cost the leases of messages.
    let renewed = tokio::time::timeout(every, renew(crew, runs));
    let ((), renewed) = tokio::join!(extend(crew, &receipts), renewed);
    if renewed.is_err() {
        tracing::warn!("run records not renewed: no answer before the next beat");
    }
}

async fn extend(crew: &Crew, receipts: &[Receipt]) {
    match crew.broker.extend(receipts).await {
        Ok(lost) => crew.leases.lose(&lost),
        Err(error) => tracing::warn!(%error, "leases not extended"),
    }
}

async fn renew(crew: &Crew, runs: Vec<(TaskId, Fence)>) {
    if runs.is_empty() {
        return;
    }
    let until = after(crew.clock.now(), lease(crew));
    if let Err(error) = crew.results.renew(runs, until).await {
        tracing::warn!(%error, "run records not renewed");
    }
}
