//! The registry's rows: what is written, each change in one transaction, and
//! what is read.
//!
//! Every change that workers must see grows the generation by one.

mod canary;
mod kills;
mod pin;
mod presence;
mod read;
mod release;
mod sweep;

pub(super) use canary::{AbortKilled, Begin, Order, Steer, Steered, Tally, canaries};
pub(super) use kills::{
    Kills, Lift, Put, digests, digests_of, has_modules, kills, kills_now, was_there,
};
pub(super) use pin::{Pin, Pinned};
pub(super) use presence::{Announce, Leave, workers};
pub(super) use read::{
    Pointer, Pointers, component, generation_now, modules, pointers, pointers_of, refusal, versions,
};
pub(super) use release::Against;
pub(super) use sweep::{Candidate, Sweep, Trim};
#[cfg(test)]
pub(super) use sweep::{REFUSALS, VERSIONS_KEPT};

use super::RolledBack;
use super::canary::CanaryState;
use super::digest::{Digest, DigestError};
use crate::database::Statement;
use crate::task::{ModuleName, Release, TenantName};
use sqlx::SqliteConnection;
use std::path::PathBuf;
use std::time::Duration;

/// Most modules of a tenant at a time (4,096): every worker keeps a pointer to each.
pub(super) const MODULES: u32 = 4_096;
/// Most modules of all tenants together (65,536), so that no number of tenants fills the
/// memory of a worker.
pub(super) const MODULES_OF_ALL: u32 = 65_536;
/// How long a compiler's refusal is believed (1 h): long enough that repeating
/// a push costs nothing, short enough that a machine once out of memory heals.
pub(super) const REFUSAL_KEPT: Duration = Duration::from_secs(3_600);
/// Longest reason of a refusal that is kept, characters.
const REASON: usize = 4_096;

/// A push that passed every check: it becomes the module's newest version.
#[derive(Debug, Clone)]
pub(super) struct Publish {
    pub(super) tenant: TenantName,
    pub(super) module: ModuleName,
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    pub(super) tasks: String,
    pub(super) imports: String,
    /// The component's file: looked at under the write lock, so that no
    /// collection can take it from a push.
    pub(super) file: PathBuf,
    pub(super) now_ms: i64,
    /// The version that was current when the push was compared with it.
    pub(super) against: Option<u32>,
    /// What its author calls it.
    pub(super) release: Option<Release>,
    /// Whether it may be called older than the current one.
    pub(super) older: bool,
    /// JSON of what it breaks for callers, where that is allowed.
    pub(super) breaks: Option<String>,
    /// It gets a share of the tasks, and is not the current version yet.
    pub(super) canary: Option<Begin>,
    /// Nothing is written.
    pub(super) dry: bool,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Published {
    New {
        version: u32,
        generation: u64,
        /// Whether it is the current version now.
        runs: bool,
    },
    /// The module runs this very component already.
    Unchanged { version: u32, generation: u64 },
    /// It would be a new version, and was only looked at.
    Would { generation: u64 },
    /// The file was collected: write it again.
    FileGone,
    /// The tenant has [`MODULES`] modules.
    Full,
    /// There are [`MODULES_OF_ALL`] modules.
    Crowded,
    /// Another version became the current one meanwhile: compare again.
    Moved,
    /// Its name or its canary stands against it.
    Against(Against),
}

impl Statement for Publish {
    type Output = Published;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Published>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(publish(conn, one).await?);
        }
        Ok(done)
    }
}

async fn publish(conn: &mut SqliteConnection, push: &Publish) -> Result<Published, sqlx::Error> {
    let (tenant, module) = (push.tenant.as_str(), push.module.as_str());
    let digest = push.digest.hex();
    if !push.file.is_file() {
        return Ok(Published::FileGone);
    }
    let current = release::current(conn, (tenant, module)).await?;
    if current.as_ref().map(|current| current.version) != push.against {
        return Ok(Published::Moved);
    }
    match &current {
        Some(running) if running.is_same(push) => {
            let generation = generation(conn).await?;
            return Ok(Published::Unchanged {
                version: running.version,
                generation,
            });
        }
        Some(_) => {}
        None => {
            let (own, all) = count(conn, tenant).await?;
            if own >= MODULES {
                return Ok(Published::Full);
            }
            if all >= MODULES_OF_ALL {
                return Ok(Published::Crowded);
            }
        }
    }
    if let Some(against) = release::against(conn, push, current.as_ref()).await? {
        return Ok(Published::Against(against));
    }
    if push.dry {
        let generation = generation(conn).await?;
        return Ok(Published::Would { generation });
    }
    sqlx::query(
        "INSERT INTO components (digest, bytes, tasks, imports) VALUES (?, ?, ?, ?) \
         ON CONFLICT (digest) DO UPDATE SET tasks = excluded.tasks, imports = excluded.imports",
    )
    .bind(&digest)
    .bind(i64::try_from(push.bytes).unwrap_or(i64::MAX))
    .bind(&push.tasks)
    .bind(&push.imports)
    .execute(&mut *conn)
    .await?;
    let version: u32 = sqlx::query_scalar(
        "INSERT INTO modules (tenant, name, current, newest) VALUES (?, ?, NULL, 1) \
         ON CONFLICT (tenant, name) DO UPDATE SET newest = modules.newest + 1 RETURNING newest",
    )
    .bind(tenant)
    .bind(module)
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO versions (tenant, module, version, digest, pushed_at, release, breaks) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(tenant)
    .bind(module)
    .bind(version)
    .bind(&digest)
    .bind(push.now_ms)
    .bind(push.release.as_ref().map(ToString::to_string))
    .bind(push.breaks.as_deref())
    .execute(&mut *conn)
    .await?;
    let runs = release::place(conn, push, version, current.as_ref()).await?;
    let generation = grow(conn).await?;
    Ok(Published::New {
        version,
        generation,
        runs,
    })
}

/// Moves a module's pointer: to a version, or to the one before the current.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) tenant: TenantName,
    pub(super) module: ModuleName,
    pub(super) version: Option<u32>,
}

/// Where a pointer stands after it was moved, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pointed {
    To(RolledBack),
    UnknownModule,
    UnknownVersion { current: u32, have: Vec<u32> },
}

impl Statement for Point {
    type Output = Pointed;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Pointed>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(point(conn, one).await?);
        }
        Ok(done)
    }
}

async fn point(conn: &mut SqliteConnection, wish: &Point) -> Result<Pointed, sqlx::Error> {
    let (tenant, module) = (wish.tenant.as_str(), wish.module.as_str());
    let current: Option<Option<u32>> =
        sqlx::query_scalar("SELECT current FROM modules WHERE tenant = ? AND name = ?")
            .bind(tenant)
            .bind(module)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(from) = current.flatten() else {
        return Ok(Pointed::UnknownModule);
    };
    let have: Vec<(u32, String)> = sqlx::query_as(
        "SELECT version, digest FROM versions WHERE tenant = ? AND module = ? ORDER BY version",
    )
    .bind(tenant)
    .bind(module)
    .fetch_all(&mut *conn)
    .await?;
    let target = match wish.version {
        Some(version) => have.iter().find(|(one, _)| *one == version),
        None => have.iter().rev().find(|(one, _)| *one < from),
    };
    let Some((version, digest)) = target else {
        let have = have.iter().map(|(version, _)| *version).collect();
        return Ok(Pointed::UnknownVersion {
            current: from,
            have,
        });
    };
    let version = *version;
    let digest = digest
        .parse()
        .map_err(|error: DigestError| sqlx::Error::Decode(Box::new(error)))?;
    let generation = if version == from {
        generation(conn).await?
    } else {
        sqlx::query("UPDATE modules SET current = ? WHERE tenant = ? AND name = ?")
            .bind(version)
            .bind(tenant)
            .bind(module)
            .execute(&mut *conn)
            .await?;
        let reason = format!("the module was rolled back to version {version}");
        canary::end(conn, (tenant, module), CanaryState::Aborted, &reason).await?;
        grow(conn).await?
    };
    Ok(Pointed::To(RolledBack {
        from,
        version,
        digest,
        generation,
    }))
}

/// Takes a module of a tenant away with all its versions. Its numbers are not given again.
#[derive(Debug, Clone)]
pub(super) struct Remove {
    pub(super) tenant: TenantName,
    pub(super) module: ModuleName,
}

impl Statement for Remove {
    /// The new generation; `None` when there is no such module.
    type Output = Option<u64>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Option<u64>>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            let sql = "UPDATE modules SET current = NULL, pinned = 0 \
                 WHERE tenant = ? AND name = ? AND current IS NOT NULL";
            let found = sqlx::query(sql)
                .bind(one.tenant.as_str())
                .bind(one.module.as_str())
                .execute(&mut *conn)
                .await?;
            if found.rows_affected() == 0 {
                done.push(None);
                continue;
            }
            canary::forget(conn, (one.tenant.as_str(), one.module.as_str())).await?;
            sqlx::query("DELETE FROM versions WHERE tenant = ? AND module = ?")
                .bind(one.tenant.as_str())
                .bind(one.module.as_str())
                .execute(&mut *conn)
                .await?;
            done.push(Some(grow(conn).await?));
        }
        Ok(done)
    }
}

/// Remembers that the compiler gave up on a component.
#[derive(Debug, Clone)]
pub(super) struct Refuse {
    pub(super) tenant: TenantName,
    pub(super) digest: Digest,
    pub(super) compatibility: String,
    pub(super) reason: String,
    pub(super) now_ms: i64,
}

impl Statement for Refuse {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for one in batch {
            sqlx::query(
                "INSERT OR REPLACE INTO refusals (tenant, digest, compatibility, reason, refused_at) \
                 VALUES (?, ?, ?, ?, ?)",
            )
            .bind(one.tenant.as_str())
            .bind(one.digest.hex())
            .bind(&one.compatibility)
            .bind(one.reason.chars().take(REASON).collect::<String>())
            .bind(one.now_ms)
            .execute(&mut *conn)
            .await?;
        }
        Ok(vec![(); batch.len()])
    }
}

async fn generation(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let generation: i64 = sqlx::query_scalar("SELECT generation FROM registry")
        .fetch_one(conn)
        .await?;
    Ok(generation.unsigned_abs())
}

async fn grow(conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE registry SET generation = generation + 1 RETURNING generation";
    let generation: i64 = sqlx::query_scalar(sql).fetch_one(conn).await?;
    Ok(generation.unsigned_abs())
}

/// Counts the modules of a tenant, and those of all.
async fn count(conn: &mut SqliteConnection, tenant: &str) -> Result<(u32, u32), sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*) FILTER (WHERE tenant = ?), count(*) FROM modules WHERE current IS NOT NULL",
    )
    .bind(tenant)
    .fetch_one(conn)
    .await
}
