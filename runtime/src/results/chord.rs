//! The counting of a chord's parts: the words of it.

use super::Exception;
use crate::task::Json;
use jiff::Timestamp;
use std::time::Duration;

/// Most bytes of results that are brought together (16 MiB): what a message may hold.
pub const JOINED_BYTES: u64 = 16 << 20;

/// How a result backend brings the parts of a chord together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// It counts them, each once.
    Counts,
    /// Somebody must look whether all are there (`celery.chord_unlock`).
    Polls,
    /// It keeps nothing that could be brought together.
    Never,
}

/// A chord whose header is about to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// The id of its group.
    pub group: String,
    /// How many parts it has.
    pub size: u64,
    /// Celery's tuple of the results, where they are nested.
    pub structure: Option<Json>,
    /// Whether this was perhaps done before: then what is there stays.
    pub again: bool,
    /// How long it is kept from now; `None` is for ever.
    pub keep: Option<Duration>,
}

/// A part of a chord that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinPart {
    /// The id of the group.
    pub group: String,
    /// Its place in the group; without one it comes last.
    pub index: Option<i64>,
    /// The task.
    pub id: String,
    /// How it ended.
    pub end: Ending,
    /// How long it is kept from now; `None` is for ever.
    pub keep: Option<Duration>,
}

/// How a part of a chord ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// With a result.
    Returned(Json),
    /// With FAILURE or REVOKED.
    Failed {
        /// The state.
        state: String,
        /// What it failed with.
        exception: Exception,
    },
}

/// Where a chord is after a part was counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Joined {
    /// Other parts are missing, or the body was sent before.
    Waiting,
    /// All are there, and somebody else sends the body: to be looked at again then.
    Held {
        /// When the other one's claim ends.
        until: Timestamp,
    },
    /// All are there and the body is ours to fail: their results have more bytes than
    /// [`JOINED_BYTES`].
    TooLarge,
    /// All are there and the body is ours to send; tell with [`super::Results::joined`].
    Complete {
        /// The parts, in the order of the group.
        parts: Vec<(String, Ending)>,
        /// As in [`Expect::structure`].
        structure: Option<Json>,
    },
}
