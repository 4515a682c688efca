//! What this process has taken and not settled.

use super::Receipt;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// One taken message.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) queue: String,
    /// Its name in kombu's keys.
    pub(super) tag: String,
    pub(super) key: Option<String>,
}

/// The taken messages by receipt. A tag is `<token>.<number>`, where the token
/// is of this process alone: nobody else's receipts fit.
#[derive(Debug)]
pub(super) struct Held {
    token: String,
    next: AtomicI64,
    holds: Mutex<HashMap<i64, Hold>>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            token: Uuid::new_v4().to_string(),
            next: AtomicI64::new(1),
            holds: Mutex::default(),
        }
    }
}

impl Held {
    /// Sets numbers aside, and returns the first.
    pub(super) fn reserve(&self, numbers: usize) -> i64 {
        let numbers = i64::try_from(numbers).unwrap_or(i64::MAX);
        self.next.fetch_add(numbers, Ordering::Relaxed)
    }

    /// What all tags begin with.
    pub(super) fn tags(&self) -> String {
        format!("{}.", self.token)
    }

    /// Holds a message from now on.
    pub(super) fn hold(&self, number: i64, queue: &str, key: Option<String>) -> Receipt {
        let hold = Hold {
            queue: queue.to_owned(),
            tag: format!("{}.{number}", self.token),
            key,
        };
        self.lock().insert(number, hold);
        Receipt {
            message: number,
            lease: 0,
        }
    }

    pub(super) fn of(&self, receipt: &Receipt) -> Option<Hold> {
        self.lock().get(&receipt.message).cloned()
    }

    pub(super) fn forget(&self, receipt: &Receipt) {
        self.lock().remove(&receipt.message);
    }

    /// A map that a panicking thread left is still a map.
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
