//! What a guest reads and keeps beside its own memory, counted.

use super::Host;
use crate::uses::{Capability, Use};

impl Host {
    /// Counts a call.
    pub(super) fn used(&mut self, what: Capability) {
        self.uses.count(what, Use::call(0, 0));
    }

    /// Counts what went into the guest, and what it gave away.
    pub(super) fn moved(&mut self, what: Capability, bytes_in: usize, bytes_out: usize) {
        let moved = Use {
            bytes_in: bytes_in as u64,
            bytes_out: bytes_out as u64,
            ..Use::default()
        };
        self.uses.count(what, moved);
    }

    /// Counts a denial, and writes it into the log of the attempt, where its author finds
    /// the missing grant even if the guest says nothing.
    pub(super) fn denied(&mut self, what: Capability, denial: String) -> String {
        self.uses.turn_down(what);
        self.log.warn(&denial, &[]);
        denial
    }
}
