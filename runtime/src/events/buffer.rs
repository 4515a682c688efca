//! Events that wait to be sent: no more than fit, the oldest go first.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Most events that wait (10,000): some seconds of a busy worker.
pub const BUFFER_EVENTS: usize = 10_000;
/// Most bytes of events that wait (8 MiB).
pub const BUFFER_BYTES: usize = 8 << 20;
/// Most events of one message (500), and most bytes (256 KiB).
const TAKEN: (usize, usize) = (500, 256 << 10);
/// What an event is taken to weigh that is put back, bytes.
const PUT_BACK: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<(usize, Value)>,
    bytes: usize,
    dropped: u64,
}

impl Waiting {
    fn shrink(&mut self) {
        while self.events.len() > BUFFER_EVENTS || self.bytes > BUFFER_BYTES {
            let Some((weight, _)) = self.events.pop_front() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(weight);
            self.dropped += 1;
        }
    }
}

impl Buffer {
    pub(super) fn push(&self, event: Value, weight: usize) {
        let mut waiting = self.lock();
        waiting.events.push_back((weight, event));
        waiting.bytes += weight;
        waiting.shrink();
        drop(waiting);
        self.filled.notify_one();
    }

    /// Takes the oldest events, as many as fit one message.
    pub(super) fn take(&self) -> Vec<Value> {
        let mut waiting = self.lock();
        let (most, bytes) = TAKEN;
        let mut taken = Vec::new();
        let mut weighed = 0;
        while taken.len() < most
            && weighed < bytes
            && let Some((weight, event)) = waiting.events.pop_front()
        {
            waiting.bytes = waiting.bytes.saturating_sub(weight);
            weighed += weight;
            taken.push(event);
        }
        taken
    }

    /// Puts back what was taken last.
    pub(super) fn put_back(&self, events: Vec<Value>) {
        let mut waiting = self.lock();
        for event in events.into_iter().rev() {
            waiting.events.push_front((PUT_BACK, event));
            waiting.bytes += PUT_BACK;
        }
        waiting.shrink();
    }

    /// Waits until there is something. Cancel-safe.
    pub(super) async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().events.is_empty()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let buffer = Buffer::default();
        for number in 0..BUFFER_EVENTS + 3 {
            buffer.push(Value::from(number), 1);
        }
        assert_eq!(buffer.dropped(), 3);
        let taken = buffer.take();
        assert_eq!((taken.len(), &taken[0]), (500, &Value::from(3)));
        buffer.put_back(taken);
        assert_eq!(buffer.take()[0], 3);
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large() {
        let buffer = Buffer::default();
        for number in 0..3 {
            buffer.push(Value::from(number), BUFFER_BYTES / 2);
        }
        assert_eq!(buffer.dropped(), 1);
        assert_eq!(buffer.take(), [1], "one message is no larger than it must");
        assert_eq!(buffer.take(), [2]);
        assert!(buffer.is_empty());
    }
}
