//! Where the modules of a replica point: what a control plane told, written as if it had
//! happened here.

use super::canary::{forget, owned};
use super::news::Description;
use super::replica::{Origin, Part, note};
use super::{COMPONENT, generation, grow, number, version};
use crate::registry::digest::Digest;
use crate::registry::store::Work;
use crate::sql::{Kind, Line, Row, Value};
use crate::task::{ModuleName, Portion, Release, TenantName};
use std::collections::{HashMap, HashSet};

/// Where one module is to point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Goal {
    pub(in crate::registry) tenant: TenantName,
    pub(in crate::registry) module: ModuleName,
    pub(in crate::registry) pinned: bool,
    pub(in crate::registry) current: Version,
    pub(in crate::registry) canary: Option<Beside>,
}

/// A version that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Version {
    pub(in crate::registry) version: u32,
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) release: Option<Release>,
    pub(in crate::registry) pushed_at_ms: i64,
}

/// A canary that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Beside {
    pub(in crate::registry) version: Version,
    pub(in crate::registry) share: Portion,
    pub(in crate::registry) runs: u64,
    pub(in crate::registry) points: Portion,
    pub(in crate::registry) began_at_ms: i64,
}

impl Goal {
    fn owner(&self) -> (&str, &str) {
        (self.tenant.as_str(), self.module.as_str())
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        let canary = self.canary.as_ref().map(|canary| &canary.version);
        std::iter::once(&self.current).chain(canary)
    }

    /// What stands for it in a comparison.
    fn shape(&self) -> Shape {
        let canary = self.canary.as_ref();
        Shape {
            current: self.current.version,
            digest: self.current.digest.hex(),
            pinned: self.pinned,
            canary: canary.map(|canary| {
                (
                    canary.version.version,
                    canary.version.digest.hex(),
                    canary.began_at_ms,
                )
            }),
            share: canary.map(|canary| i64::from(canary.share.parts())),
        }
    }
}

/// What pointers of a module are compared by.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    current: u32,
    digest: String,
    pinned: bool,
    canary: Option<(u32, String, i64)>,
    share: Option<i64>,
}

/// Points all modules as a control plane does.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Follow {
    /// Its number is 0 where something is missing.
    pub(in crate::registry) origin: Origin,
    pub(in crate::registry) goals: Vec<Goal>,
    /// Modules that stay as they are: their components cannot be had.
    pub(in crate::registry) stuck: HashSet<(TenantName, ModuleName)>,
    /// Components that are new here; their files are there.
    pub(in crate::registry) described: Vec<Description>,
}

impl Work for Follow {
    /// How many modules were changed or removed.
    type Output = usize;

    async fn work(&self, line: &mut Line<'_>) -> Result<usize, sqlx::Error> {
        for one in &self.described {
            let values = vec![
                Value::text(&one.digest.hex()),
                Value::from(number(one.bytes)),
                Value::text(&one.tasks),
                Value::text(&one.imports),
            ];
            line.execute(COMPONENT, values).await?;
        }
        let mut before = shapes(line).await?;
        let mut changed = 0;
        for goal in &self.goals {
            let (tenant, module) = goal.owner();
            let was = before.remove(&(tenant.to_owned(), module.to_owned()));
            if was.as_ref() != Some(&goal.shape()) {
                point(line, goal).await?;
                changed += 1;
            }
        }
        for (tenant, module) in before.into_keys() {
            let is_stuck = self
                .stuck
                .iter()
                .any(|(owner, name)| owner.as_str() == tenant && name.as_str() == module);
            if !is_stuck {
                remove(line, (&tenant, &module)).await?;
                changed += 1;
            }
        }
        let own = match changed {
            0 => generation(line).await?,
            _ => grow(line).await?,
        };
        note(line, Part::Modules, (&self.origin, own), None).await?;
        Ok(changed)
    }
}

/// Reads where all modules point. The state of a canary is ours: one that ended here stays so.
async fn shapes(line: &mut Line<'_>) -> Result<HashMap<(String, String), Shape>, sqlx::Error> {
    let sql = "SELECT m.tenant, m.name, m.current, v.digest, m.pinned, \
           k.version, w.digest, k.began_at, k.share \
         FROM modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name AND v.version = m.current \
         LEFT JOIN (canaries k JOIN versions w ON w.tenant = k.tenant AND w.module = k.module \
           AND w.version = k.version) ON k.tenant = m.tenant AND k.module = m.name \
         WHERE m.current IS NOT NULL";
    let kinds = [
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Int,
    ];
    let rows = line.rows(sql, Vec::new(), &kinds).await?;
    let read = |mut row: Row| {
        let key = (row.text()?, row.text()?);
        let (current, digest) = (version(row.int()), row.text()?);
        let pinned = row.int() == Some(1);
        let canary = (row.int(), row.text(), row.int());
        let canary = match canary {
            (Some(number), Some(digest), Some(began)) => {
                Some((version(Some(number)), digest, began))
            }
            _ => None,
        };
        let share = row.int();
        let shape = Shape {
            current,
            digest,
            pinned,
            canary,
            share,
        };
        Some((key, shape))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Points one module.
async fn point(line: &mut Line<'_>, goal: &Goal) -> Result<(), sqlx::Error> {
    let owner = goal.owner();
    let newest = goal.versions().map(|one| one.version).max().unwrap_or(1);
    let sql = "INSERT INTO modules (tenant, name, current, newest, pinned) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, name) DO UPDATE \
         SET current = excluded.current, newest = max(modules.newest, excluded.newest), \
           pinned = excluded.pinned";
    let mut values = owned(owner);
    values.extend([
        Value::from(i64::from(goal.current.version)),
        Value::from(i64::from(newest)),
        Value::from(i64::from(goal.pinned)),
    ]);
    line.execute(sql, values).await?;
    // First of all: a name that was another version's is free then.
    let gone = "DELETE FROM versions WHERE tenant = $1 AND module = $2";
    line.execute(gone, owned(owner)).await?;
    for one in goal.versions() {
        let sql = "INSERT INTO versions (tenant, module, version, digest, pushed_at, release) \
             VALUES ($1, $2, $3, $4, $5, $6)";
        let release = one.release.as_ref().map(ToString::to_string);
        let mut values = owned(owner);
        values.extend([
            Value::from(i64::from(one.version)),
            Value::text(&one.digest.hex()),
            Value::from(one.pushed_at_ms),
            Value::maybe(release.as_deref()),
        ]);
        line.execute(sql, values).await?;
    }
    match &goal.canary {
        None => forget(line, owner).await,
        Some(canary) => beside(line, owner, canary).await,
    }
}

/// Begins a canary, or changes the one that is there: how runs of it ended here stays.
async fn beside(
    line: &mut Line<'_>,
    owner: (&str, &str),
    canary: &Beside,
) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM canaries WHERE tenant = $1 AND module = $2 \
         AND NOT (version = $3 AND began_at = $4)";
    let mut values = owned(owner);
    values.extend([
        Value::from(i64::from(canary.version.version)),
        Value::from(canary.began_at_ms),
    ]);
    line.execute(sql, values).await?;
    let sql = "INSERT INTO canaries \
           (tenant, module, version, share, runs, points, state, reason, began_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'runs', '', $7) \
         ON CONFLICT (tenant, module) DO UPDATE \
         SET share = excluded.share, runs = excluded.runs, points = excluded.points";
    let mut values = owned(owner);
    values.extend([
        Value::from(i64::from(canary.version.version)),
        Value::from(i64::from(canary.share.parts())),
        Value::from(number(canary.runs)),
        Value::from(i64::from(canary.points.parts())),
        Value::from(canary.began_at_ms),
    ]);
    line.execute(sql, values).await.map(drop)
}

async fn remove(line: &mut Line<'_>, owner: (&str, &str)) -> Result<(), sqlx::Error> {
    let sql = "UPDATE modules SET current = NULL, pinned = 0 WHERE tenant = $1 AND name = $2";
    line.execute(sql, owned(owner)).await?;
    forget(line, owner).await?;
    let sql = "DELETE FROM versions WHERE tenant = $1 AND module = $2";
    line.execute(sql, owned(owner)).await.map(drop)
}
