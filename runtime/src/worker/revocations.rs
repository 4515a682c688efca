//! The revocations a worker knows of: read at its start, heard of within half a second,
//! and looked up for every message without a round trip.
//!
//! A revoked task that waits, wherever it waits, is acknowledged as REVOKED when its
//! message is taken. One that runs goes on, unless the order says to terminate it: then
//! its sandbox ends at the next tick, and nothing else does.

mod clerk;
mod known;

pub(super) use clerk::revoked;
pub use clerk::{Answer, Clerk, RevokeError, TARGETS};

use super::crew::Crew;
use super::patience::Backoff;
use crate::broker::Delivery;
use crate::celery::stamps::stamps;
use crate::results::ResultsError;
use crate::results::orders::{Mark, Revocation, Target};
use crate::task::TaskId;
use known::Known;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the orders of others are read (500 ms): a worker hears within a second.
const LOOK: Duration = Duration::from_millis(500);

/// What a revocation did in this worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// The tasks that ran here and are terminated.
    pub terminated: Vec<TaskId>,
}

/// The revocations a worker knows of, and what it runs.
#[derive(Debug)]
pub struct Revocations {
    clerk: Clerk,
    state: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: Known,
    read: Option<Mark>,
    running: HashMap<u64, Run>,
    next: u64,
}

#[derive(Debug)]
struct Run {
    id: TaskId,
    targets: Arc<[Target]>,
    ended: CancellationToken,
}

impl Revocations {
    /// Knows of none yet.
    #[must_use]
    pub fn new(clerk: Clerk) -> Self {
        Self {
            clerk,
            state: Mutex::default(),
        }
    }

    /// Revokes tasks, for every worker and across restarts: what waits is not run, and
    /// what runs ends at once where `terminate` says so. Callers of tasks that nobody
    /// is known to run find REVOKED when this returns.
    ///
    /// This is what remote control calls: by ids for `revoke` and `terminate`, by stamps
    /// for `revoke_by_stamped_headers`. Several workers that are told the same may all
    /// record it.
    ///
    /// # Errors
    /// [`RevokeError`], when it is not recorded.
    pub async fn revoke(
        &self,
        targets: Vec<Target>,
        terminate: bool,
    ) -> Result<Revoked, RevokeError> {
        let revocations = self.clerk.record(&targets, terminate).await?;
        let mut terminated = Vec::new();
        for revocation in &revocations {
            terminated.extend(self.learn(revocation));
        }
        for target in targets {
            let Target::Task(id) = target else { continue };
            if !self.runs(&id) {
                self.answer(&id).await;
            }
        }
        Ok(Revoked { terminated })
    }

    /// Tells who waits for a revoked task. Where that fails it is revoked all the same: its
    /// message tells when it is taken.
    async fn answer(&self, id: &TaskId) {
        if let Err(error) = self.clerk.answer(id).await {
            tracing::warn!(%error, task = %id, "a revoked task was not marked at once");
        }
    }

    /// Returns the ids of revoked tasks, oldest first, as `inspect revoked` shows them.
    #[must_use]
    pub fn ids(&self) -> Vec<TaskId> {
        let now = self.clerk.clock.now();
        let all = self.lock().known.all(now).into_iter();
        all.filter_map(|target| match target {
            Target::Task(id) => Some(id),
            Target::Stamp { .. } => None,
        })
        .collect()
    }

    /// Reads what was ordered since the last time.
    pub(super) async fn read(&self) -> Result<(), ResultsError> {
        loop {
            let mark = self.lock().read.clone();
            let (revocations, next) = self.clerk.orders.revoked(mark.as_ref()).await?;
            for revocation in &revocations {
                self.learn(revocation);
            }
            self.lock().read.clone_from(&next);
            if next == mark {
                return Ok(());
            }
        }
    }

    /// Watches over a message from now on.
    pub(super) fn watch(self: &Arc<Self>, delivery: &Delivery, id: &TaskId) -> Watched {
        let stamps = stamps(&delivery.message.headers).into_iter();
        let stamps = stamps.map(|(name, value)| Target::Stamp { name, value });
        let targets: Arc<[Target]> = std::iter::once(Target::Task(id.clone()))
            .chain(stamps)
            .collect();
        let ended = CancellationToken::new();
        let run = Run {
            id: id.clone(),
            targets: Arc::clone(&targets),
            ended: ended.clone(),
        };
        let mut state = self.lock();
        let place = state.next;
        state.next = place.wrapping_add(1);
        state.running.insert(place, run);
        Watched {
            place,
            targets,
            ended,
            all: Arc::clone(self),
        }
    }

    /// Keeps a revocation, and returns what it ended.
    fn learn(&self, revocation: &Revocation) -> Vec<TaskId> {
        let mut state = self.lock();
        state.known.learn(revocation);
        if !revocation.terminate || revocation.until <= self.clerk.clock.now() {
            return Vec::new();
        }
        let running = state.running.values();
        let hit = running.filter(|run| run.targets.contains(&revocation.target));
        hit.map(|run| {
            run.ended.cancel();
            run.id.clone()
        })
        .collect()
    }

    fn runs(&self, id: &TaskId) -> bool {
        self.lock().running.values().any(|run| run.id == *id)
    }

    /// What a panicking thread left is still a state.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message under the eye of [`Revocations`] while this lives.
#[derive(Debug)]
pub(super) struct Watched {
    place: u64,
    targets: Arc<[Target]>,
    ended: CancellationToken,
    all: Arc<Revocations>,
}

impl Watched {
    /// Tells whether its task is revoked.
    pub(super) fn is_revoked(&self) -> bool {
        let now = self.all.clerk.clock.now();
        self.all.lock().known.holds(&self.targets, now)
    }

    /// Lets it go without a run, and tells whether its task is revoked. Whoever revokes a
    /// task that is here leaves its caller to us, and looks after the order is known: either
    /// the order is seen here, or it is seen there that nothing is.
    pub(super) fn lets_go(&self) -> bool {
        let now = self.all.clerk.clock.now();
        let mut state = self.all.lock();
        state.running.remove(&self.place);
        state.known.holds(&self.targets, now)
    }

    /// Lets it go until its next attempt is due, and tells who waits for it if it was
    /// revoked while it ran.
    pub(super) async fn tries_again(&self, id: &TaskId) {
        if self.lets_go() {
            self.all.answer(id).await;
        }
    }

    /// Resolves when its task is to end at once. Cancel-safe.
    pub(super) async fn terminated(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.all.lock().running.remove(&self.place);
    }
}

/// Reads the orders of others again and again; it is ended from outside, at any moment.
pub(super) async fn follow(crew: Arc<Crew>) -> Infallible {
    let mut backoff = Backoff::default();
    loop {
        tokio::time::sleep(LOOK).await;
        match crew.steering.revocations.read().await {
            Ok(()) => backoff = Backoff::default(),
            Err(error) => {
                tracing::warn!(%error, "no news of revoked tasks; trying again");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
