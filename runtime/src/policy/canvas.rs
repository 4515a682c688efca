//! What follows from the end of a task: callbacks, the next of its chain, its part of a
//! chord, errbacks. Planned here, carried out by the worker.
//!
//! Every id that is made here derives from who sends and how many were made before, so
//! that a plan which is made again is the same plan.

mod broken;
mod ending;
mod freeze;
mod guest;
mod options;
mod sending;
mod steps;
#[cfg(test)]
mod tests;
mod unlock;

pub use ending::{
    Embed, Ended, Unjoined, after_chord, after_failure, after_revoke, after_success, joined,
};
pub use freeze::leaf;
pub use guest::{replacing, submitted};
pub use options::{Options, When};
pub use sending::sent;
pub use unlock::{Unlock, UnlockError, unlocking};

use crate::task::{Exception, Json, SignatureError};

/// Most messages that follow from one task: ten times the largest group that is common,
/// and few enough to be published while a lease lasts.
pub const MESSAGES: usize = 100_000;
/// Deepest nesting of signatures in signatures: each level is one call deep here.
pub const DEPTH: usize = 64;
/// Most levels that a byte of what follows a task may stand deep, in arrays and objects, on
/// average (16), beside [`AROUND`]: each level is read by itself, and signatures within
/// signatures to the depth of 64 would cost the worker a second for each megabyte.
pub const LEVELS: u64 = 16;
/// Bytes times levels that are taken all the same (32 Mi): three hundred callbacks, each of
/// the one before, are as much.
pub const AROUND: u64 = 32 << 20;

/// Tells whether most of a text is nested deeper than anybody reads.
fn is_heavy(text: &str) -> bool {
    let most = AROUND.saturating_add((text.len() as u64).saturating_mul(LEVELS));
    Json::is_heavy(text, most)
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The task.
    pub id: String,
    /// The first task of its workflow.
    pub root: String,
    /// What makes its ids unlike those of other attempts and moments.
    pub seed: String,
}

/// A task to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// Its id.
    pub id: String,
    /// Its name.
    pub task: String,
    /// Arguments that come before its own.
    pub before: Vec<Json>,
    /// A JSON array: its own arguments.
    pub args: Json,
    /// A JSON object.
    pub kwargs: Json,
    /// The first task of the workflow.
    pub root: String,
    /// Who sends it.
    pub parent: String,
    /// The group it belongs to.
    pub group: Option<String>,
    /// Its place in that.
    pub group_index: Option<i64>,
    /// Signatures to send with its result.
    pub callbacks: Vec<Json>,
    /// Signatures to send when it fails.
    pub errbacks: Vec<Json>,
    /// The rest of its chain, the next one last.
    pub chain: Vec<Json>,
    /// The body of the chord it is a part of.
    pub chord: Option<Json>,
    /// How it is to be sent.
    pub options: Options,
}

impl Send {
    /// Returns what follows it.
    #[must_use]
    pub fn into_embed(self) -> Embed {
        Embed {
            callbacks: self.callbacks,
            errbacks: self.errbacks,
            chain: self.chain,
            chord: self.chord,
        }
    }
}

/// A chord whose header is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The id of its group.
    pub group: String,
    /// How many parts it waits for.
    pub size: u64,
    /// Celery's tuple of the results.
    pub results: Json,
    /// Whether some of the results are groups.
    pub is_nested: bool,
    /// What gets the results.
    pub body: Json,
}

/// A task that will never run, and fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its id.
    pub id: String,
    /// Its name.
    pub task: String,
    /// What it fails with.
    pub exception: Exception,
    /// The group it belongs to.
    pub group: Option<String>,
    /// Where an `rpc://` client waits.
    pub reply_to: Option<String>,
}

/// A part of a chord that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The group of the chord.
    pub group: String,
    /// Its place in that.
    pub index: Option<i64>,
    /// The task.
    pub id: String,
    /// What it returned, or its state and what it failed with.
    pub end: Result<Json, (&'static str, Exception)>,
    /// The body.
    pub body: Json,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Chords to be announced.
    pub expected: Vec<Expected>,
    /// Results to be stored.
    pub failures: Vec<Failure>,
    /// Messages to be published.
    pub sends: Vec<Send>,
    /// Parts to be counted.
    pub parts: Vec<Part>,
    /// Celery's tuples of the tasks that were sent.
    pub children: Vec<Json>,
}

impl Plan {
    /// Tells whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            expected,
            failures,
            sends,
            parts,
            children: _,
        } = self;
        expected.is_empty() && failures.is_empty() && sends.is_empty() && parts.is_empty()
    }
}

/// Why a signature cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanvasError {
    /// It is none.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A part of it is missing or of another shape.
    #[error("{0} of a signature is missing or of a wrong shape")]
    Shape(&'static str),
    /// An option of it is of a wrong type.
    #[error("the option {name} is {value}; it must be {wanted}")]
    Option {
        /// Its name.
        name: &'static str,
        /// Its value, the beginning of it.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// There is nowhere to bring the parts of a chord together.
    #[error(
        "chords need a result backend that brings their parts together; name one with --result-backend (not rpc:// nor disabled://)"
    )]
    NoBackend,
    /// It is nested too deep.
    #[error("signatures are nested more than {DEPTH} deep (fixed); make them flatter")]
    Deep,
    /// So much of it is nested that reading it would take long.
    #[error(
        "what is to follow stands more than {LEVELS} levels deep on average (fixed); make its signatures flatter"
    )]
    Heavy,
    /// No broker takes its message.
    #[error(
        "the message of {task} would have {bytes} bytes with what follows it; {allowed} are allowed (fixed): pass references instead of data"
    )]
    TooLarge {
        /// The task.
        task: String,
        /// Bytes of its arguments and of what follows it.
        bytes: u64,
        /// The limit.
        allowed: u64,
    },
    /// It stands for too many messages.
    #[error("more than {MESSAGES} messages would follow (fixed); send them in several groups")]
    Many,
}

impl CanvasError {
    /// Returns what the caller of the task sees.
    #[must_use]
    pub fn exception(&self) -> Exception {
        Exception::new("celeriac", "InvalidSignature", self.to_string())
    }
}
