//! Noticing commits: at once those of this process, soon those of others.

use super::DatabaseError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What the writer tells and the watchers hear.
#[derive(Clone)]
pub(super) struct Changes {
    commits: watch::Sender<u64>,
    interest: Arc<Interest>,
}

/// How many wait right now: the writer looks for other processes' commits only
/// while somebody does.
#[derive(Debug, Default)]
struct Interest {
    waiting: AtomicUsize,
    appeared: Notify,
    ended: CancellationToken,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            commits: watch::Sender::new(0),
            interest: Arc::default(),
        }
    }

    pub(super) fn watch(&self) -> Watcher {
        Watcher {
            commits: self.commits.subscribe(),
            interest: Arc::clone(&self.interest),
        }
    }

    /// Wakes everybody who waits.
    pub(super) fn announce(&self) {
        self.commits
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells everybody who waits that nothing comes any more.
    pub(super) fn end(&self) {
        self.interest.ended.cancel();
    }

    pub(super) fn somebody_waits(&self) -> bool {
        self.interest.waiting.load(Ordering::Acquire) > 0
    }

    /// Waits until somebody begins to wait. Cancel-safe.
    pub(super) async fn somebody_appears(&self) {
        self.interest.appeared.notified().await;
    }
}

/// Notices commits since it was made or since it last noticed one.
///
/// Make it, look at the data, and wait only then: no commit is missed. It may
/// wake for commits that changed nothing of interest.
#[derive(Debug, Clone)]
pub struct Watcher {
    commits: watch::Receiver<u64>,
    interest: Arc<Interest>,
}

impl Watcher {
    /// Waits for the next commit: of this process at once, of another one
    /// within 25 ms. Cancel-safe.
    ///
    /// # Errors
    /// [`DatabaseError::Closed`] when no commit can come any more.
    pub async fn changed(&mut self) -> Result<(), DatabaseError> {
        let _waiting = Waiting::begin(&self.interest);
        tokio::select! {
            () = self.interest.ended.cancelled() => Err(DatabaseError::Closed),
            changed = self.commits.changed() => changed.map_err(|_| DatabaseError::Closed),
        }
    }
}

struct Waiting<'a>(&'a Interest);

impl<'a> Waiting<'a> {
    fn begin(interest: &'a Interest) -> Self {
        interest.waiting.fetch_add(1, Ordering::AcqRel);
        interest.appeared.notify_one();
        Self(interest)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
