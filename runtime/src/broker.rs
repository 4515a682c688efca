//! The broker seam: where messages wait, and the promise each driver keeps.
//!
//! A driver exists when the conformance suite is green against it. Drivers
//! know nothing of Wasm, tasks' outcomes or results; they keep messages.
//!
//! The promise: a message is in exactly one place (ready, parked until a
//! moment, leased to one receipt, or dead) until it is acknowledged. What
//! [`Broker::publish`] and [`Broker::settle`] returned `Ok` for survives a
//! killed process.

pub mod embedded;
pub mod rabbitmq;
pub mod redis;

mod search;

pub use search::{Found, LOOKED_AT, Looked, Place, Purge, Reach, is_of};

use crate::celery::Message;
use crate::defence::{Defence, stands};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use std::fmt::Debug;
use std::time::Duration;

/// Most dead letters kept for one queue; the oldest go first. Enough to see a
/// day's trouble, too few to fill a disk.
pub const DEAD_LETTERS: u64 = 10_000;
/// Largest message body that is published or fetched, bytes (16 MiB). A larger
/// one is dead-lettered, or refused at publish.
pub const BODY_BYTES: u64 = 16 << 20;

/// How long a fetch waits for a first message (3 s): health turns red when no
/// round trip succeeds for ten.
pub const IDLE: Duration = Duration::from_secs(3);

/// What differs between drivers, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The driver's name for logs and metrics, such as `embedded`.
    pub system: &'static str,
    /// How long a delivery stays ours without [`Broker::extend`]; `None` where
    /// the connection itself is the lease.
    pub lease: Option<Duration>,
    /// How long the server lets a delivery be held at most, extended or not; `None`
    /// where that has no end.
    pub longest: Option<Duration>,
    /// The step in which it delays: a message comes back up to that much late.
    pub delay_step: Duration,
    /// Whether the broker itself holds messages that are not due.
    pub native_delay: bool,
    /// Whether 0 is the first of the priorities that Celery's clients write.
    pub zero_first: bool,
    /// Whether what is not due waits where our own workers alone look.
    pub parks_apart: bool,
    /// Whether [`Broker::wake`] makes ready what is not due.
    pub wakes: bool,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The queue.
    pub queue: String,
    /// The message.
    pub message: Message,
    /// Not to be delivered before; `None` is at once.
    pub due: Option<Timestamp>,
    /// While a message with this key waits or runs, another is not published.
    /// Follow-ups use it, so that publishing them twice is harmless.
    pub key: Option<String>,
}

impl Outgoing {
    /// Refuses messages of which one has a body over the limit.
    fn check(messages: &[Self]) -> Result<(), BrokerError> {
        let bodies = messages.iter().map(|outgoing| &outgoing.message.body);
        check_size(bodies.map(Bytes::len).max().unwrap_or(0))
    }
}

/// Refuses what is over [`BODY_BYTES`].
fn check_size(bytes: usize) -> Result<(), BrokerError> {
    let (bytes, allowed) = (u64::try_from(bytes).unwrap_or(u64::MAX), BODY_BYTES);
    match bytes > allowed && stands(Defence::Published) {
        true => Err(BrokerError::TooLarge { bytes, allowed }),
        false => Ok(()),
    }
}

/// A message taken from a queue, leased to this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The queue it came from.
    pub queue: String,
    /// The message.
    pub message: Message,
    /// What to settle it with.
    pub receipt: Receipt,
    /// How often it was delivered, this time included, from 1. Parking and
    /// requeueing do not count; a lost lease does.
    pub deliveries: u32,
    /// When it was published or, if it was delayed, due.
    pub ready_at: Timestamp,
    /// Whether queue and message are others than those that were taken: of what runs in
    /// their place, under the same receipt.
    pub replaced: bool,
}

/// Identifies one delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt {
    /// The message within the broker.
    pub message: i64,
    /// The lease within the message's life: an older one is worth nothing.
    pub lease: i64,
}

/// How a delivery ends, exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Done with: remove it.
    Ack,
    /// Give it back unharmed: it is ready at once and the delivery does not count.
    Requeue,
    /// Give it back after a try: it is ready at once and the delivery counts.
    Return,
    /// Not before this moment; the delivery does not count.
    Park(Timestamp),
    /// Move it to the dead letters, original bytes and headers kept.
    DeadLetter {
        /// Why, for people.
        reason: String,
    },
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be taken.
    pub ready: u64,
    /// Not due yet; `None` where the broker cannot tell.
    pub parked: Option<u64>,
    /// Taken and not settled; `None` where the broker cannot tell.
    pub leased: Option<u64>,
    /// Dead letters of the queue.
    pub dead: u64,
}

/// An empty queue, of which all is known.
impl Default for Depth {
    fn default() -> Self {
        Self {
            ready: 0,
            parked: Some(0),
            leased: Some(0),
            dead: 0,
        }
    }
}

/// A message that nobody will run.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The queue it came from.
    pub queue: String,
    /// The message, as it was.
    pub message: Message,
    /// Why it died.
    pub reason: String,
    /// When it died.
    pub died_at: Timestamp,
}

/// Trouble of a broker, by what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// Back off and try again.
    #[error("broker {system} is unavailable: {reason}")]
    Unavailable {
        /// The driver.
        system: &'static str,
        /// What it said.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Drop the work: the message went to somebody else.
    #[error("the lease of message {} in queue {queue:?} was lost", .receipt.message)]
    LeaseLost {
        /// The queue.
        queue: String,
        /// The receipt that is worth nothing any more.
        receipt: Receipt,
    },
    /// Refuse the message.
    #[error(
        "a message of {bytes} bytes is over the limit of {allowed} (fixed); send less, or a reference to the data"
    )]
    TooLarge {
        /// Size of the body.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// Fail the start.
    #[error("broker {system} cannot be used: {reason}")]
    Misconfigured {
        /// The driver.
        system: &'static str,
        /// Why, and what to do.
        reason: String,
    },
}

/// A broker. Methods may be called from many tasks at once.
#[async_trait]
pub trait Broker: Debug + Send + Sync {
    /// Returns what is particular about this driver.
    fn profile(&self) -> Profile;

    /// Publishes messages: all of them or, on an error, perhaps some.
    ///
    /// # Errors
    /// [`BrokerError::TooLarge`], [`BrokerError::Unavailable`].
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError>;

    /// Makes queues that are missing, and lets what is published to their exchanges reach
    /// them: whoever publishes after that loses nothing. Where nobody has to, it does
    /// nothing.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`], [`BrokerError::Misconfigured`].
    async fn prepare(&self, _queues: &[String]) -> Result<(), BrokerError> {
        Ok(())
    }

    /// Takes at most `max` messages, 9-priority first and oldest first, waiting
    /// until there is at least one. After [`IDLE`] without any it returns none,
    /// so that its caller sees a round trip. Cancel-safe: a message is either
    /// returned or still in the queue (at the latest when its lease lapses).
    ///
    /// What waits in this process of other queues than these goes back to them; without
    /// any queue that is all, and it returns none at once.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn fetch(&self, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError>;

    /// Extends leases by [`Profile::lease`] from now, and returns those that
    /// were lost already.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, BrokerError>;

    /// Ends a delivery. What does not end here goes on with the queue and the message that
    /// the delivery has by now.
    ///
    /// # Errors
    /// [`BrokerError::LeaseLost`] when somebody else has the message by now,
    /// [`BrokerError::Unavailable`].
    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BrokerError>;

    /// Waits until the broker is known to have what a delivery was settled with, for
    /// whoever must not see its message again. Nothing to do where settling is answered.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`]: nobody knows.
    async fn confirm(&self, _delivery: &Delivery) -> Result<(), BrokerError> {
        Ok(())
    }

    /// Sends a message to a queue that a caller made for itself. Where the queue is
    /// gone, so is the caller, and the message goes nowhere.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`]; [`BrokerError::Misconfigured`] where callers
    /// have no such queues.
    async fn reply(&self, to: &str, message: Message) -> Result<(), BrokerError>;

    /// Counts the messages of a queue.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError>;

    /// Counts the messages of every queue the driver knows of, by name.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn queues(&self) -> Result<Vec<(String, Depth)>, BrokerError>;

    /// Returns the newest dead letters of a queue, at most `max`.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn dead_letters(&self, queue: &str, max: usize) -> Result<Vec<DeadLetter>, BrokerError>;

    /// Looks for the message of a task in the queues that the driver knows and in
    /// `queues`, without taking it.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn find(&self, _id: &str, _queues: &[String]) -> Result<Looked, BrokerError> {
        Ok(Looked::nowhere())
    }

    /// Makes ready at once what is due until `until`: whoever takes such a message looks
    /// by itself whether it is too early. Returns how many those were; where
    /// [`Profile::wakes`] says that it cannot, it does nothing.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn wake(&self, _queue: &str, _until: Timestamp) -> Result<u64, BrokerError> {
        Ok(0)
    }

    /// Removes messages of a queue, at most those that were there at the beginning, and
    /// returns how many; what runs is left alone. Where [`Depth::parked`] is not known,
    /// what is not due is left as well.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`].
    async fn purge(&self, queue: &str, what: Purge) -> Result<u64, BrokerError>;
}
