//! The queues that a worker takes from: a list that may change.

use tokio::sync::watch;

/// Most queues of one worker (100): each is part of every fetch.
const QUEUES: usize = 100;
/// Longest name of a queue, bytes, as AMQP allows.
const NAME_BYTES: usize = 255;

/// The queues.
#[derive(Debug)]
pub struct Queues(watch::Sender<Vec<String>>);

/// Why a queue is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueuesError {
    /// No queue can have this name.
    #[error("a queue's name has 1 to {NAME_BYTES} bytes, no commas and no control characters")]
    Name,
    /// There are enough.
    #[error("a worker takes from at most {QUEUES} queues (fixed)")]
    TooMany,
}

impl Queues {
    pub(super) fn new(queues: Vec<String>) -> Self {
        Self(watch::Sender::new(queues))
    }

    /// Returns the names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub(in crate::worker) fn follow(&self) -> watch::Receiver<Vec<String>> {
        self.0.subscribe()
    }

    /// Takes from another queue; `false` says that it did already.
    ///
    /// # Errors
    /// [`QueuesError`].
    pub fn add(&self, queue: &str) -> Result<bool, QueuesError> {
        let is_bad = |letter: char| letter.is_control() || letter == ',';
        if queue.is_empty() || queue.len() > NAME_BYTES || queue.chars().any(is_bad) {
            return Err(QueuesError::Name);
        }
        if self.0.borrow().len() >= QUEUES {
            return Err(QueuesError::TooMany);
        }
        Ok(self.0.send_if_modified(|queues| {
            let is_new = !queues.iter().any(|known| known == queue);
            if is_new {
                queues.push(queue.to_owned());
            }
            is_new
        }))
    }

    /// Takes no longer from a queue; `false` says that it did not.
    pub fn remove(&self, queue: &str) -> bool {
        self.0.send_if_modified(|queues| {
            let before = queues.len();
            queues.retain(|known| known != queue);
            queues.len() != before
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_come_and_go() {
        let queues = Queues::new(vec!["a".to_owned()]);
        let mut follow = queues.follow();
        assert_eq!(queues.add("b"), Ok(true));
        assert_eq!(queues.add("b"), Ok(false));
        assert!(follow.has_changed().unwrap());
        assert_eq!(*follow.borrow_and_update(), ["a", "b"]);
        assert!(queues.remove("a") && !queues.remove("a"));
        for bad in ["", "a,b", "\n", &"x".repeat(NAME_BYTES + 1)] {
            assert_eq!(queues.add(bad), Err(QueuesError::Name));
        }
        for number in queues.names().len()..QUEUES {
            assert_eq!(queues.add(&number.to_string()), Ok(true));
        }
        assert_eq!(queues.add("one more"), Err(QueuesError::TooMany));
    }
}
