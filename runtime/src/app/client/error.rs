//! What can go wrong for whoever calls a task.

use super::CALLS;
use crate::app::StartError;
use crate::broker::BrokerError;
use crate::bus::BusError;
use crate::config::ConfigError;
use crate::results::ResultsError;
use crate::task::{Exception, State};
use crate::worker::revocations::RevokeError;

/// Why a client could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The broker or the results cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The broker; what was published may have been sent all the same.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Replies cannot be heard, so nothing was sent.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Workers were not told.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A revocation was not recorded.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// No queue has such a name.
    #[error("queue {queue:?}: {reason}")]
    Queue {
        /// The name.
        queue: String,
        /// What is wrong with it.
        reason: String,
    },
    /// They are too many at once.
    #[error("{count} calls are too many for one group; at most {CALLS} are sent at once (fixed)")]
    TooMany {
        /// How many they are.
        count: usize,
    },
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallFailed {
    /// The task failed, with this exception.
    #[error("{}: {}", .0.class, .0.message)]
    Failed(Exception),
    /// The task was revoked, or expired.
    #[error("revoked: {}", .0.message)]
    Revoked(Exception),
    /// It is not over; it goes on.
    #[error("the task is not over yet ({}); it goes on", .state.as_ref().map_or("PENDING", State::as_str))]
    TimedOut {
        /// Its last known state; `None` where nothing is stored.
        state: Option<State>,
    },
    /// No results are kept that could be waited for, and it was not called from here.
    #[error("no results are kept here; name the result backend that the workers use")]
    NoResults,
    /// What is stored as its result is no JSON.
    #[error("the result of the task is no JSON")]
    Unreadable,
    /// The result backend does not answer.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

impl CallFailed {
    /// Returns the exception of the task, where there is one.
    #[must_use]
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            Self::Failed(exception) | Self::Revoked(exception) => Some(exception),
            Self::TimedOut { .. } | Self::NoResults | Self::Unreadable | Self::Results(_) => None,
        }
    }
}
