//! What is killed.

use super::counter;
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::kills::{Aim, KILLS, KILLS_OF_ALL, Kill, read};
use crate::registry::noted::{self, Change};
use crate::registry::store::{Store, Work};
use crate::sql::{Kind, Line, Row, Value};
use crate::task::{ModuleName, TenantName};
use std::collections::HashSet;

/// Kills something, or gives a kill another reason.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Put {
    pub(in crate::registry) aim: Aim,
    pub(in crate::registry) reason: String,
    pub(in crate::registry) hold: bool,
    pub(in crate::registry) now_ms: i64,
}

impl Work for Put {
    /// The number of this change; `None` when there are too many kills.
    type Output = Option<u64>;

    async fn work(&self, line: &mut Line<'_>) -> Result<Option<u64>, sqlx::Error> {
        let sql = "SELECT count(*) FILTER (WHERE tenant = $1), count(*) FROM kills \
             WHERE NOT (tenant = $1 AND kind = $2 AND name = $3)";
        let others = line
            .rows(sql, key(&self.aim), &[Kind::Int, Kind::Int])
            .await?;
        let mut others = others.into_iter().next();
        let mut count = || others.as_mut().and_then(Row::int).unwrap_or(0);
        let (own, all) = (count(), count());
        if own >= KILLS.into() || all >= KILLS_OF_ALL.into() {
            return Ok(None);
        }
        let sql = "INSERT INTO kills (tenant, kind, name, reason, hold, killed_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, kind, name) DO UPDATE \
             SET reason = excluded.reason, hold = excluded.hold, killed_at = excluded.killed_at";
        let mut values = key(&self.aim);
        values.extend([
            Value::text(&self.reason),
            Value::from(i64::from(self.hold)),
            Value::from(self.now_ms),
        ]);
        line.execute(sql, values).await?;
        grow(line).await.map(Some)
    }

    fn change(&self, number: &Option<u64>) -> Option<Change> {
        noted::killed(self, *number)
    }
}

/// Ends a kill.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Lift {
    pub(in crate::registry) aim: Aim,
}

impl Work for Lift {
    /// The number of this change; `None` when there was no such kill.
    type Output = Option<u64>;

    async fn work(&self, line: &mut Line<'_>) -> Result<Option<u64>, sqlx::Error> {
        let sql = "DELETE FROM kills WHERE tenant = $1 AND kind = $2 AND name = $3";
        match line.execute(sql, key(&self.aim)).await? {
            0 => Ok(None),
            _ => grow(line).await.map(Some),
        }
    }

    fn change(&self, number: &Option<u64>) -> Option<Change> {
        noted::allowed(&self.aim, *number)
    }
}

/// What a kill is found by.
pub(super) fn key(aim: &Aim) -> Vec<Value> {
    let (kind, name) = (aim.kind(), aim.name());
    vec![
        Value::text(aim.owner()),
        Value::text(kind),
        Value::text(&name),
    ]
}

pub(super) async fn grow(line: &mut Line<'_>) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE registry SET kills = kills + 1 RETURNING kills";
    counter(line, sql).await
}

/// What is killed, after so many changes.
#[derive(Debug, Default)]
pub(in crate::registry) struct Kills {
    pub(in crate::registry) number: u64,
    /// The oldest first.
    pub(in crate::registry) kills: Vec<Kill>,
}

/// Reads what is killed, in one statement, which sees one state of the database.
pub(in crate::registry) async fn kills(store: &Store) -> Result<Kills, RegistryError> {
    let sql = "SELECT r.kills, k.tenant, k.kind, k.name, k.reason, k.hold, k.killed_at \
         FROM registry r LEFT JOIN kills k ON 1 = 1 \
         ORDER BY k.killed_at, k.tenant, k.kind, k.name";
    let kinds = [
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Int,
    ];
    let rows = store.rows(sql, Vec::new(), &kinds).await?;
    let mut kills = Kills::default();
    for mut row in rows {
        kills.number = row.int().unwrap_or(0).unsigned_abs();
        kills.kills.extend(kill(row));
    }
    Ok(kills)
}

fn kill(mut row: Row) -> Option<Kill> {
    let (tenant, kind, name) = (row.text()?, row.text()?, row.text()?);
    let (reason, hold, killed_at) = (row.text()?, row.int()? != 0, row.int()?);
    let kill = read((&tenant, &kind, &name), reason, hold, killed_at);
    if kill.is_none() {
        tracing::error!(
            tenant,
            kind,
            name,
            "a kill cannot be read and is not obeyed; kill it again with this version"
        );
    }
    kill
}

/// Reads how often kills have changed.
pub(in crate::registry) async fn kills_now(store: &Store) -> Result<u64, RegistryError> {
    let rows = store
        .rows("SELECT kills FROM registry", Vec::new(), &[Kind::Int])
        .await?;
    let number = rows.into_iter().next().and_then(|mut row| row.int());
    Ok(number.unwrap_or(0).unsigned_abs())
}

/// Tells whether a tenant has a module of that name, or had one.
pub(in crate::registry) async fn was_there(
    store: &Store,
    tenant: &TenantName,
    module: &ModuleName,
) -> Result<bool, RegistryError> {
    let sql = "SELECT 1 FROM modules WHERE tenant = $1 AND name = $2";
    let values = vec![Value::text(tenant.as_str()), Value::text(module.as_str())];
    Ok(!store.rows(sql, values, &[]).await?.is_empty())
}

/// Tells whether a tenant has modules, or had some.
pub(in crate::registry) async fn has_modules(
    store: &Store,
    tenant: &TenantName,
) -> Result<bool, RegistryError> {
    let sql = "SELECT 1 FROM modules WHERE tenant = $1 LIMIT 1";
    let values = vec![Value::text(tenant.as_str())];
    Ok(!store.rows(sql, values, &[]).await?.is_empty())
}

/// Reads which components a tenant has, of which kills by digest are its business.
pub(in crate::registry) async fn digests_of(
    store: &Store,
    tenant: &TenantName,
) -> Result<HashSet<Digest>, RegistryError> {
    let sql = "SELECT DISTINCT digest FROM versions WHERE tenant = $1";
    let values = vec![Value::text(tenant.as_str())];
    let rows = store.rows(sql, values, &[Kind::Text]).await?;
    Ok(rows.into_iter().filter_map(parsed).collect())
}

/// Reads the digests that begin so, three at most: more than one is too many already.
pub(in crate::registry) async fn digests(
    store: &Store,
    beginning: &str,
) -> Result<Vec<Digest>, RegistryError> {
    let sql = "SELECT digest FROM components WHERE substr(digest, 1, length($1)) = $1 \
         ORDER BY digest LIMIT 3";
    let rows = store
        .rows(sql, vec![Value::text(beginning)], &[Kind::Text])
        .await?;
    Ok(rows.into_iter().filter_map(parsed).collect())
}

fn parsed(mut row: Row) -> Option<Digest> {
    row.text()?.parse().ok()
}
