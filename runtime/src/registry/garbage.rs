//! Collecting garbage: old versions, and files that no row names.

use super::bucket::Bucket;
use super::error::RegistryError;
use super::files::{Found, Kind};
use super::rows::{self, Candidate, Sweep, Trim};
use super::{Registry, files::Files};
use jiff::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

/// How long a file that no row names yet is left alone (1 h): far longer than
/// the longest push.
pub const GRACE: Duration = Duration::from_secs(3_600);
/// How long an artifact made for another engine stays (7 days), so that a
/// downgrade need not compile everything again.
pub const FOREIGN_ARTIFACT_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Files that are looked at in one transaction: other writes wait for it.
const SWEEP_FILES: usize = 500;

/// The same of objects of a bucket, each of which is two requests.
const SWEEP_OBJECTS: usize = 50;

/// What a collection took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Versions beyond the newest ten of their module.
    pub versions: u64,
    /// Files of components, artifacts and pushes that never ended.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

impl Registry {
    /// Takes away versions beyond the newest ten of a module (never the current
    /// one), and files that no version needs and no push is writing.
    ///
    /// # Errors
    /// [`RegistryError::Storage`], [`RegistryError::Database`]. What was taken
    /// until then stays taken; collecting again goes on.
    pub async fn collect_garbage(&self) -> Result<Collected, RegistryError> {
        let now = self.clock().now();
        let now_ms = now.as_millisecond();
        let keeps = self.is_replica();
        let versions = self.store().write(Trim { now_ms, keeps }).await?;
        if keeps {
            self.shrink(0, &HashSet::new()).await?;
        }
        let found = self.components().blocking(Files::list).await?;
        let candidates: Vec<_> = found
            .into_iter()
            .filter_map(|one| candidate(one, now))
            .collect();
        let mut collected = Collected {
            versions,
            ..Collected::default()
        };
        self.sweep(candidates, None, &mut collected).await?;
        if let Some(bucket) = self.store().bucket() {
            let named = rows::named(self.store()).await?;
            let before = now.checked_sub(GRACE).unwrap_or(Timestamp::MIN);
            let old = Box::pin(bucket.old(before, &named)).await?.into_iter();
            let candidates = old.map(|found| Candidate {
                found,
                unless_named: true,
            });
            self.sweep(candidates.collect(), Some(bucket), &mut collected)
                .await?;
        }
        if collected != Collected::default() {
            let Collected { files, bytes, .. } = collected;
            tracing::info!(versions, files, bytes, "collected garbage of the registry");
        }
        Ok(collected)
    }

    async fn sweep(
        &self,
        candidates: Vec<Candidate>,
        bucket: Option<&Bucket>,
        collected: &mut Collected,
    ) -> Result<(), RegistryError> {
        let size = bucket.map_or(SWEEP_FILES, |_| SWEEP_OBJECTS);
        for part in candidates.chunks(size) {
            let sweep = Sweep {
                files: self.components().files().clone(),
                bucket: bucket.cloned(),
                candidates: part.to_vec(),
            };
            let swept = self.store().write(sweep).await?;
            collected.files += swept.files;
            collected.bytes += swept.bytes;
        }
        Ok(())
    }
}

fn candidate(found: Found, now: Timestamp) -> Option<Candidate> {
    let age = Duration::try_from(now.duration_since(found.modified)).ok()?;
    if age < GRACE {
        return None;
    }
    let unless_named = match found.kind {
        Kind::Artifact { ours: false, .. } => age < FOREIGN_ARTIFACT_KEPT,
        Kind::Component(_) | Kind::Artifact { ours: true, .. } | Kind::Aside => true,
    };
    Some(Candidate {
        found,
        unless_named,
    })
}
