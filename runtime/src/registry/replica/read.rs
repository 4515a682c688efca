//! Where a control plane says that modules point, read and checked.

use super::ReplicaError;
use crate::plane::{WorkerCanary, WorkerModule, WorkerModules, WorkerVersion};
use crate::registry::digest::Digest;
use crate::registry::rows::{Beside, Goal, MODULES_OF_ALL, Version};
use crate::task::{ModuleName, Portion, TenantName};
use std::collections::{HashMap, HashSet};

/// Where a control plane says that all modules point.
#[derive(Debug, Clone)]
pub struct ModuleCopy {
    pub(super) server: String,
    pub(super) installation: String,
    pub(super) generation: u64,
    goals: Vec<Goal>,
    bytes: HashMap<Digest, u64>,
    /// Modules that cannot be read: they stay as they are.
    unread: HashSet<(TenantName, ModuleName)>,
    /// How many cannot be read, those without a readable name too.
    unreadable: usize,
}

/// What is done of a copy: where modules point, which stay as they are, and how many are not
/// as they should be.
type Doable = (Vec<Goal>, HashSet<(TenantName, ModuleName)>, usize);

impl ModuleCopy {
    /// Reads what a server told; `None` where that was nothing new. A module that cannot be
    /// read keeps no other from being followed.
    ///
    /// # Errors
    /// [`ReplicaError::TooMany`].
    pub fn read(server: &str, told: WorkerModules) -> Result<Option<Self>, ReplicaError> {
        let Some(modules) = told.modules else {
            return Ok(None);
        };
        super::at_most("modules", modules.len(), MODULES_OF_ALL as usize)?;
        let mut copy = Self {
            server: server.to_owned(),
            installation: told.installation,
            generation: told.generation,
            goals: Vec::with_capacity(modules.len()),
            bytes: HashMap::new(),
            unread: HashSet::new(),
            unreadable: 0,
        };
        for module in modules {
            let (tenant, name) = (module.tenant.clone(), module.name.parse());
            match goal(&module) {
                Ok(goal) => {
                    copy.expect(&module);
                    copy.goals.push(goal);
                }
                Err(reason) => {
                    copy.unreadable += 1;
                    tracing::error!(
                        %tenant, module = module.name, reason,
                        "a module of the control plane cannot be read and stays as it is here; upgrade this worker"
                    );
                    copy.unread.extend(name.ok().map(|name| (tenant, name)));
                }
            }
        }
        Ok(Some(copy))
    }

    /// Tells whether it is of an installation.
    #[must_use]
    pub fn is_of(&self, installation: &str) -> bool {
        self.installation == installation
    }

    /// Returns the components that it names.
    #[must_use]
    pub fn digests(&self) -> HashSet<Digest> {
        self.bytes.keys().copied().collect()
    }

    /// Returns the components that it names, and the sizes they should have.
    pub(super) fn components(&self) -> HashMap<Digest, u64> {
        self.bytes.clone()
    }

    fn expect(&mut self, module: &WorkerModule) {
        let canary = module.canary.as_ref().map(|canary| &canary.version);
        for version in std::iter::once(&module.current).chain(canary) {
            if let Ok(digest) = version.digest.parse() {
                self.bytes.insert(digest, version.bytes);
            }
        }
    }

    /// Leaves out what needs components that are lacking.
    pub(super) fn without(&self, lacking: &HashSet<Digest>) -> Doable {
        let mut stuck = self.unread.clone();
        let mut missing = self.unreadable;
        let mut goals = Vec::with_capacity(self.goals.len());
        for goal in &self.goals {
            if lacking.contains(&goal.current.digest) {
                stuck.insert((goal.tenant.clone(), goal.module.clone()));
                missing += 1;
                continue;
            }
            let mut goal = goal.clone();
            let lacks = |canary: &Beside| lacking.contains(&canary.version.digest);
            if goal.canary.as_ref().is_some_and(lacks) {
                // The current version gets its tasks meanwhile.
                goal.canary = None;
                missing += 1;
            }
            goals.push(goal);
        }
        (goals, stuck, missing)
    }
}

fn goal(module: &WorkerModule) -> Result<Goal, String> {
    let canary = module.canary.as_ref().map(canary).transpose()?;
    let current = version(&module.current)?;
    if canary
        .as_ref()
        .is_some_and(|canary| canary.version.version == current.version)
    {
        return Err("its canary is its current version".to_owned());
    }
    Ok(Goal {
        tenant: module.tenant.clone(),
        module: module.name.parse().map_err(text)?,
        pinned: module.pinned,
        current,
        canary,
    })
}

fn version(told: &WorkerVersion) -> Result<Version, String> {
    if told.version == 0 {
        return Err("versions count from 1".to_owned());
    }
    let release = told.release.as_ref().map(|release| release.parse());
    Ok(Version {
        version: told.version,
        digest: told.digest.parse().map_err(text)?,
        release: release.transpose().map_err(text)?,
        pushed_at_ms: told.pushed_at_ms,
    })
}

fn canary(told: &WorkerCanary) -> Result<Beside, String> {
    let portion = |parts: u16| Portion::try_from(i64::from(parts)).map_err(text);
    Ok(Beside {
        version: version(&told.version)?,
        share: portion(told.share_parts)?,
        runs: told.runs,
        points: portion(told.points_parts)?,
        began_at_ms: told.began_at_ms,
    })
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}
