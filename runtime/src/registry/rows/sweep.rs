//! What a collection of garbage takes from rows and folders.

use super::{MODULES, REFUSAL_KEPT};
use crate::database::Statement;
use crate::registry::files::{Files, Found, Kind};
use sqlx::SqliteConnection;
use std::collections::HashSet;
use std::time::Duration;

/// Versions of a module that are kept beside the current one (10): enough to
/// roll back past a bad day.
pub(in crate::registry) const VERSIONS_KEPT: u32 = 10;
/// Most refusals of the compiler that are remembered; the oldest go first.
pub(in crate::registry) const REFUSALS: u32 = 1_000;
/// How long a worker's row stays after it was last seen (1 h), for people who
/// look what ran.
const WORKER_KEPT: Duration = Duration::from_secs(3_600);

/// Takes away rows that nothing needs, and returns how many versions went.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Trim {
    pub(in crate::registry) now_ms: i64,
}

impl Statement for Trim {
    type Output = u64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<u64>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(trim(conn, one.now_ms).await?);
        }
        Ok(done)
    }
}

async fn trim(conn: &mut SqliteConnection, now_ms: i64) -> Result<u64, sqlx::Error> {
    let before =
        |span: Duration| now_ms.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    let versions = sqlx::query(
        "DELETE FROM versions WHERE (tenant, module, version) IN ( \
           SELECT place.tenant, place.module, place.version FROM ( \
             SELECT tenant, module, version, \
               row_number() OVER (PARTITION BY tenant, module ORDER BY version DESC) AS place \
             FROM versions) AS place \
           JOIN modules m ON m.tenant = place.tenant AND m.name = place.module \
           WHERE place.place > ? AND m.current IS NOT place.version)",
    )
    .bind(VERSIONS_KEPT)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    sqlx::query("DELETE FROM components WHERE digest NOT IN (SELECT digest FROM versions)")
        .execute(&mut *conn)
        .await?;
    // Only their numbers are kept of removed modules, and of so many at most.
    sqlx::query(
        "DELETE FROM modules WHERE current IS NULL AND (tenant, name) IN ( \
           SELECT place.tenant, place.name FROM ( \
             SELECT tenant, name, row_number() OVER (PARTITION BY tenant ORDER BY name) AS place \
             FROM modules WHERE current IS NULL) AS place WHERE place.place > ?)",
    )
    .bind(MODULES)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM refusals WHERE refused_at <= ?")
        .bind(before(REFUSAL_KEPT))
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "DELETE FROM refusals WHERE (tenant, digest, compatibility) IN ( \
           SELECT tenant, digest, compatibility FROM refusals ORDER BY refused_at DESC LIMIT -1 OFFSET ?)",
    )
    .bind(REFUSALS)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM workers WHERE seen_at <= ?")
        .bind(before(WORKER_KEPT))
        .execute(&mut *conn)
        .await?;
    Ok(versions)
}

/// Removes files that no row names.
///
/// It is a statement so that it holds the write lock: a push looks for its file
/// under the same lock before its rows name it, so none can lose it in between.
/// It runs after [`Trim`] was committed, so that no row ever names a file that
/// is gone.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Sweep {
    pub(in crate::registry) files: Files,
    pub(in crate::registry) candidates: Vec<Candidate>,
}

/// A file that is old enough to go.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Candidate {
    pub(in crate::registry) found: Found,
    /// It stays if a row names its component.
    pub(in crate::registry) unless_named: bool,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::registry) struct Swept {
    pub(in crate::registry) files: u64,
    pub(in crate::registry) bytes: u64,
}

impl Statement for Sweep {
    type Output = Swept;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<Swept>, sqlx::Error> {
        let named: Vec<String> = sqlx::query_scalar("SELECT digest FROM components")
            .fetch_all(conn)
            .await?;
        let named: HashSet<String> = named.into_iter().collect();
        Ok(batch.iter().map(|one| sweep(one, &named)).collect())
    }
}

fn sweep(sweep: &Sweep, named: &HashSet<String>) -> Swept {
    let mut swept = Swept::default();
    for Candidate {
        found,
        unless_named,
    } in &sweep.candidates
    {
        let named = match &found.kind {
            Kind::Component(digest) | Kind::Artifact { digest, .. } => {
                named.contains(&digest.hex())
            }
            Kind::Aside => false,
        };
        let needed = named && *unless_named;
        // A push that came back to an old file made it new again.
        if !needed && sweep.files.is_as_found(found) && sweep.files.remove(found) {
            swept.files += 1;
            swept.bytes += found.bytes;
        }
    }
    swept
}
