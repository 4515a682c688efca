//! What is killed.

use crate::database::{Database, DatabaseError, Statement};
use crate::registry::digest::Digest;
use crate::registry::kills::{Aim, KILLS, KILLS_OF_ALL, Kill, read};
use crate::task::{ModuleName, TenantName};
use sqlx::SqliteConnection;
use std::collections::HashSet;

/// Kills something, or gives a kill another reason.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Put {
    pub(in crate::registry) aim: Aim,
    pub(in crate::registry) reason: String,
    pub(in crate::registry) hold: bool,
    pub(in crate::registry) now_ms: i64,
}

impl Statement for Put {
    /// The number of this change; `None` when there are too many kills.
    type Output = Option<u64>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Option<u64>>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(put(conn, one).await?);
        }
        Ok(done)
    }
}

async fn put(conn: &mut SqliteConnection, put: &Put) -> Result<Option<u64>, sqlx::Error> {
    let (tenant, kind, name) = (put.aim.owner(), put.aim.kind(), put.aim.name());
    let (own, all): (u32, u32) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE tenant = ?1), count(*) FROM kills \
         WHERE (tenant, kind, name) != (?1, ?2, ?3)",
    )
    .bind(tenant)
    .bind(kind)
    .bind(&name)
    .fetch_one(&mut *conn)
    .await?;
    if own >= KILLS || all >= KILLS_OF_ALL {
        return Ok(None);
    }
    sqlx::query(
        "INSERT OR REPLACE INTO kills (tenant, kind, name, reason, hold, killed_at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(tenant)
    .bind(kind)
    .bind(&name)
    .bind(&put.reason)
    .bind(put.hold)
    .bind(put.now_ms)
    .execute(&mut *conn)
    .await?;
    grow(conn).await.map(Some)
}

/// Ends a kill.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Lift {
    pub(in crate::registry) aim: Aim,
}

impl Statement for Lift {
    /// The number of this change; `None` when there was no such kill.
    type Output = Option<u64>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Option<u64>>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            let sql = "DELETE FROM kills WHERE tenant = ? AND kind = ? AND name = ?";
            let gone = sqlx::query(sql)
                .bind(one.aim.owner())
                .bind(one.aim.kind())
                .bind(one.aim.name())
                .execute(&mut *conn)
                .await?;
            done.push(match gone.rows_affected() {
                0 => None,
                _ => Some(grow(conn).await?),
            });
        }
        Ok(done)
    }
}

async fn grow(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE registry SET kills = kills + 1 RETURNING kills";
    let kills: i64 = sqlx::query_scalar(sql).fetch_one(conn).await?;
    Ok(kills.unsigned_abs())
}

/// What is killed, after so many changes.
#[derive(Debug, Default)]
pub(in crate::registry) struct Kills {
    pub(in crate::registry) number: u64,
    /// The oldest first.
    pub(in crate::registry) kills: Vec<Kill>,
}

type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<i64>,
);

/// Reads what is killed, in one statement, which sees one state of the file.
pub(in crate::registry) async fn kills(database: &Database) -> Result<Kills, DatabaseError> {
    let mut conn = database.read().await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT r.kills, k.tenant, k.kind, k.name, k.reason, k.hold, k.killed_at \
         FROM registry r LEFT JOIN kills k ON true ORDER BY k.killed_at, k.tenant, k.kind, k.name",
    )
    .fetch_all(&mut *conn)
    .await?;
    let number = rows.first().map_or(0, |row| row.0.unsigned_abs());
    let kills = rows.into_iter().filter_map(kill).collect();
    Ok(Kills { number, kills })
}

fn kill(row: Row) -> Option<Kill> {
    let (_, Some(tenant), Some(kind), Some(name), Some(reason), Some(hold), Some(killed_at)) = row
    else {
        return None;
    };
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
pub(in crate::registry) async fn kills_now(database: &Database) -> Result<u64, DatabaseError> {
    let mut conn = database.read().await?;
    let number: i64 = sqlx::query_scalar("SELECT kills FROM registry")
        .fetch_one(&mut *conn)
        .await?;
    Ok(number.unsigned_abs())
}

/// Tells whether a tenant has a module of that name, or had one.
pub(in crate::registry) async fn was_there(
    database: &Database,
    tenant: &TenantName,
    module: &ModuleName,
) -> Result<bool, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT EXISTS (SELECT 1 FROM modules WHERE tenant = ? AND name = ?)";
    Ok(sqlx::query_scalar(sql)
        .bind(tenant.as_str())
        .bind(module.as_str())
        .fetch_one(&mut *conn)
        .await?)
}

/// Tells whether a tenant has modules, or had some.
pub(in crate::registry) async fn has_modules(
    database: &Database,
    tenant: &TenantName,
) -> Result<bool, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT EXISTS (SELECT 1 FROM modules WHERE tenant = ?)";
    Ok(sqlx::query_scalar(sql)
        .bind(tenant.as_str())
        .fetch_one(&mut *conn)
        .await?)
}

/// Reads which components a tenant has, of which kills by digest are its business.
pub(in crate::registry) async fn digests_of(
    database: &Database,
    tenant: &TenantName,
) -> Result<HashSet<Digest>, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT DISTINCT digest FROM versions WHERE tenant = ?";
    let found: Vec<String> = sqlx::query_scalar(sql)
        .bind(tenant.as_str())
        .fetch_all(&mut *conn)
        .await?;
    Ok(found.iter().filter_map(|hex| hex.parse().ok()).collect())
}

/// Reads the digests that begin so, three at most: more than one is too many already.
pub(in crate::registry) async fn digests(
    database: &Database,
    beginning: &str,
) -> Result<Vec<Digest>, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT digest FROM components WHERE substr(digest, 1, length(?1)) = ?1 \
         ORDER BY digest LIMIT 3";
    let found: Vec<String> = sqlx::query_scalar(sql)
        .bind(beginning)
        .fetch_all(&mut *conn)
        .await?;
    Ok(found.iter().filter_map(|hex| hex.parse().ok()).collect())
}
