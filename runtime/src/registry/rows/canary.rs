//! Canaries: a row for the last one of each module.

use super::{grow, number, version};
use crate::policy::canary::{Ends, Rule, has_failed};
use crate::registry::canary::{CanaryEnds, CanaryInfo, CanaryState};
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::moment;
use crate::registry::noted::{self, Change};
use crate::registry::store::{Store, Work};
use crate::sql::{Kind, Line, Row, Value};
use crate::task::{ModuleName, Portion, TenantName};
use std::collections::HashMap;

/// Longest reason for the end of a canary that is kept, characters.
const REASON: usize = 512;

/// A canary that begins with a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Begin {
    pub(in crate::registry) share: Portion,
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
    To(Portion),
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

impl Work for Steer {
    /// `None` where no such canary runs.
    type Output = Option<Steered>;

    async fn work(&self, line: &mut Line<'_>) -> Result<Option<Steered>, sqlx::Error> {
        let owner = (self.tenant.as_str(), self.module.as_str());
        let sql = "SELECT version FROM canaries \
             WHERE tenant = $1 AND module = $2 AND state = 'runs'";
        let running = line.rows(sql, owned(owner), &[Kind::Int]).await?;
        let running = running.into_iter().next().map(|mut row| version(row.int()));
        let same = running.filter(|version| self.version.is_none_or(|wanted| wanted == *version));
        let Some(version) = same else {
            return Ok(None);
        };
        match &self.order {
            Order::To(share) => {
                let sql = "UPDATE canaries SET share = $3 WHERE tenant = $1 AND module = $2";
                let mut values = owned(owner);
                values.push(Value::from(i64::from(share.parts())));
                line.execute(sql, values).await?;
            }
            Order::Promote => {
                end(line, owner, CanaryState::Promoted, "").await?;
                run(line, owner, version).await?;
            }
            Order::Abort(reason) => end(line, owner, CanaryState::Aborted, reason).await?,
        }
        let generation = grow(line).await?;
        Ok(Some(Steered {
            version,
            generation,
        }))
    }

    fn change(&self, steered: &Option<Steered>) -> Option<Change> {
        noted::steered(self, *steered)
    }
}

/// Makes a version the current one.
pub(super) async fn run(
    line: &mut Line<'_>,
    owner: (&str, &str),
    version: u32,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE modules SET current = $3 WHERE tenant = $1 AND name = $2";
    let mut values = owned(owner);
    values.push(Value::from(i64::from(version)));
    line.execute(sql, values).await.map(drop)
}

/// The values by which a module is found.
pub(super) fn owned((tenant, module): (&str, &str)) -> Vec<Value> {
    vec![Value::text(tenant), Value::text(module)]
}

/// Ends the canary of a module, if one runs.
pub(super) async fn end(
    line: &mut Line<'_>,
    owner: (&str, &str),
    state: CanaryState,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE canaries SET state = $3, reason = $4 \
         WHERE tenant = $1 AND module = $2 AND state = 'runs'";
    let reason: String = reason.chars().take(REASON).collect();
    let mut values = owned(owner);
    values.extend([Value::text(state.word()), Value::text(&reason)]);
    line.execute(sql, values).await.map(drop)
}

/// Begins a canary; what was there of an earlier one is forgotten.
pub(super) async fn begin(
    line: &mut Line<'_>,
    (owner, version): ((&str, &str), u32),
    begin: &Begin,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    forget(line, owner).await?;
    let sql = "INSERT INTO canaries \
           (tenant, module, version, share, runs, points, state, reason, began_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'runs', '', $7)";
    let mut values = owned(owner);
    values.extend([
        Value::from(i64::from(version)),
        Value::from(i64::from(begin.share.parts())),
        Value::from(number(begin.rule.runs)),
        Value::from(i64::from(begin.rule.points.parts())),
        Value::from(now_ms),
    ]);
    line.execute(sql, values).await.map(drop)
}

/// Forgets the canary of a module.
pub(super) async fn forget(line: &mut Line<'_>, owner: (&str, &str)) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM canaries WHERE tenant = $1 AND module = $2";
    line.execute(sql, owned(owner)).await.map(drop)
}

/// Ends every canary that is a component which was killed.
#[derive(Debug, Clone)]
pub(in crate::registry) struct AbortKilled {
    pub(in crate::registry) digest: Digest,
}

impl Work for AbortKilled {
    type Output = ();

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        let sql = "UPDATE canaries SET state = 'aborted', reason = 'its component was killed' \
             WHERE state = 'runs' AND EXISTS (SELECT 1 FROM versions v \
               WHERE v.tenant = canaries.tenant AND v.module = canaries.module \
                 AND v.version = canaries.version AND v.digest = $1)";
        let digest = vec![Value::text(&self.digest.hex())];
        if line.execute(sql, digest).await? > 0 {
            grow(line).await?;
        }
        Ok(())
    }
}

/// Adds runs that ended in one worker to those of a canary and its current version, and
/// judges it.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Tally {
    pub(in crate::registry) ends: CanaryEnds,
}

impl Work for Tally {
    /// Why it was aborted, where it was.
    type Output = Option<String>;

    async fn work(&self, line: &mut Line<'_>) -> Result<Option<String>, sqlx::Error> {
        let more = &self.ends;
        let owner = (more.tenant.as_str(), more.module.as_str());
        let mut values = owned(owner);
        values.extend([
            Value::from(i64::from(more.version)),
            Value::from(number(more.canary.ended)),
            Value::from(number(more.canary.failed)),
            Value::from(number(more.current.ended)),
            Value::from(number(more.current.failed)),
        ]);
        let sums = line.rows(ADDED, values, &[Kind::Int; 6]).await?;
        let Some(mut row) = sums.into_iter().next() else {
            return Ok(None);
        };
        let (canary, current) = (ends(&mut row), ends(&mut row));
        if !has_failed(canary, current, &rule(&mut row)) {
            return Ok(None);
        }
        let reason = format!(
            "{} of {} runs failed, and {} of {} of the current version",
            canary.failed, canary.ended, current.failed, current.ended
        );
        end(line, owner, CanaryState::Aborted, &reason).await?;
        grow(line).await?;
        Ok(Some(reason))
    }
}

/// Adds to the runs of a canary.
const ADDED: &str = "UPDATE canaries SET ended = ended + $4, failed = failed + $5, \
       current_ended = current_ended + $6, current_failed = current_failed + $7 \
     WHERE tenant = $1 AND module = $2 AND version = $3 AND state = 'runs' \
     RETURNING ended, failed, current_ended, current_failed, runs, points";

/// Reads the last canaries of a tenant's modules.
pub(in crate::registry) async fn canaries(
    store: &Store,
    tenant: &TenantName,
) -> Result<HashMap<String, CanaryInfo>, RegistryError> {
    let sql = "SELECT module, version, share, state, reason, began_at, \
           ended, failed, current_ended, current_failed, runs, points \
         FROM canaries WHERE tenant = $1";
    let mut kinds = vec![Kind::Text, Kind::Int, Kind::Int, Kind::Text, Kind::Text];
    kinds.extend([Kind::Int; 7]);
    let values = vec![Value::text(tenant.as_str())];
    let rows = store.rows(sql, values, &kinds).await?;
    Ok(rows.into_iter().filter_map(canary).collect())
}

fn canary(mut row: Row) -> Option<(String, CanaryInfo)> {
    let module = row.text()?;
    let info = CanaryInfo {
        version: version(row.int()),
        share: Portion::try_from(row.int()?).ok()?,
        state: CanaryState::read(&row.text()?)?,
        reason: row.text()?,
        began_at: moment(row.int()?),
        canary: ends(&mut row),
        current: ends(&mut row),
        rule: rule(&mut row),
    };
    Some((module, info))
}

fn rule(row: &mut Row) -> Rule {
    Rule {
        runs: row.int().unwrap_or_default().unsigned_abs(),
        points: row
            .int()
            .and_then(|points| Portion::try_from(points).ok())
            .unwrap_or(Rule::default().points),
    }
}

fn ends(row: &mut Row) -> Ends {
    Ends {
        ended: row.int().unwrap_or_default().unsigned_abs(),
        failed: row.int().unwrap_or_default().unsigned_abs(),
    }
}
