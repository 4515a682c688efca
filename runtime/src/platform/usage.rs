//! What tenants used, by day, module and task: workers tell it in batches, each of which
//! counts once however often it is told.

mod check;
mod count;
mod read;

pub(super) use count::put_aside;
pub use read::UsageQuery;

use super::{Platform, PlatformError};
use crate::plane::UsageBatch;
use crate::sql::SqlError;
use async_trait::async_trait;
use std::fmt::Debug;
use std::time::Duration;

/// Days that what was used is kept (400): a year, and time to look at it.
pub const USAGE_KEPT: i64 = 400;
/// Most tasks of a tenant that are told apart in a day (10,000); the rest counts together.
pub const USAGE_NAMES: i64 = 10_000;
/// How long it is remembered which batch of a worker was the last (7 days): nobody tells
/// one again that was counted so long ago.
pub const TELLERS_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Most workers whose last batch is remembered (100,000); the oldest go.
pub const TELLERS: i64 = 100_000;
/// Most entries of one page of what was used (1,000).
pub const USAGE_PAGE: u32 = 1_000;

/// Whoever keeps what workers used.
#[async_trait]
pub trait Books: Debug + Send + Sync {
    /// Counts a batch, once, however often it is told.
    ///
    /// # Errors
    /// [`Uncounted`]; whether a batch was counted that is told again later makes no
    /// difference.
    async fn count(&self, batch: &UsageBatch) -> Result<(), Uncounted>;
}

/// Why nobody said that a batch is counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Uncounted {
    /// Tell it again later.
    #[error("{reason}")]
    Away {
        /// What is in the way.
        reason: String,
    },
    /// Give it up: it is never taken as it is.
    #[error("{reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
}

#[async_trait]
impl Books for Platform {
    async fn count(&self, batch: &UsageBatch) -> Result<(), Uncounted> {
        let counted = self.count_usage(batch).await;
        counted.map(drop).map_err(|error| {
            let reason = error.to_string();
            match error {
                PlatformError::Wrong { .. } | PlatformError::Sql(SqlError::Refused { .. }) => {
                    Uncounted::Refused { reason }
                }
                PlatformError::NotFound { .. }
                | PlatformError::Exists { .. }
                | PlatformError::Full { .. }
                | PlatformError::Refused { .. }
                | PlatformError::Sql(_)
                | PlatformError::Random { .. } => Uncounted::Away { reason },
            }
        })
    }
}
