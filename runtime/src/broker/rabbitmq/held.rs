//! What this process has taken on one connection and not settled.

use super::acks::Acks;
use lapin::Channel;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The taken messages by delivery tag.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashSet<u64>>);

/// A message that is being settled: it is held again unless that is done.
#[derive(Debug)]
pub(super) struct Settling<'a> {
    held: &'a Held,
    tag: u64,
    is_acked: bool,
}

impl Held {
    pub(super) fn hold(&self, tag: u64) {
        self.lock().insert(tag);
    }

    /// Takes a message out to settle it; `None` when somebody else did.
    pub(super) fn settle(&self, tag: u64) -> Option<Settling<'_>> {
        let is_held = self.lock().remove(&tag);
        // Made only when it is: a dropped one holds its message again.
        is_held.then(|| Settling {
            held: self,
            tag,
            is_acked: false,
        })
    }

    pub(super) fn holds(&self, tag: u64) -> bool {
        self.lock().contains(&tag)
    }

    /// A map that a panicking thread left is still a map.
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settling<'_> {
    /// Acknowledges the message; false when its connection is gone, and so the lease.
    pub(super) async fn ack(mut self, acks: &Acks, channel: &Channel) -> bool {
        self.is_acked = true;
        acks.ack(channel, self.tag).await
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if !self.is_acked {
            self.held.lock().insert(self.tag);
        }
    }
}
