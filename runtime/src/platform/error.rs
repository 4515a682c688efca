//! Trouble of the platform, by what the caller does next.

use crate::sql::SqlError;
use crate::task::TenantName;

/// Trouble of the platform.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// There is no such thing, or none that the caller may know of.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// What was looked for: a tenant, a token.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Take another name.
    #[error("there is a tenant \"{tenant}\" already")]
    Exists {
        /// The name.
        tenant: TenantName,
    },
    /// Give another value.
    #[error("{field}: {reason}")]
    Wrong {
        /// The field, as it is called in JSON.
        field: &'static str,
        /// What is wrong with the value, and what is allowed.
        reason: String,
    },
    /// Remove some first.
    #[error("there are {most} {kind} already, which is the most; {remedy}")]
    Full {
        /// What there is most of.
        kind: &'static str,
        /// How many there may be.
        most: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// Do something else first.
    #[error("{reason}")]
    Refused {
        /// What stands against it, and what to do.
        reason: String,
    },
    /// Try again, or call a person: see the database's own error.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Call a person: the system has no random numbers.
    #[error("no random numbers for a secret: {source}")]
    Random {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl PlatformError {
    pub(super) fn no_tenant(name: &TenantName) -> Self {
        Self::NotFound {
            kind: "tenant",
            name: name.to_string(),
        }
    }
}
