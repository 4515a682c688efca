//! What this process has taken on one connection and not settled.

use lapin::Acker;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The taken messages by delivery tag.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<u64, Acker>>);

/// A message that is being settled: it is held again unless that is done.
#[derive(Debug)]
pub(super) struct Settling<'a> {
    held: &'a Held,
    tag: u64,
    acker: Option<Acker>,
}

impl Held {
    pub(super) fn hold(&self, tag: u64, acker: Acker) {
        self.lock().insert(tag, acker);
    }

    /// Takes a message out to settle it; `None` when somebody else did.
    pub(super) fn settle(&self, tag: u64) -> Option<Settling<'_>> {
        let acker = self.lock().remove(&tag)?;
        Some(Settling {
            held: self,
            tag,
            acker: Some(acker),
        })
    }

    pub(super) fn holds(&self, tag: u64) -> bool {
        self.lock().contains_key(&tag)
    }

    /// A map that a panicking thread left is still a map.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Acker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settling<'_> {
    /// Acknowledges the message; false when its connection is gone, and so the lease.
    pub(super) async fn ack(mut self) -> bool {
        let Some(acker) = self.acker.take() else {
            return false;
        };
        acker
            .ack(lapin::options::BasicAckOptions::default())
            .await
            .unwrap_or(false)
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            self.held.lock().insert(self.tag, acker);
        }
    }
}
