//! What a guest wants sent: checked for shape, size and grant here, named and
//! published by whoever runs the sandbox.

mod outbox;
mod signature;

pub(crate) use outbox::{Draft, Outbox, Step};
pub(crate) use signature::tasks as tasks_of;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

/// Tasks one attempt may send, those of signatures included (100): enough for a
/// fan-out, too few for a fork bomb. A larger fan-out is a tree of tasks.
pub const SUBMITS: u32 = 100;
/// Bytes of all jobs that an attempt holds at once, in the making and for its
/// success (16 MiB): they are in the host's memory.
pub const HELD_BYTES: u64 = 16 << 20;
/// Longest name of a task, bytes.
pub const TASK_BYTES: usize = 512;
/// Longest name of a queue, bytes: the limit of AMQP.
pub const QUEUE_BYTES: usize = 255;
/// Longest idempotency key, bytes.
pub const KEY_BYTES: usize = 255;
/// Headers of one job (32): they travel with the message and into its attempt.
pub const HEADERS: usize = 32;
/// Longest name of a header, bytes.
pub const HEADER_NAME_BYTES: usize = 128;
/// Longest value of a header, bytes: a guest can read no longer one.
pub const HEADER_BYTES: usize = 4 << 10;

/// When something is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// At once.
    Now,
    /// With the result, and only if the attempt succeeds.
    OnSuccess,
}

/// A call of one task that a guest wants sent. Sizes are checked and the
/// arguments are JSON of the right kind; whether there is such a task is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The full name of the task.
    pub task: String,
    /// A JSON array.
    #[serde(with = "crate::octets")]
    pub args: Bytes,
    /// A JSON object.
    #[serde(with = "crate::octets")]
    pub kwargs: Bytes,
    /// The queue, where the guest named one.
    pub queue: Option<String>,
    /// Not before this time has passed.
    pub countdown: Option<Duration>,
    /// Not after this time has passed.
    pub expires: Option<Duration>,
    /// 0 to 9, 9 first.
    pub priority: Option<u8>,
    /// Jobs with one key are one.
    pub key: Option<String>,
    /// Headers of the guest's own.
    pub headers: BTreeMap<String, String>,
}

/// A signature document that a guest wants applied. Its form is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The JSON object, as the guest wrote it.
    #[serde(with = "crate::octets")]
    pub json: Bytes,
    /// The names of the tasks in it, each time it is named: at most [`SUBMITS`].
    pub tasks: Vec<String>,
}

/// Something a guest wants sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// One task.
    Job(Job),
    /// Whatever a signature describes.
    Signature(Signature),
}

impl Wish {
    /// Returns how many tasks it counts as.
    #[must_use]
    pub fn count(&self) -> u32 {
        match self {
            Self::Job(_) => 1,
            Self::Signature(signature) => u32::try_from(signature.tasks.len()).unwrap_or(u32::MAX),
        }
    }

    /// Returns the bytes that the guest handed over for it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Job(job) => job.bytes(),
            Self::Signature(signature) => signature.json.len() as u64,
        }
    }
}

impl Job {
    fn bytes(&self) -> u64 {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        let texts = self.task.len()
            + self.queue.as_ref().map_or(0, String::len)
            + self.key.as_ref().map_or(0, String::len);
        (self.args.len() + self.kwargs.len() + headers + texts) as u64
    }
}

/// What waits for the success of its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The id that the guest was told.
    pub id: String,
    /// What is to be sent.
    pub wish: Wish,
    /// Its number among what the attempt submitted, from 0.
    pub index: u32,
}

/// Everything an attempt submitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The ids of all of it, in order: sent already, or waiting.
    pub ids: Vec<String>,
    /// What waits for the attempt's success.
    pub on_success: Vec<Submission>,
    /// What takes over the attempt's own work, if the attempt ends by
    /// [`Outcome::Ignore`](crate::Outcome::Ignore).
    pub replacement: Option<Signature>,
}

/// Why something is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubmitError {
    /// There is no grant for it, or it cannot be understood; the text says which.
    Denied(String),
    /// There is no such task.
    UnknownTask,
    /// Enough was submitted; the text says how much that is.
    QuotaExceeded(String),
    /// It is over a limit of size; the text says which, and what raises it.
    TooLarge(String),
    /// It cannot be published just now; the text says why.
    Unavailable(String),
}

impl SubmitError {
    /// More tasks than one attempt may send.
    #[must_use]
    pub fn too_many(tasks: u32) -> Self {
        Self::QuotaExceeded(format!(
            "it would be {tasks} tasks of this attempt; one attempt sends at most {SUBMITS} (fixed)"
        ))
    }

    /// More bytes than are held for one attempt.
    #[must_use]
    pub fn too_much() -> Self {
        Self::TooLarge(format!(
            "what an attempt has in the making and for its success has at most {HELD_BYTES} bytes together (fixed)"
        ))
    }

    /// Something is longer than it may ever be.
    pub(crate) fn too_long(what: &str, bytes: usize, most: usize) -> Self {
        Self::TooLarge(format!(
            "{what} has {bytes} bytes; at most {most} are allowed (fixed)"
        ))
    }

    /// Arguments, or a whole signature, over the limit of arguments.
    pub(crate) fn arguments(what: &str, bytes: u64, most: u64) -> Self {
        Self::TooLarge(format!(
            "{what} {bytes} bytes; limits.arguments allows {most}"
        ))
    }

    /// What its author reads in the log of the attempt: the guest is told no more than
    /// which kind it is.
    pub(crate) fn note(&self) -> Option<&str> {
        match self {
            Self::Denied(reason) | Self::QuotaExceeded(reason) | Self::TooLarge(reason) => {
                Some(reason)
            }
            Self::UnknownTask | Self::Unavailable(_) => None,
        }
    }
}

/// What a [`Sender`] answers with.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<String, SubmitError>> + Send + 'a>>;

/// Takes over what a guest submits, while the guest waits.
pub trait Sender: Debug + Send + Sync {
    /// Gives a wish its id, and publishes it if it is to be sent now. What is to
    /// be sent on success is only looked at; it comes back in the report. A wait
    /// counts as time of the attempt.
    ///
    /// `index` is the number of the wish among those of the attempt, from 0.
    fn send<'a>(&'a self, wish: &'a Wish, when: When, index: u32) -> Sending<'a>;

    /// Looks at what is to take over the attempt's own work.
    fn replace<'a>(&'a self, signature: &'a Signature) -> Sending<'a>;
}
