//! What a guest reads and keeps beside its own memory, counted.

use super::Host;
use crate::log::Level;
use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Config,
    Secrets,
    KeyValue,
    Scratch,
}

/// How often something was used, and how much it moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreUse {
    /// Calls, those that were denied included.
    pub calls: u64,
    /// Calls that no grant allowed.
    pub denied: u64,
    /// Bytes that went into the guest.
    pub bytes_in: u64,
    /// Bytes that the guest gave away.
    pub bytes_out: u64,
}

impl std::ops::AddAssign for StoreUse {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.denied += other.denied;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// The uses of one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreUses {
    /// Of configuration values.
    pub config: StoreUse,
    /// Of secrets.
    pub secrets: StoreUse,
    /// Of the key-value store.
    pub key_value: StoreUse,
    /// Of scratch files.
    pub scratch: StoreUse,
}

impl std::ops::AddAssign for StoreUses {
    fn add_assign(&mut self, other: Self) {
        self.config += other.config;
        self.secrets += other.secrets;
        self.key_value += other.key_value;
        self.scratch += other.scratch;
    }
}

impl StoreUses {
    pub(crate) fn of(&mut self, store: Store) -> &mut StoreUse {
        match store {
            Store::Config => &mut self.config,
            Store::Secrets => &mut self.secrets,
            Store::KeyValue => &mut self.key_value,
            Store::Scratch => &mut self.scratch,
        }
    }
}

impl Host {
    /// Counts a call.
    pub(super) fn used(&mut self, store: Store) {
        self.stores.of(store).calls += 1;
    }

    /// Counts what went into the guest, and what it gave away.
    pub(super) fn moved(&mut self, store: Store, bytes_in: usize, bytes_out: usize) {
        let of = self.stores.of(store);
        of.bytes_in = of.bytes_in.saturating_add(bytes_in as u64);
        of.bytes_out = of.bytes_out.saturating_add(bytes_out as u64);
    }

    /// Counts a denial, and writes it into the log of the attempt, where its author finds
    /// the missing grant even if the guest says nothing.
    pub(super) fn denied(&mut self, store: Store, denial: String) -> String {
        self.stores.of(store).denied += 1;
        self.log.emit(Level::Warn, &denial, &[]);
        denial
    }
}
