//! Who is there: the messages that this worker has in hand, for whoever asks.

use crate::broker::{Delivery, Receipt};
use crate::celery::Request;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most names of tasks that are counted (1,000); the rest are not.
const COUNTED: usize = 1_000;

/// A message in hand.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The task id.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// The task's name.
    pub task: String,
    /// A JSON array.
    pub args: Bytes,
    /// A JSON object.
    pub kwargs: Bytes,
    /// The queue it came from.
    pub queue: String,
    /// 0 to 9.
    pub priority: u8,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// Whether its message is acknowledged already.
    pub acknowledged: bool,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// When its guest started; `None` while it waits.
    pub started: Option<Timestamp>,
}

/// What is in hand, and what was.
#[derive(Debug, Clone, Default)]
pub struct Roll(Arc<Mutex<Hand>>);

#[derive(Debug, Default)]
struct Hand {
    entries: HashMap<Receipt, Entry>,
    processed: u64,
    total: BTreeMap<String, u64>,
}

/// A place on the roll, given up when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    receipt: Receipt,
    roll: Roll,
}

impl Roll {
    /// Takes a place for a message.
    pub(super) fn seat(&self, delivery: &Delivery, request: &Request) -> Seat {
        let entry = Entry {
            id: request.id.to_string(),
            name: request.shadow.as_ref().unwrap_or(&request.task).clone(),
            task: request.task.clone(),
            args: request.args.clone(),
            kwargs: request.kwargs.clone(),
            queue: delivery.queue.clone(),
            priority: delivery.message.properties.priority.unwrap_or(0),
            redelivered: delivery.deliveries > 1,
            acknowledged: false,
            eta: request.eta,
            started: None,
        };
        self.lock().entries.insert(delivery.receipt.clone(), entry);
        Seat {
            receipt: delivery.receipt.clone(),
            roll: self.clone(),
        }
    }

    /// Returns everything in hand, the oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let hand = self.lock();
        let mut entries: Vec<_> = hand.entries.iter().collect();
        entries.sort_by_key(|(receipt, _)| *receipt);
        entries
            .into_iter()
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Returns how many tasks run, and how many were started since the beginning.
    #[must_use]
    pub fn pulse(&self) -> (u64, u64) {
        let hand = self.lock();
        let running = hand
            .entries
            .values()
            .filter(|entry| entry.started.is_some());
        (running.count() as u64, hand.processed)
    }

    /// Returns how often each task was started, for the names that are counted.
    #[must_use]
    pub fn total(&self) -> BTreeMap<String, u64> {
        self.lock().total.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Hand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Says that its guest starts.
    pub(super) fn starts(&self, now: Timestamp, acknowledged: bool) {
        let mut hand = self.roll.lock();
        hand.processed += 1;
        let Some(entry) = hand.entries.get_mut(&self.receipt) else {
            return;
        };
        entry.started = Some(now);
        entry.acknowledged = acknowledged;
        let task = entry.task.clone();
        if hand.total.len() < COUNTED || hand.total.contains_key(&task) {
            *hand.total.entry(task).or_default() += 1;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.roll.lock().entries.remove(&self.receipt);
    }
}
