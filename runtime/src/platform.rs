//! Who may use this installation, on what terms, who changed what, and what was used:
//! tenants, their tokens, the audit and the bill.
//!
//! It knows neither HTTP nor modules. Each change writes its audit row in the same
//! transaction, so that none is there without the other.

mod address;
pub mod audit;
pub mod broker;
mod error;
mod idempotency;
mod issued;
mod random;
mod tenant;
mod tenants;
pub mod tokens;
mod usage;

pub use audit::{Actor, AuditQuery, AuditRow, Entry};
pub use error::PlatformError;
pub use idempotency::{CallKey, Claim, ClaimEnd, KEY_BYTES, KEY_KEPT, KEYS, LEASE};
pub use issued::Issuer;
pub use tenant::{Tenant, Terms};
pub use tenants::{PAGE, TENANTS};
pub use tokens::{Identity, NewToken, Token, TokenId, TokenTerms, TokenText, Unauthenticated};
pub use usage::{
    Books, TELLERS, TELLERS_KEPT, USAGE_KEPT, USAGE_NAMES, USAGE_PAGE, Uncounted, UsageQuery,
};

use crate::clock::Clock;
use crate::sql::{Kind, Link, Row, Sql, SqlError};
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use tokens::Cache;

/// The tables of tenants, tokens and audit, in the one database of the registry. A cheap
/// handle.
#[derive(Clone)]
pub struct Platform {
    sql: Sql,
    clock: Clock,
    cache: Arc<Cache>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("sql", &self.sql)
            .finish_non_exhaustive()
    }
}

impl Platform {
    /// Opens the tables; with Postgres they are made where they are missing.
    ///
    /// # Errors
    /// [`PlatformError::Sql`] when the database is away, or is not ours.
    pub async fn open(sql: Sql, clock: Clock) -> Result<Self, PlatformError> {
        sql.migrate(&clock).await?;
        Ok(Self {
            sql,
            clock,
            cache: Arc::default(),
        })
    }

    /// Returns a number that moves with every change of a tenant.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn generation(&self) -> Result<i64, PlatformError> {
        let read = async |link: &mut Link| generation(link).await;
        Ok(self.sql.transaction(false, read).await?)
    }

    /// The moment it is, as exact as the tables hold it.
    fn now(&self) -> Timestamp {
        let ms = self.clock.now_ms();
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }
}

/// Reads the generation.
async fn generation(link: &mut Link) -> Result<i64, SqlError> {
    let sql = "SELECT generation FROM platform WHERE id = 1";
    number(link.rows(sql, Vec::new(), &[Kind::Int]).await?)
}

/// Keeps other changes away until this one is done, and moves the generation by `steps`.
async fn begin_change(link: &mut Link, steps: i64) -> Result<(), SqlError> {
    let sql = "UPDATE platform SET generation = generation + $1 WHERE id = 1";
    link.execute(sql, vec![steps.into()]).await?;
    Ok(())
}

/// Reads the one number of an answer.
fn number(rows: Vec<Row>) -> Result<i64, SqlError> {
    let number = rows.into_iter().next().and_then(|mut row| row.int());
    number.ok_or_else(|| SqlError::Misconfigured {
        reason: "the tables of the platform are incomplete; restore the database".to_owned(),
    })
}
