//! Why a task is asked to stop, and the error that carries it up through `?`.

use std::fmt;

/// Tells why a task is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interruption {
    /// The soft time limit has passed; the hard limit will end the attempt.
    SoftLimit,
    /// The task was revoked.
    Cancelled,
    /// The worker is draining: finish soon, or ask for a retry.
    Shutdown,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SoftLimit => "the soft time limit has passed",
            Self::Cancelled => "the task was revoked",
            Self::Shutdown => "the worker is shutting down",
        })
    }
}

/// The error of a call that was cut short because the task is asked to stop.
///
/// Passed up with `?`, even through a function's own error type that keeps it as `TaskError`, it
/// ends the attempt as "interrupted" rather than as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interrupted(
    /// The reason.
    pub Interruption,
);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted: {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

impl From<crate::bindings::celeriac::task::types::Interruption> for Interruption {
    fn from(value: crate::bindings::celeriac::task::types::Interruption) -> Self {
        use crate::bindings::celeriac::task::types::Interruption as Wire;
        match value {
            Wire::SoftLimit => Self::SoftLimit,
            Wire::Cancelled => Self::Cancelled,
            Wire::Shutdown => Self::Shutdown,
        }
    }
}

impl From<Interruption> for crate::bindings::celeriac::task::types::Interruption {
    fn from(value: Interruption) -> Self {
        match value {
            Interruption::SoftLimit => Self::SoftLimit,
            Interruption::Cancelled => Self::Cancelled,
            Interruption::Shutdown => Self::Shutdown,
        }
    }
}
