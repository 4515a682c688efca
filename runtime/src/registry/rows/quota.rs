//! How many bytes the modules of a tenant have, and how many they may.
//!
//! It is looked at within the push's own transaction: of two that come at once the second
//! sees what the first took.

use super::{Publish, number};
use crate::sql::{Kind, Line, Value};
use crate::task::Quota;

/// Bytes of the components that a tenant's kept versions name, each once: those that run,
/// those to roll back to, pinned ones and canaries.
const KEPT: &str = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM components \
     WHERE digest IN (SELECT digest FROM versions WHERE tenant = $1)";
/// Whether one of them is this one.
const KNOWN: &str = "SELECT count(*) FROM versions WHERE tenant = $1 AND digest = $2";
/// What the control plane lets a tenant have.
const TERMS: &str = "SELECT quota FROM tenants WHERE name = $1";

/// A push that its tenant has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Over {
    /// Bytes of all kept versions.
    pub(in crate::registry) kept: u64,
    /// Bytes that the push adds.
    pub(in crate::registry) adds: u64,
    /// The quota.
    pub(in crate::registry) most: u64,
}

/// Tells whether a push would be more than its tenant may keep. A component that a kept
/// version names already adds nothing.
pub(super) async fn over(line: &mut Line<'_>, push: &Publish) -> Result<Option<Over>, sqlx::Error> {
    let Some(most) = most(line, push).await? else {
        return Ok(None);
    };
    let tenant = || Value::text(push.tenant.as_str());
    let known = vec![tenant(), Value::text(&push.digest.hex())];
    if count(line, KNOWN, known).await? > 0 {
        return Ok(None);
    }
    let kept = count(line, KEPT, vec![tenant()]).await?;
    let over = kept.saturating_add(number(push.bytes)) > number(most);
    Ok(over.then_some(Over {
        kept: kept.unsigned_abs(),
        adds: push.bytes,
        most,
    }))
}

/// The lower of what the configuration and the tenant's row say; a tenant that is only in
/// the configuration has no row.
async fn most(line: &mut Line<'_>, push: &Publish) -> Result<Option<u64>, sqlx::Error> {
    let tenant = vec![Value::text(push.tenant.as_str())];
    let rows = line.rows(TERMS, tenant, &[Kind::Text]).await?;
    let written = rows.into_iter().next().and_then(|mut row| row.text());
    let quota = written.map(|text| serde_json::from_str::<Quota>(&text));
    // A quota that cannot be read is not one that does not bind.
    let quota = quota.transpose();
    let quota = quota.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let rows = quota.and_then(|quota| quota.module_bytes);
    Ok(rows.into_iter().chain(push.most).min())
}

async fn count(line: &mut Line<'_>, sql: &str, values: Vec<Value>) -> Result<i64, sqlx::Error> {
    let rows = line.rows(sql, values, &[Kind::Int]).await?;
    let number = rows.into_iter().next().and_then(|mut row| row.int());
    number.ok_or(sqlx::Error::RowNotFound)
}
