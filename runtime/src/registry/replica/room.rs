//! The room that the files of a replica have: what no pointer names goes first, the longest
//! unneeded before others, and what one names never, but for code of another engine.

use super::ReplicaError;
use crate::registry::digest::Digest;
use crate::registry::files::{Files, Found, Kind};
use crate::registry::garbage::{FOREIGN_ARTIFACT_KEPT, GRACE};
use crate::registry::rows::{self, Unlist};
use crate::registry::{Registry, RegistryError};
use celeriac_sandbox::UPLOAD_BYTES;
use jiff::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

impl Registry {
    /// Makes room for a component of so many bytes, or says that there is none.
    pub(in crate::registry) async fn make_room(
        &self,
        (digest, bytes): (Digest, u64),
        needed: &HashSet<Digest>,
    ) -> Result<(), RegistryError> {
        if bytes > UPLOAD_BYTES {
            return Err(ReplicaError::TooLarge {
                digest,
                bytes,
                most: UPLOAD_BYTES,
            }
            .into());
        }
        let most = self.store().room().unwrap_or(u64::MAX);
        let left = self.shrink(bytes, needed).await?;
        match left.saturating_add(bytes) <= most {
            true => Ok(()),
            false => Err(ReplicaError::Full { bytes, most }.into()),
        }
    }

    /// Removes files until there is room for so many bytes more, and tells how many bytes
    /// the others have; what `needed` names stays, as does what pointers name.
    pub(in crate::registry) async fn shrink(
        &self,
        bytes: u64,
        needed: &HashSet<Digest>,
    ) -> Result<u64, RegistryError> {
        let Some(most) = self.store().room() else {
            return Ok(0);
        };
        let _alone = self.shrinking().lock().await;
        let mut kept = rows::pointed(self.store()).await?;
        kept.extend(needed);
        let now = self.clock().now();
        let work = move |files: &Files| {
            let found = files.list()?;
            Ok(removed(
                files,
                found,
                (&kept, now),
                most.saturating_sub(bytes),
            ))
        };
        let (gone, left) = self.components().blocking(work).await?;
        if !gone.is_empty() {
            tracing::info!(
                components = gone.len(),
                "removed components that no module needs"
            );
            let digests = gone.into_iter().collect();
            self.store().write(Unlist { digests }).await?;
        }
        Ok(left)
    }
}

/// Removes files until the rest has at most so many bytes, and returns the components that
/// went, and the bytes of the rest.
fn removed(
    files: &Files,
    mut found: Vec<Found>,
    (kept, now): (&HashSet<Digest>, Timestamp),
    most: u64,
) -> (HashSet<Digest>, u64) {
    // Code of another engine is made again by whoever needs it.
    let is_spare = |one: &Found| matches!(one.kind, Kind::Artifact { ours: false, .. });
    found.sort_by_key(|one| (!is_spare(one), one.modified));
    let mut left: u64 = found.iter().map(|one| one.bytes).sum();
    let mut gone = HashSet::new();
    for one in found {
        let age = Duration::try_from(now.duration_since(one.modified)).unwrap_or_default();
        let (digest, goes) = match one.kind {
            // Left by a process that was killed.
            Kind::Aside => (None, age >= GRACE),
            Kind::Artifact { digest, ours } => {
                let is_old = !ours && age >= FOREIGN_ARTIFACT_KEPT;
                let may_go = !ours || !kept.contains(&digest);
                (None, is_old || (left > most && may_go))
            }
            Kind::Component(digest) => (Some(digest), left > most && !kept.contains(&digest)),
        };
        if goes && files.remove(&one) {
            left = left.saturating_sub(one.bytes);
            gone.extend(digest);
        }
    }
    (gone, left)
}
