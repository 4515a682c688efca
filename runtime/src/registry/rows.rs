//! The registry's rows: what is written, each change in one transaction, and
//! what is read.
//!
//! Every change that workers must see grows the generation by one.

mod canary;
mod goal;
mod kills;
mod news;
mod pin;
mod presence;
mod quota;
mod read;
mod release;
mod replica;
mod sweep;

pub(super) use canary::{AbortKilled, Begin, Order, Steer, Steered, Tally, canaries};
pub(super) use goal::{Beside, Follow, Goal, Version};
pub(super) use kills::{
    Kills, Lift, Put, digests, digests_of, has_modules, kills, kills_now, was_there,
};
pub(super) use news::{Description, Place, Rules, description, numbers, places};
pub(super) use pin::{Pin, Pinned};
pub(super) use presence::{Announce, Leave, workers};
pub(super) use quota::Over;
pub(super) use read::{
    Pointer, Pointers, component, generation_now, modules, named, pointers, pointers_of, refusal,
    sweeps_now, versions,
};
pub(super) use release::Against;
pub(super) use replica::{Far, Obey, Origin, Part, Serve, Unlist, body, far, own_things, pointed};
pub(super) use sweep::{Candidate, Sweep, Trim};
#[cfg(test)]
pub(super) use sweep::{REFUSALS, VERSIONS_KEPT};

use super::RolledBack;
use super::canary::CanaryState;
use super::digest::{Digest, DigestError};
use super::noted::{self, Change};
use super::store::Work;
use crate::sql::{Kind, Line, Row, Value};
use crate::task::{ModuleName, Release, TenantName};
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
    /// How often files were swept before its bytes were stored: another number now, under the
    /// write lock, says that a collection may have taken them since.
    pub(super) sweeps: i64,
    /// The component's file, where it is one: looked at under the same lock.
    pub(super) file: Option<PathBuf>,
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
    /// Most bytes that the configuration lets the tenant's modules have.
    pub(super) most: Option<u64>,
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
    /// Its bytes may have been collected: store them again.
    Swept,
    /// The tenant has [`MODULES`] modules.
    Full,
    /// There are [`MODULES_OF_ALL`] modules.
    Crowded,
    /// The tenant's modules would have more bytes than they may.
    Over(Over),
    /// Another version became the current one meanwhile: compare again.
    Moved,
    /// Its name or its canary stands against it.
    Against(Against),
}

impl Work for Publish {
    type Output = Published;

    async fn work(&self, line: &mut Line<'_>) -> Result<Published, sqlx::Error> {
        let is_gone = self.file.as_ref().is_some_and(|file| !file.is_file());
        if is_gone || sweeps(line).await? != self.sweeps {
            return Ok(Published::Swept);
        }
        let (tenant, module) = (self.tenant.as_str(), self.module.as_str());
        let current = release::current(line, (tenant, module)).await?;
        if current.as_ref().map(|current| current.version) != self.against {
            return Ok(Published::Moved);
        }
        match &current {
            Some(running) if running.is_same(self) => {
                let generation = generation(line).await?;
                return Ok(Published::Unchanged {
                    version: running.version,
                    generation,
                });
            }
            Some(_) => {}
            None => match count(line, tenant).await? {
                (own, _) if own >= MODULES.into() => return Ok(Published::Full),
                (_, all) if all >= MODULES_OF_ALL.into() => return Ok(Published::Crowded),
                (_, _) => {}
            },
        }
        if let Some(against) = release::against(line, self, current.as_ref()).await? {
            return Ok(Published::Against(against));
        }
        if let Some(over) = quota::over(line, self).await? {
            return Ok(Published::Over(over));
        }
        if self.dry {
            let generation = generation(line).await?;
            return Ok(Published::Would { generation });
        }
        let version = insert(line, self).await?;
        let runs = release::place(line, self, version, current.as_ref()).await?;
        let generation = grow(line).await?;
        Ok(Published::New {
            version,
            generation,
            runs,
        })
    }

    fn change(&self, published: &Published) -> Option<Change> {
        noted::pushed(self, published)
    }
}

/// Writes a new version, and returns its number. Nothing runs it yet.
async fn insert(line: &mut Line<'_>, push: &Publish) -> Result<u32, sqlx::Error> {
    let digest = push.digest.hex();
    let owner = || {
        let (tenant, module) = (push.tenant.as_str(), push.module.as_str());
        vec![Value::text(tenant), Value::text(module)]
    };
    let component = vec![
        Value::text(&digest),
        Value::from(number(push.bytes)),
        Value::text(&push.tasks),
        Value::text(&push.imports),
    ];
    line.execute(COMPONENT, component).await?;
    let newest = line.rows(NEWEST, owner(), &[Kind::Int]).await?;
    let version = version(newest.into_iter().next().and_then(|mut row| row.int()));
    let release = push.release.as_ref().map(ToString::to_string);
    let mut made = owner();
    made.extend([
        Value::from(i64::from(version)),
        Value::text(&digest),
        Value::from(push.now_ms),
        Value::maybe(release.as_deref()),
        Value::maybe(push.breaks.as_deref()),
    ]);
    line.execute(MADE, made).await?;
    Ok(version)
}

/// What a component says about itself.
const COMPONENT: &str = "INSERT INTO components (digest, bytes, tasks, imports) \
     VALUES ($1, $2, $3, $4) \
     ON CONFLICT (digest) DO UPDATE SET tasks = excluded.tasks, imports = excluded.imports";
/// The next number of a module.
const NEWEST: &str = "INSERT INTO modules (tenant, name, current, newest) VALUES ($1, $2, NULL, 1) \
     ON CONFLICT (tenant, name) DO UPDATE SET newest = modules.newest + 1 RETURNING newest";
/// A new version.
const MADE: &str = "INSERT INTO versions \
       (tenant, module, version, digest, pushed_at, release, breaks) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

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

impl Work for Point {
    type Output = Pointed;

    async fn work(&self, line: &mut Line<'_>) -> Result<Pointed, sqlx::Error> {
        let owner = || {
            let (tenant, module) = (self.tenant.as_str(), self.module.as_str());
            vec![Value::text(tenant), Value::text(module)]
        };
        let sql = "SELECT current FROM modules WHERE tenant = $1 AND name = $2";
        let current = line.rows(sql, owner(), &[Kind::Int]).await?;
        let Some(from) = current.into_iter().next().and_then(|mut row| row.int()) else {
            return Ok(Pointed::UnknownModule);
        };
        let from = version(Some(from));
        let sql = "SELECT version, digest FROM versions \
             WHERE tenant = $1 AND module = $2 ORDER BY version";
        let have = line.rows(sql, owner(), &[Kind::Int, Kind::Text]).await?;
        let have = have.into_iter().map(|mut row| (version(row.int()), row));
        let mut have: Vec<(u32, Row)> = have.collect();
        let target = match self.version {
            Some(version) => have.iter().position(|(one, _)| *one == version),
            None => have.iter().rposition(|(one, _)| *one < from),
        };
        let Some((version, row)) = target.and_then(|at| have.get_mut(at)) else {
            let have = have.iter().map(|(version, _)| *version).collect();
            return Ok(Pointed::UnknownVersion {
                current: from,
                have,
            });
        };
        let (version, digest) = (*version, digest(row)?);
        let generation = if version == from {
            generation(line).await?
        } else {
            let sql = "UPDATE modules SET current = $3 WHERE tenant = $1 AND name = $2";
            let mut values = owner();
            values.push(Value::from(i64::from(version)));
            line.execute(sql, values).await?;
            let owner = (self.tenant.as_str(), self.module.as_str());
            let reason = format!("the module was rolled back to version {version}");
            canary::end(line, owner, CanaryState::Aborted, &reason).await?;
            grow(line).await?
        };
        Ok(Pointed::To(RolledBack {
            from,
            version,
            digest,
            generation,
        }))
    }

    fn change(&self, pointed: &Pointed) -> Option<Change> {
        noted::pointed(self, pointed)
    }
}

/// Takes a module of a tenant away with all its versions. Its numbers are not given again.
#[derive(Debug, Clone)]
pub(super) struct Remove {
    pub(super) tenant: TenantName,
    pub(super) module: ModuleName,
}

impl Work for Remove {
    /// The new generation; `None` when there is no such module.
    type Output = Option<u64>;

    async fn work(&self, line: &mut Line<'_>) -> Result<Option<u64>, sqlx::Error> {
        let owner = || {
            let (tenant, module) = (self.tenant.as_str(), self.module.as_str());
            vec![Value::text(tenant), Value::text(module)]
        };
        let sql = "UPDATE modules SET current = NULL, pinned = 0 \
             WHERE tenant = $1 AND name = $2 AND current IS NOT NULL";
        if line.execute(sql, owner()).await? == 0 {
            return Ok(None);
        }
        canary::forget(line, (self.tenant.as_str(), self.module.as_str())).await?;
        let sql = "DELETE FROM versions WHERE tenant = $1 AND module = $2";
        line.execute(sql, owner()).await?;
        grow(line).await.map(Some)
    }

    fn change(&self, generation: &Option<u64>) -> Option<Change> {
        noted::removed((&self.tenant, &self.module), *generation)
    }
}

/// Remembers that the compiler gave up on a component that a tenant pushed.
#[derive(Debug, Clone)]
pub(super) struct Refuse {
    pub(super) tenant: TenantName,
    pub(super) digest: Digest,
    pub(super) compatibility: String,
    pub(super) reason: String,
    pub(super) now_ms: i64,
}

impl Work for Refuse {
    type Output = ();

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO refusals (tenant, digest, compatibility, reason, refused_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, digest, compatibility) \
             DO UPDATE SET reason = excluded.reason, refused_at = excluded.refused_at";
        let reason: String = self.reason.chars().take(REASON).collect();
        let values = vec![
            Value::text(self.tenant.as_str()),
            Value::text(&self.digest.hex()),
            Value::text(&self.compatibility),
            Value::text(&reason),
            Value::from(self.now_ms),
        ];
        line.execute(sql, values).await.map(drop)
    }
}

/// Reads the generation, which every change moves that workers must see.
async fn generation(line: &mut Line<'_>) -> Result<u64, sqlx::Error> {
    counter(line, "SELECT generation FROM registry").await
}

async fn grow(line: &mut Line<'_>) -> Result<u64, sqlx::Error> {
    let sql = "UPDATE registry SET generation = generation + 1 RETURNING generation";
    counter(line, sql).await
}

/// Reads how often files were swept.
async fn sweeps(line: &mut Line<'_>) -> Result<i64, sqlx::Error> {
    counter(line, "SELECT sweeps FROM registry")
        .await
        .map(number)
}

/// Reads one of the registry's counters.
async fn counter(line: &mut Line<'_>, sql: &str) -> Result<u64, sqlx::Error> {
    let rows = line.rows(sql, Vec::new(), &[Kind::Int]).await?;
    let number = rows.into_iter().next().and_then(|mut row| row.int());
    number
        .map(i64::unsigned_abs)
        .ok_or(sqlx::Error::RowNotFound)
}

/// Counts the modules of a tenant, and those of all.
async fn count(line: &mut Line<'_>, tenant: &str) -> Result<(i64, i64), sqlx::Error> {
    let sql = "SELECT count(*) FILTER (WHERE tenant = $1), count(*) FROM modules \
         WHERE current IS NOT NULL";
    let kinds = [Kind::Int, Kind::Int];
    let rows = line.rows(sql, vec![Value::text(tenant)], &kinds).await?;
    let mut row = rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
    Ok((row.int().unwrap_or(0), row.int().unwrap_or(0)))
}

/// Takes a version's number from a row.
fn version(number: Option<i64>) -> u32 {
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(0)
}

/// Takes a digest from a row.
fn digest(row: &mut Row) -> Result<Digest, sqlx::Error> {
    let text = row.text().unwrap_or_default();
    let undecodable = |error: DigestError| sqlx::Error::Decode(Box::new(error));
    text.parse().map_err(undecodable)
}

/// Makes a number that rows hold.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
