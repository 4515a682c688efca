//! The words of a rate: how fast tasks start, and when the next one may.

use jiff::Timestamp;
use std::time::Duration;

/// Most messages of one task that are promised a start (50,000). What comes beyond them
/// is told when to come back, and stands at the end of the line again when it does.
pub const PROMISES: usize = 50_000;

/// How fast tasks of one type start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time between two starts.
    pub interval: Duration,
    /// Waits shorter than this are not worth the way back to the broker.
    pub short: Duration,
    /// Time after which the place of a message that does not come is another's.
    pub patience: Duration,
}

/// When a message may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Then, which is now or soon; the start is counted.
    Start(Timestamp),
    /// Not yet: it asks again then.
    Return(Timestamp),
}
