//! What the guest did: the data an attempt ends with.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Says how one attempt ended, as seen from outside the sandbox.
///
/// Deciding what follows from it (a retry, a dead letter, an acknowledgement)
/// is not the sandbox's business.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The guest returned a result: exactly one JSON value in UTF-8, nested at
    /// most 128 deep, within the limit of [`Limits::result_bytes`](crate::Limits).
    Returned(#[serde(with = "crate::octets")] Bytes),
    /// The guest returned something that is not one JSON value.
    BadResult {
        /// What is wrong with it, with the position.
        reason: String,
    },
    /// The guest reported a failure.
    Failed(Failure),
    /// The guest asked for another attempt.
    Retry(Retry),
    /// The guest refused the message.
    Reject(Rejection),
    /// The guest asked to store nothing.
    Ignore,
    /// The guest noticed an interruption and unwound by itself.
    Interrupted {
        /// The reason the guest gave.
        claimed: Interruption,
        /// The interruption the host had raised; `None` means the guest's claim
        /// is made up.
        raised: Option<Interruption>,
    },
    /// A limit ended the attempt.
    LimitHit(LimitHit),
    /// The guest trapped.
    Trapped(Trap),
    /// The guest called `exit` instead of returning.
    Exited {
        /// The status it gave: 0 for success, else 1.
        code: i32,
    },
}

impl Outcome {
    /// Returns the result of a guest that returned one.
    #[must_use]
    pub fn result(&self) -> Option<&Bytes> {
        match self {
            Self::Returned(result) => Some(result),
            Self::BadResult { .. }
            | Self::Failed(_)
            | Self::Retry(_)
            | Self::Reject(_)
            | Self::Ignore
            | Self::Interrupted { .. }
            | Self::LimitHit(_)
            | Self::Trapped(_)
            | Self::Exited { .. } => None,
        }
    }
}

/// A failure in the guest's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable class, such as `ValueError`.
    pub kind: String,
    /// One text for people.
    pub message: String,
    /// A trace for people.
    pub trace: Option<String>,
    /// The guest's opinion on another attempt; `None` leaves it to the policy.
    pub retryable: Option<bool>,
}

/// A wish for another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Time until then; `None` takes the policy's backoff.
    pub countdown: Option<Duration>,
    /// Retries after which to give up; may only lower the policy's number.
    pub max_retries: Option<u32>,
    /// Why, and what the caller sees when no retry is left.
    pub reason: Failure,
}

/// A refusal of the message itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Whether the broker should have it back.
    pub requeue: bool,
    /// Why.
    pub reason: String,
}

/// Why a guest is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interruption {
    /// The soft time limit has passed.
    SoftLimit,
    /// The task was revoked.
    Cancelled,
    /// The worker is draining.
    Shutdown,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SoftLimit => "soft time limit",
            Self::Cancelled => "cancelled",
            Self::Shutdown => "worker shutdown",
        })
    }
}

/// Names the limits that can end an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Time from start to end.
    Wall,
    /// CPU time of the threads that ran the guest.
    Cpu,
    /// Sum of all linear memories and tables, bytes.
    Memory,
    /// Size of the result, bytes.
    Result,
    /// Size of the arguments, bytes.
    Arguments,
    /// Depth of the guest's stack, bytes.
    Stack,
    /// Bytes a guest may hand to one host call.
    HostCall,
}

impl Limit {
    /// Returns the name people and metrics use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "time",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Result => "result",
            Self::Arguments => "arguments",
            Self::Stack => "stack",
            Self::HostCall => "host call",
        }
    }
}

/// Tells which limit ended an attempt, its value, and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// The limit.
    pub limit: Limit,
    /// Its value: milliseconds for [`Limit::Wall`] and [`Limit::Cpu`], else bytes.
    pub allowed: u64,
    /// What the guest used or asked for, in the same unit, where it is known.
    pub wanted: Option<u64>,
}

/// A trap: the guest's code did what no code may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// A stable name, such as `unreachable-code-reached` or
    /// `integer-division-by-zero`; `host-call` where a call between guest and
    /// host broke the contract.
    pub code: String,
    /// The panic's text where the guest told it, else the engine's words.
    pub message: String,
    /// Whether `message` is the text of a panic.
    pub panicked: bool,
    /// Names of the guest's functions, innermost first, at most 20.
    pub frames: Vec<String>,
}
