//! Looking for one message, without taking it.

use crate::celery::Message;
use jiff::Timestamp;
use serde_json::Value;

/// Most messages that are looked at in one queue (10,000), where a broker can only go
/// through them one after the other.
pub const LOOKED_AT: usize = 10_000;

/// Where a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It waits to be taken.
    Ready {
        /// About how many messages of its queue are taken before it.
        ahead: u64,
    },
    /// It is not due.
    Parked {
        /// When it is.
        until: Timestamp,
    },
    /// A worker took it and has not settled it.
    Leased {
        /// Until when that worker has it without a sign of life; `None` where that is
        /// a worker of Celery's.
        until: Option<Timestamp>,
    },
    /// Nobody will run it.
    Dead {
        /// Why.
        reason: String,
        /// When it died.
        died_at: Timestamp,
    },
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its queue.
    pub queue: String,
    /// Where it is there.
    pub place: Place,
    /// The message.
    pub message: Message,
}

/// How far a look reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everything of these queues was looked at.
    All(Vec<String>),
    /// The same, but only so far: some of them have more than [`LOOKED_AT`] messages.
    Part {
        /// The queues.
        queues: Vec<String>,
        /// Those that have more.
        longer: Vec<String>,
    },
    /// The broker shows no messages but the dead letters of these queues.
    DeadLetters(Vec<String>),
    /// The broker shows no messages at all.
    Nothing,
}

/// What came of a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The message; of several with the same id the one that is nearest to a run.
    pub found: Option<Found>,
    /// How far the look went where nothing was found.
    pub reach: Reach,
}

impl Looked {
    /// A look that cannot be had.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            found: None,
            reach: Reach::Nothing,
        }
    }
}

/// Tells whether a message is that of a task. Clients of protocol 1 write the id into
/// the body, and beside it where answers are told by it.
#[must_use]
pub fn is_of(message: &Message, id: &str) -> bool {
    match message.headers.get("id").and_then(Value::as_str) {
        Some(known) => known == id,
        None => message.properties.correlation_id.as_deref() == Some(id),
    }
}

/// Which messages of a queue to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Those that wait or are parked.
    Waiting,
    /// The dead letters.
    Dead,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::TaskCall;

    #[test]
    fn a_message_is_known_by_its_header_and_without_one_by_what_its_answer_is_known_by() {
        let call = TaskCall::new("t", "[]", "{}").unwrap();
        let mut message = call.message("me");
        assert!(is_of(&message, call.id.as_str()));
        message.properties.correlation_id = Some("other".to_owned());
        assert!(is_of(&message, call.id.as_str()) && !is_of(&message, "other"));
        message.headers.clear();
        assert!(is_of(&message, "other"));
        message.headers.insert("id".to_owned(), Value::from(7));
        message.properties.correlation_id = None;
        assert!(!is_of(&message, "7"));
    }
}
