//! What a collection of garbage takes from rows and folders.

use super::{MODULES, REFUSAL_KEPT};
use crate::registry::bucket::Bucket;
use crate::registry::files::{Files, Found, Kind};
use crate::registry::store::Work;
use crate::sql::{self, Line, Value};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Versions of a module that are kept beside the current one (10): enough to
/// roll back past a bad day.
pub(in crate::registry) const VERSIONS_KEPT: u32 = 10;
/// Most refusals of the compiler that are remembered; the oldest go first.
pub(in crate::registry) const REFUSALS: u32 = 1_000;
/// How long a worker's row stays after it was last seen (1 h), for people who
/// look what ran.
const WORKER_KEPT: Duration = Duration::from_secs(3_600);

/// Longest sweep of a bucket in one transaction (4 s): others wait for it.
const SWEEPING: Duration = Duration::from_secs(4);

/// Takes away rows that nothing needs, and returns how many versions went.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Trim {
    pub(in crate::registry) now_ms: i64,
    /// Whether components stay that no version names: a replica may need them again.
    pub(in crate::registry) keeps: bool,
}

/// Versions beyond those that are kept.
const OLD: &str = "DELETE FROM versions WHERE (tenant, module, version) IN ( \
     SELECT place.tenant, place.module, place.version FROM ( \
       SELECT tenant, module, version, \
         row_number() OVER (PARTITION BY tenant, module ORDER BY version DESC) AS place \
       FROM versions) AS place \
     JOIN modules m ON m.tenant = place.tenant AND m.name = place.module \
     WHERE place.place > $1 AND m.current IS DISTINCT FROM place.version)";
/// Only their numbers are kept of removed modules, and of so many of each tenant at most.
const REMOVED: &str = "DELETE FROM modules WHERE current IS NULL AND (tenant, name) IN ( \
     SELECT place.tenant, place.name FROM ( \
       SELECT tenant, name, row_number() OVER (PARTITION BY tenant ORDER BY name) AS place \
       FROM modules WHERE current IS NULL) AS place WHERE place.place > $1)";
/// Refusals beyond those that are remembered.
const FORGOTTEN: &str = "DELETE FROM refusals WHERE (tenant, digest, compatibility) IN ( \
     SELECT place.tenant, place.digest, place.compatibility FROM ( \
       SELECT tenant, digest, compatibility, \
         row_number() OVER (ORDER BY refused_at DESC) AS place \
       FROM refusals) AS place WHERE place.place > $1)";

impl Work for Trim {
    type Output = u64;

    async fn work(&self, line: &mut Line<'_>) -> Result<u64, sqlx::Error> {
        let before = |span: Duration| {
            let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            vec![Value::from(self.now_ms.saturating_sub(span))]
        };
        let most = |most: u32| vec![Value::from(i64::from(most))];
        let versions = line.execute(OLD, most(VERSIONS_KEPT)).await?;
        let unnamed = "DELETE FROM components WHERE digest NOT IN (SELECT digest FROM versions)";
        if !self.keeps {
            line.execute(unnamed, Vec::new()).await?;
        }
        line.execute(REMOVED, most(MODULES)).await?;
        let old = "DELETE FROM refusals WHERE refused_at <= $1";
        line.execute(old, before(REFUSAL_KEPT)).await?;
        line.execute(FORGOTTEN, most(REFUSALS)).await?;
        let gone = "DELETE FROM workers WHERE seen_at <= $1";
        line.execute(gone, before(WORKER_KEPT)).await?;
        Ok(versions)
    }
}

/// Removes files that no row names.
///
/// It is a change so that it holds the write lock: a push looks under the same lock, before
/// its rows name its component, whether something was swept since it stored the bytes, so
/// none can lose them in between. It runs after [`Trim`] was committed, so that no row ever names a file that
/// is gone.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Sweep {
    pub(in crate::registry) files: Files,
    /// Where they are objects of a bucket.
    pub(in crate::registry) bucket: Option<Bucket>,
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

impl Work for Sweep {
    type Output = Swept;

    async fn work(&self, line: &mut Line<'_>) -> Result<Swept, sqlx::Error> {
        let sql = "SELECT digest FROM components";
        let named = line.rows(sql, Vec::new(), &[sql::Kind::Text]).await?;
        let named = named.into_iter().filter_map(|mut row| row.text());
        let swept = self.sweep(&named.collect()).await;
        if swept.files > 0 {
            // A push that stored its bytes before this stores them again.
            let sql = "UPDATE registry SET sweeps = sweeps + 1";
            line.execute(sql, Vec::new()).await?;
        }
        Ok(swept)
    }
}

impl Sweep {
    async fn sweep(&self, named: &HashSet<String>) -> Swept {
        let (begun, mut swept) = (Instant::now(), Swept::default());
        for Candidate {
            found,
            unless_named,
        } in &self.candidates
        {
            let named = match &found.kind {
                Kind::Component(digest) | Kind::Artifact { digest, .. } => {
                    named.contains(&digest.hex())
                }
                Kind::Aside => false,
            };
            let needed = named && *unless_named;
            if needed {
                continue;
            }
            // A push that came back to an old file made it new again.
            let removed = match &self.bucket {
                Some(_) if begun.elapsed() > SWEEPING => return swept,
                Some(bucket) => Box::pin(bucket.remove(found)).await,
                None => self.files.is_as_found(found) && self.files.remove(found),
            };
            if removed {
                swept.files += 1;
                swept.bytes += found.bytes;
            }
        }
        swept
    }
}
