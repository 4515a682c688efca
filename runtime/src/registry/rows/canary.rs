//! Canaries: a row for the last one of each module.

use super::grow;
use crate::database::{Database, DatabaseError, Statement};
use crate::policy::canary::{Ends, Rule, has_failed};
use crate::registry::canary::{CanaryEnds, CanaryInfo, CanaryState};
use crate::registry::digest::Digest;
use crate::registry::moment;
use crate::task::{ModuleName, Share, TenantName};
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// Longest reason for the end of a canary that is kept, characters.
const REASON: usize = 512;

/// A canary that begins with a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Begin {
    pub(in crate::registry) share: Share,
    pub(in crate::registry) rule: Rule,
}

/// Changes the canary of a module that runs.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Steer {
    pub(in crate::registry) tenant: TenantName,
    pub(in crate::registry) module: ModuleName,
    /// Only if it is this version.
    pub(in crate::registry) version: Option<u32>,
    pub(in crate::registry) order: Order,
}

/// What becomes of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Order {
    /// It gets another share.
    To(Share),
    /// It becomes the current version.
    Promote,
    /// It ends, for a reason.
    Abort(String),
}

/// A canary that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Steered {
    pub(in crate::registry) version: u32,
    pub(in crate::registry) generation: u64,
}

impl Statement for Steer {
    /// `None` where no such canary runs.
    type Output = Option<Steered>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Option<Steered>>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(steer(conn, one).await?);
        }
        Ok(done)
    }
}

async fn steer(conn: &mut SqliteConnection, wish: &Steer) -> Result<Option<Steered>, sqlx::Error> {
    let (tenant, module) = (wish.tenant.as_str(), wish.module.as_str());
    let running: Option<u32> = sqlx::query_scalar(
        "SELECT version FROM canaries WHERE tenant = ? AND module = ? AND state = 'runs'",
    )
    .bind(tenant)
    .bind(module)
    .fetch_optional(&mut *conn)
    .await?;
    let same = running.filter(|version| wish.version.is_none_or(|wanted| wanted == *version));
    let Some(version) = same else {
        return Ok(None);
    };
    match &wish.order {
        Order::To(share) => {
            let sql = "UPDATE canaries SET share = ? WHERE tenant = ? AND module = ?";
            sqlx::query(sql)
                .bind(i64::from(share.parts()))
                .bind(tenant)
                .bind(module)
                .execute(&mut *conn)
                .await?;
        }
        Order::Promote => {
            end(conn, (tenant, module), CanaryState::Promoted, "").await?;
            let sql = "UPDATE modules SET current = ? WHERE tenant = ? AND name = ?";
            sqlx::query(sql)
                .bind(version)
                .bind(tenant)
                .bind(module)
                .execute(&mut *conn)
                .await?;
        }
        Order::Abort(reason) => end(conn, (tenant, module), CanaryState::Aborted, reason).await?,
    }
    let generation = grow(conn).await?;
    Ok(Some(Steered {
        version,
        generation,
    }))
}

/// Ends the canary of a module, if one runs.
pub(super) async fn end(
    conn: &mut SqliteConnection,
    (tenant, module): (&str, &str),
    state: CanaryState,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE canaries SET state = ?, reason = ? \
         WHERE tenant = ? AND module = ? AND state = 'runs'";
    sqlx::query(sql)
        .bind(state.word())
        .bind(reason.chars().take(REASON).collect::<String>())
        .bind(tenant)
        .bind(module)
        .execute(conn)
        .await?;
    Ok(())
}

/// Begins a canary; what was there of an earlier one is forgotten.
pub(super) async fn begin(
    conn: &mut SqliteConnection,
    (tenant, module, version): (&str, &str, u32),
    begin: &Begin,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    forget(conn, (tenant, module)).await?;
    sqlx::query(
        "INSERT INTO canaries (tenant, module, version, share, runs, points, state, reason, began_at) \
         VALUES (?, ?, ?, ?, ?, ?, 'runs', '', ?)",
    )
    .bind(tenant)
    .bind(module)
    .bind(version)
    .bind(i64::from(begin.share.parts()))
    .bind(signed(begin.rule.runs))
    .bind(i64::from(begin.rule.points.parts()))
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets the canary of a module.
pub(super) async fn forget(
    conn: &mut SqliteConnection,
    (tenant, module): (&str, &str),
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM canaries WHERE tenant = ? AND module = ?")
        .bind(tenant)
        .bind(module)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends every canary that is a component which was killed.
#[derive(Debug, Clone)]
pub(in crate::registry) struct AbortKilled {
    pub(in crate::registry) digest: Digest,
}

impl Statement for AbortKilled {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for one in batch {
            let ended = sqlx::query(
                "UPDATE canaries SET state = 'aborted', reason = 'its component was killed' \
                 WHERE state = 'runs' AND (tenant, module, version) IN \
                   (SELECT tenant, module, version FROM versions WHERE digest = ?)",
            )
            .bind(one.digest.hex())
            .execute(&mut *conn)
            .await?;
            if ended.rows_affected() > 0 {
                grow(conn).await?;
            }
        }
        Ok(vec![(); batch.len()])
    }
}

/// Adds runs that ended in one worker to those of a canary and its current version, and
/// judges it.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Tally {
    pub(in crate::registry) ends: CanaryEnds,
}

impl Statement for Tally {
    /// Why it was aborted, where it was.
    type Output = Option<String>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Option<String>>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(tally(conn, one).await?);
        }
        Ok(done)
    }
}

async fn tally(conn: &mut SqliteConnection, tally: &Tally) -> Result<Option<String>, sqlx::Error> {
    let more = &tally.ends;
    let (tenant, module) = (more.tenant.as_str(), more.module.as_str());
    let sums: Option<(i64, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "UPDATE canaries SET ended = ended + ?, failed = failed + ?, \
           current_ended = current_ended + ?, current_failed = current_failed + ? \
         WHERE tenant = ? AND module = ? AND version = ? AND state = 'runs' \
         RETURNING ended, failed, current_ended, current_failed, runs, points",
    )
    .bind(signed(more.canary.ended))
    .bind(signed(more.canary.failed))
    .bind(signed(more.current.ended))
    .bind(signed(more.current.failed))
    .bind(tenant)
    .bind(module)
    .bind(more.version)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((ended, failed, current_ended, current_failed, runs, points)) = sums else {
        return Ok(None);
    };
    let (canary, current) = (ends(ended, failed), ends(current_ended, current_failed));
    if !has_failed(canary, current, &rule(runs, points)) {
        return Ok(None);
    }
    let reason = format!(
        "{} of {} runs failed, and {} of {} of the current version",
        canary.failed, canary.ended, current.failed, current.ended
    );
    end(conn, (tenant, module), CanaryState::Aborted, &reason).await?;
    grow(conn).await?;
    Ok(Some(reason))
}

type Row = (
    String,
    u32,
    i64,
    i64,
    i64,
    String,
    String,
    i64,
    i64,
    i64,
    i64,
    i64,
);

/// Reads the last canaries of a tenant's modules.
pub(in crate::registry) async fn canaries(
    database: &Database,
    tenant: &TenantName,
) -> Result<HashMap<String, CanaryInfo>, DatabaseError> {
    let mut conn = database.read().await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT module, version, share, runs, points, state, reason, began_at, \
           ended, failed, current_ended, current_failed \
         FROM canaries WHERE tenant = ?",
    )
    .bind(tenant.as_str())
    .fetch_all(&mut *conn)
    .await?;
    Ok(rows.into_iter().filter_map(canary).collect())
}

fn canary(row: Row) -> Option<(String, CanaryInfo)> {
    let (module, version, share, runs, points, state, reason, began_at, a, b, c, d) = row;
    let info = CanaryInfo {
        version,
        share: Share::try_from(share).ok()?,
        state: CanaryState::read(&state)?,
        reason,
        began_at: moment(began_at),
        rule: rule(runs, points),
        canary: ends(a, b),
        current: ends(c, d),
    };
    Some((module, info))
}

fn rule(runs: i64, points: i64) -> Rule {
    Rule {
        runs: runs.unsigned_abs(),
        points: Share::try_from(points).unwrap_or(Rule::default().points),
    }
}

fn ends(ended: i64, failed: i64) -> Ends {
    Ends {
        ended: ended.unsigned_abs(),
        failed: failed.unsigned_abs(),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
