//! Why a request about a task is not done, by what its caller does next.

use crate::app::client::ClientError;
use crate::broker::BrokerError;
use crate::bus::BusError;
use crate::platform::PlatformError;
use crate::policy::arguments::Unfit;
use crate::registry::RegistryError;
use crate::results::ResultsError;
use crate::task::TenantName;
use crate::worker::revocations::RevokeError;

/// Most characters of a stranger's text that are repeated to it.
const ECHO: usize = 200;

/// Why a request about a task is not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallRefused {
    /// There is no such thing, or none of this tenant.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// What was looked for: a task, a tenant.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A member of the request says what cannot be.
    #[error("{field} is {value}: {reason}")]
    Invalid {
        /// The member.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// The arguments are not what the task takes.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It must not run.
    #[error("{reason}")]
    Killed {
        /// What is killed, and why.
        reason: String,
    },
    /// The tenant is suspended.
    #[error("tenant \"{tenant}\" is suspended")]
    Suspended {
        /// The tenant.
        tenant: TenantName,
    },
    /// As many messages wait as may.
    #[error("{waiting} messages wait in queue {queue:?}, of {most} that may")]
    QueueFull {
        /// The queue.
        queue: String,
        /// How many wait.
        waiting: u64,
        /// How many may.
        most: u64,
    },
    /// The idempotency key stands for another request.
    #[error("the idempotency key {key:?} stands for another request")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// There are as many of something as there can be.
    #[error("{reason}")]
    Full {
        /// What there is most of, and what to do.
        reason: String,
    },
    /// As many requests wait for tasks as may.
    #[error("{waiting} requests wait for tasks {whose}, and there may be no more")]
    TooManyWaiting {
        /// How many wait.
        waiting: usize,
        /// Whose they are.
        whose: &'static str,
    },
    /// Nothing is kept that could be told.
    #[error("no results are kept that could be told here")]
    NoResults,
    /// The tenant's broker or results cannot be used as they are configured.
    #[error("the broker or results of tenant \"{tenant}\" cannot be used")]
    Misconfigured {
        /// The tenant.
        tenant: TenantName,
        /// Why, for the log alone.
        detail: String,
    },
    /// The message is larger than any may be.
    #[error("the arguments have {bytes} bytes, of {most} that a message may have")]
    TooLarge {
        /// Their size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// Something does not answer: try again.
    #[error("{what} does not answer")]
    Away {
        /// What it is.
        what: &'static str,
        /// What it said, for the log alone.
        detail: String,
    },
    /// A bug, or a database that a person must mend.
    #[error("the server could not do this")]
    Broken {
        /// What happened, for the log alone.
        detail: String,
    },
}

impl CallRefused {
    pub(super) fn no_task(id: &str) -> Self {
        Self::NotFound {
            kind: "task",
            name: id.chars().take(ECHO).collect(),
        }
    }

    pub(super) fn invalid(field: &'static str, value: &str, reason: impl Into<String>) -> Self {
        let value: String = value.chars().take(ECHO).collect();
        Self::Invalid {
            field,
            value: format!("{value:?}"),
            reason: reason.into(),
        }
    }

    fn broken(error: &impl ToString) -> Self {
        Self::Broken {
            detail: error.to_string(),
        }
    }

    fn away(what: &'static str, error: &impl ToString) -> Self {
        Self::Away {
            what,
            detail: error.to_string(),
        }
    }
}

impl From<PlatformError> for CallRefused {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::NotFound { kind, name } => Self::NotFound { kind, name },
            PlatformError::Full { .. } => Self::Full {
                reason: error.to_string(),
            },
            PlatformError::Sql(error) => Self::away("the database", &error),
            PlatformError::Exists { .. }
            | PlatformError::Wrong { .. }
            | PlatformError::Refused { .. }
            | PlatformError::Random { .. } => Self::broken(&error),
        }
    }
}

impl From<RegistryError> for CallRefused {
    fn from(error: RegistryError) -> Self {
        Self::away("the database", &error)
    }
}

impl From<ClientError> for CallRefused {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Queue { queue, reason } => Self::invalid("queue", &queue, reason),
            ClientError::Broker(error) => error.into(),
            ClientError::Results(error) => error.into(),
            ClientError::Bus(error) => error.into(),
            ClientError::Revoke(error) => error.into(),
            ClientError::Config(_) | ClientError::Start(_) | ClientError::TooMany { .. } => {
                Self::broken(&error)
            }
        }
    }
}

impl From<BrokerError> for CallRefused {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::TooLarge { bytes, allowed } => Self::TooLarge {
                bytes,
                most: allowed,
            },
            BrokerError::Unavailable { .. } | BrokerError::Misconfigured { .. } => {
                Self::away("the broker", &error)
            }
            BrokerError::LeaseLost { .. } => Self::broken(&error),
        }
    }
}

impl From<ResultsError> for CallRefused {
    fn from(error: ResultsError) -> Self {
        Self::away("the result backend", &error)
    }
}

impl From<BusError> for CallRefused {
    fn from(error: BusError) -> Self {
        Self::away("the broker", &error)
    }
}

impl From<RevokeError> for CallRefused {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Results(error) => error.into(),
            RevokeError::TooMany { .. } | RevokeError::Stamp { .. } => Self::broken(&error),
        }
    }
}
