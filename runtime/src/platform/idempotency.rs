//! Idempotency keys: a caller that does not know whether its call arrived makes it again
//! with the same key, and there is one task.
//!
//! The id of the task is stored before the task is sent. Whoever stored it has the claim
//! to send it; should they vanish in between, the claim lapses and the next request sends
//! the same id.

use super::{Platform, PlatformError, number};
use crate::sql::{Kind, Link, Row, SqlError, Value};
use crate::task::{TaskId, TenantName};
use std::fmt;
use std::time::Duration;

/// Longest key, bytes.
pub const KEY_BYTES: usize = 255;
/// How long a key is kept (24 h).
pub const KEY_KEPT: Duration = Duration::from_secs(86_400);
/// Most keys of a tenant (100,000).
pub const KEYS: u64 = 100_000;
/// How long a claim holds (30 s): longer than whoever has it tries to send the task.
pub const LEASE: Duration = Duration::from_secs(30);

/// A key that a caller chose: 1 to 255 visible characters of ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKey(String);

impl CallKey {
    /// Reads a key; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=KEY_BYTES).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A task that is for its claimant to send, now. `again` where another may have sent
    /// it before.
    Ours {
        /// The id of the task.
        id: TaskId,
        /// Whether somebody had the claim before.
        again: bool,
    },
    /// A task that was sent.
    Sent(TaskId),
    /// A task that somebody else is sending: ask again in a moment.
    UnderWay,
    /// The task of another request.
    Other,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimEnd {
    /// The task was sent.
    Sent,
    /// It may have been sent: the next request sends it again, at once.
    Again,
    /// It was refused before it was sent: the key stands for nothing.
    Never,
}

impl Platform {
    /// Claims a key for a request, of which `body` is a digest; `fresh` becomes the id of
    /// its task where the key is new.
    ///
    /// # Errors
    /// [`PlatformError::Full`] where the tenant has [`KEYS`] already,
    /// [`PlatformError::NotFound`] where there is no such tenant, [`PlatformError::Sql`].
    pub async fn claim_call(
        &self,
        tenant: &TenantName,
        key: &CallKey,
        body: &[u8; 32],
        fresh: &TaskId,
    ) -> Result<Claim, PlatformError> {
        let now = self.clock.now_ms();
        let work = async |link: &mut Link| {
            forget_old(link, now).await?;
            // Twice at most: what was not there and cannot be added is there.
            for _ in 0..2 {
                if let Some(known) = find(link, tenant, key).await? {
                    return claim(link, (tenant, key), known, body, now).await;
                }
                if add(link, (tenant, key), body, fresh, now).await? {
                    return Ok(Claim::Ours {
                        id: fresh.clone(),
                        again: false,
                    });
                }
            }
            Ok(Claim::UnderWay)
        };
        self.sql.transaction(true, work).await
    }

    /// Says what became of a claim.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn end_claim(
        &self,
        tenant: &TenantName,
        key: &CallKey,
        end: ClaimEnd,
    ) -> Result<(), PlatformError> {
        let change = match end {
            ClaimEnd::Sent => "UPDATE call_keys SET claimed_at = 0, sent = 1",
            ClaimEnd::Again => "UPDATE call_keys SET claimed_at = 0",
            ClaimEnd::Never => "DELETE FROM call_keys",
        };
        let sql = format!("{change} WHERE tenant = $1 AND key = $2 AND sent = 0");
        let values = vec![Value::text(tenant.as_str()), Value::text(&key.0)];
        let write = async |link: &mut Link| link.execute(&sql, values).await;
        self.sql.transaction(true, write).await?;
        Ok(())
    }
}

/// A key that is there.
struct Known {
    body: Vec<u8>,
    task: String,
    claimed_at: i64,
    is_sent: bool,
}

async fn forget_old(link: &mut Link, now: i64) -> Result<(), SqlError> {
    let old = now.saturating_sub(millis(KEY_KEPT));
    let sql = "DELETE FROM call_keys WHERE created_at <= $1";
    link.execute(sql, vec![old.into()]).await?;
    Ok(())
}

async fn find(
    link: &mut Link,
    tenant: &TenantName,
    key: &CallKey,
) -> Result<Option<Known>, SqlError> {
    let sql = "SELECT body, task, claimed_at, sent FROM call_keys WHERE tenant = $1 AND key = $2";
    let values = vec![Value::text(tenant.as_str()), Value::text(&key.0)];
    let kinds = [Kind::Bytes, Kind::Text, Kind::Int, Kind::Int];
    let rows = link.rows(sql, values, &kinds).await?;
    let known = |mut row: Row| {
        Some(Known {
            body: row.bytes()?,
            task: row.text()?,
            claimed_at: row.int()?,
            is_sent: row.int()? != 0,
        })
    };
    Ok(rows.into_iter().next().and_then(known))
}

/// Takes over the claim on a key that is there, where nobody has it.
async fn claim(
    link: &mut Link,
    (tenant, key): (&TenantName, &CallKey),
    known: Known,
    body: &[u8; 32],
    now: i64,
) -> Result<Claim, PlatformError> {
    if known.body != body {
        return Ok(Claim::Other);
    }
    let id = TaskId::parse(&known.task).map_err(|error| SqlError::Misconfigured {
        reason: format!("a row of call_keys cannot be read: {error}; restore the database"),
    })?;
    if known.is_sent {
        return Ok(Claim::Sent(id));
    }
    if known.claimed_at > now.saturating_sub(millis(LEASE)) {
        return Ok(Claim::UnderWay);
    }
    let sql = "UPDATE call_keys SET claimed_at = $3 \
         WHERE tenant = $1 AND key = $2 AND claimed_at = $4 AND sent = 0";
    let values = vec![
        Value::text(tenant.as_str()),
        Value::text(&key.0),
        Value::from(now),
        Value::from(known.claimed_at),
    ];
    match link.execute(sql, values).await? {
        0 => Ok(Claim::UnderWay),
        _ => Ok(Claim::Ours { id, again: true }),
    }
}

/// Adds a key; `false` where somebody else just did.
async fn add(
    link: &mut Link,
    (tenant, key): (&TenantName, &CallKey),
    body: &[u8; 32],
    fresh: &TaskId,
    now: i64,
) -> Result<bool, PlatformError> {
    let own = || Value::text(tenant.as_str());
    let there = "SELECT count(*) FROM tenants WHERE name = $1";
    if number(link.rows(there, vec![own()], &[Kind::Int]).await?)? == 0 {
        return Err(PlatformError::no_tenant(tenant));
    }
    let count = "SELECT count(*) FROM call_keys WHERE tenant = $1";
    let count = number(link.rows(count, vec![own()], &[Kind::Int]).await?)?;
    if u64::try_from(count).unwrap_or(u64::MAX) >= KEYS {
        return Err(PlatformError::Full {
            kind: "idempotency keys of the last 24 hours",
            most: KEYS,
            remedy: "wait until the oldest are forgotten, or call without a key",
        });
    }
    let sql = "INSERT INTO call_keys (tenant, key, body, task, created_at, claimed_at, sent) \
         VALUES ($1, $2, $3, $4, $5, $5, 0) ON CONFLICT (tenant, key) DO NOTHING";
    let values = vec![
        own(),
        Value::text(&key.0),
        Value::Bytes(Some(body.to_vec())),
        Value::text(fresh.as_str()),
        Value::from(now),
    ];
    Ok(link.execute(sql, values).await? == 1)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
