//! A push beside the current version: what it changes, and whether it may.

use super::{Before, Pushed, Wishes, json};
use crate::policy::compat::{self, Changes, Finding};
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::refused::VersionRefused;
use crate::registry::rows::{self, Against, Published};
use crate::registry::{Registry, VersionInfo};
use crate::task::{ModuleName, Release, TenantName};
use celeriac_sandbox::TaskInfo;
use std::collections::BTreeSet;

/// What a push changes.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) before: Option<Before>,
    changes: Changes,
    breaks: Vec<Finding>,
}

/// Where a push took its place, or would.
#[derive(Debug)]
pub(super) struct Placed {
    version: u32,
    generation: u64,
    runs: bool,
    unchanged: bool,
}

impl Registry {
    /// Compares a push with the current version, and refuses it where it breaks callers
    /// without leave.
    pub(super) async fn compare(
        &self,
        (tenant, module): (&TenantName, &ModuleName),
        tasks: &[TaskInfo],
        wishes: &Wishes,
    ) -> Result<Compared, RegistryError> {
        let versions = rows::versions(self.store(), tenant, module).await?;
        let current = versions.into_iter().find(|version| version.current);
        let (old, before) = match current {
            Some(VersionInfo {
                version,
                release,
                bytes,
                tasks,
                ..
            }) => {
                let before = Before {
                    version,
                    release,
                    bytes,
                };
                (Some(tasks), Some(before))
            }
            None => (None, None),
        };
        let new = tasks.to_vec();
        let compare = move |_: &_| {
            let breaks = old.as_deref().map(|old| compat::breaks(old, &new));
            let changes = compat::changes(old.as_deref().unwrap_or_default(), &new);
            Ok((breaks.unwrap_or_default(), changes))
        };
        let (breaks, changes) = self.components().blocking(compare).await?;
        match &before {
            Some(before) if !breaks.is_empty() && !wishes.breaking && !wishes.dry => {
                Err(VersionRefused::Breaks {
                    module: module.clone(),
                    from: before.version,
                    findings: breaks,
                }
                .into())
            }
            Some(_) | None => Ok(Compared {
                before,
                changes,
                breaks,
            }),
        }
    }
}

impl Compared {
    /// Returns what it breaks with leave, as it is kept.
    pub(super) fn allowed(&self) -> Result<Option<String>, RegistryError> {
        match self.breaks.as_slice() {
            [] => Ok(None),
            breaks => json(&breaks).map(Some),
        }
    }

    /// Puts together what is told of a push.
    pub(super) fn pushed(
        self,
        (module, release): (&ModuleName, Option<&Release>),
        placed: Placed,
        (tasks, imports): (Vec<TaskInfo>, Vec<String>),
        (digest, bytes): (Digest, u64),
    ) -> Pushed {
        let asks_for = tasks.iter().flat_map(|task| task.wants.iter().cloned());
        let asks_for = asks_for.collect::<BTreeSet<_>>().into_iter().collect();
        let kept = self.before.as_ref().filter(|_| placed.unchanged);
        let kept = kept.and_then(|before| before.release.as_ref());
        Pushed {
            module: module.clone(),
            version: placed.version,
            release: release.or(kept).cloned(),
            runs: placed.runs,
            before: self.before,
            changes: self.changes,
            breaks: self.breaks,
            digest,
            bytes,
            tasks,
            asks_for,
            imports,
            unchanged: placed.unchanged,
            generation: placed.generation,
        }
    }
}

/// Reads what became of a push; `None` where it must be tried again.
pub(super) fn placed(
    (tenant, module): (&TenantName, &ModuleName),
    wishes: &Wishes,
    published: Published,
) -> Result<Option<Placed>, RegistryError> {
    let place = |version, generation, runs, unchanged| {
        Ok(Some(Placed {
            version,
            generation,
            runs,
            unchanged,
        }))
    };
    match published {
        Published::New {
            version,
            generation,
            runs,
        } => place(version, generation, runs, false),
        Published::Unchanged {
            version,
            generation,
        } => place(version, generation, true, true),
        Published::Would { generation } => place(0, generation, false, false),
        Published::Swept | Published::Moved => Ok(None),
        Published::Full => Err(RegistryError::Full {
            most: rows::MODULES,
        }),
        Published::Crowded => Err(RegistryError::Crowded {
            most: rows::MODULES_OF_ALL,
        }),
        Published::Over(over) => Err(RegistryError::ModuleBytes {
            tenant: tenant.clone(),
            kept: over.kept,
            adds: over.adds,
            most: over.most,
        }),
        Published::Against(against) => Err(refused(module, wishes, against).into()),
    }
}

fn refused(module: &ModuleName, wishes: &Wishes, against: Against) -> VersionRefused {
    let module = module.clone();
    match (against, &wishes.release) {
        (Against::Taken(version), Some(release)) => VersionRefused::Taken {
            module,
            release: release.clone(),
            version,
        },
        (Against::Older(current), Some(release)) => VersionRefused::Older {
            module,
            release: release.clone(),
            current,
        },
        (Against::Pinned(version) | Against::Taken(version), _) => {
            VersionRefused::Pinned { module, version }
        }
        (Against::Alone | Against::Older(_), _) => VersionRefused::Alone { module },
    }
}
