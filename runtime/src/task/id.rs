//! Task ids, and the fence that orders the runs of one task.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest task id, bytes. Celery sends UUIDs (36) and takes any string; a key
/// in a broker or database should stay small.
const TASK_ID_BYTES: usize = 255;

/// The namespace of ids that follow from others.
const DERIVED: uuid::Uuid = uuid::uuid!("5f0a2d4e-9c31-4b7a-8a55-1f6d0c3be7a2");

/// Identifies a task through all its retries. Any non-empty text up to 255
/// bytes without control characters, as Celery allows; ours are UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

/// A text that cannot be a task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskIdError {
    /// It is empty.
    #[error("a task id cannot be empty")]
    Empty,
    /// It is too long.
    #[error("a task id of {bytes} bytes is too long; at most {TASK_ID_BYTES} are allowed (fixed)")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character.
    #[error("a task id cannot hold control characters: {0:?}")]
    Control(String),
}

impl TaskId {
    /// Makes a new random id (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// Makes the id that always follows from these parts (UUID version 5).
    #[must_use]
    pub fn derived(parts: &[&[u8]]) -> Self {
        let mut name = Vec::new();
        for part in parts {
            // The length keeps ["ab", "c"] from being ["a", "bc"].
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part);
        }
        Self(uuid::Uuid::new_v5(&DERIVED, &name).to_string())
    }

    /// Reads an id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds control characters.
    pub fn parse(text: &str) -> Result<Self, TaskIdError> {
        if text.is_empty() {
            return Err(TaskIdError::Empty);
        }
        if text.len() > TASK_ID_BYTES {
            return Err(TaskIdError::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(TaskIdError::Control(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TaskId {
    type Error = TaskIdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

/// Orders the runs of one task: a later retry, then a later delivery, wins.
///
/// Every write about a run is conditional on no higher fence being recorded, so
/// that a worker that was thought dead cannot overwrite its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// Retries so far, from 0.
    pub retries: u32,
    /// Deliveries of this retry's message, from 1.
    pub deliveries: u32,
}

impl Fence {
    /// Tells whether this is the very first run, which no record can precede.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.retries == 0 && self.deliveries <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_of_celery_is_an_id_but_empty_long_and_control_are_not() {
        assert!(TaskId::parse("order-17/ä").is_ok());
        assert_eq!(TaskId::parse(""), Err(TaskIdError::Empty));
        assert!(TaskId::parse(&"x".repeat(255)).is_ok());
        assert_eq!(
            TaskId::parse(&"x".repeat(256)),
            Err(TaskIdError::TooLong { bytes: 256 })
        );
        assert!(TaskId::parse("a\u{1b}[31m").is_err());
    }

    #[test]
    fn a_derived_id_follows_from_its_parts_and_where_they_end() {
        let id = |parts: &[&[u8]]| TaskId::derived(parts);
        assert_eq!(id(&[b"ab", b"c"]), id(&[b"ab", b"c"]));
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
        assert_ne!(id(&[b"ab"]), id(&[b"ab", b""]));
        assert_eq!(id(&[b"ab"]).as_str().len(), 36);
    }

    #[test]
    fn a_later_retry_outranks_any_number_of_deliveries() {
        let fence = |retries, deliveries| Fence {
            retries,
            deliveries,
        };
        assert!(fence(1, 1) > fence(0, 5));
        assert!(fence(0, 2) > fence(0, 1));
        assert!(fence(0, 1).is_first() && !fence(0, 2).is_first() && !fence(1, 1).is_first());
    }
}
