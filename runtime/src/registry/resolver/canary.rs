//! A worker's side of canaries: which tasks run them, and how runs end.

use super::module::{Loaded, Module};
use super::{Resolution, Resolver};
use crate::policy::canary::{Ends, is_chosen};
use crate::registry::canary::CanaryEnds;
use crate::registry::error::RegistryError;
use crate::task::{ModuleName, Portion, TaskId, TaskName, TenantName};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often runs that ended are added to the registry's rows (1 s).
const COUNT: Duration = Duration::from_secs(1);

/// A version that gets a share of a module's tasks.
#[derive(Debug, Clone)]
pub(super) struct Canary {
    pub(super) share: Portion,
    pub(super) module: Arc<Module>,
}

impl Canary {
    fn takes(&self, name: &TaskName, task: &TaskId) -> bool {
        let (module, version) = (self.module.name(), self.module.version());
        self.module.has(&name.task) && is_chosen(self.share, module, version, task)
    }
}

/// Which of two versions of a module ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that gets a share.
    Canary,
    /// The current one.
    Current,
}

/// How runs ended here that the rows do not know yet: at most as many as canaries run.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ends: Mutex<HashMap<Beside, (Ends, Ends)>>,
    aborted: AtomicU64,
}

/// A canary that runs: its tenant, module and version.
pub(super) type Beside = (TenantName, ModuleName, u32);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, HashMap<Beside, (Ends, Ends)>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, canary: Beside, (new, old): (Ends, Ends)) {
        let mut ends = self.lock();
        let (canary, current) = ends.entry(canary).or_default();
        *canary = canary.and(new);
        *current = current.and(old);
    }
}

impl Resolver {
    /// Tells which code a task of a tenant is, where the task's id may choose between the
    /// current version and a canary. A canary that cannot be loaded is aborted.
    ///
    /// # Errors
    /// As [`Resolver::resolve`].
    pub async fn resolve_for(
        &self,
        tenant: &TenantName,
        name: &TaskName,
        task: &TaskId,
    ) -> Result<Resolution, RegistryError> {
        let canary = self.snapshot().canary(tenant, &name.module).cloned();
        if let Some(canary) = canary.filter(|canary| canary.takes(name, task)) {
            match self.code(&canary.module, name).await {
                Err(error) if error.lasts() => Box::pin(self.unfit(&canary.module, &error)).await?,
                found => return found.map(Resolution::Known),
            }
        }
        self.resolve(tenant, name).await
    }

    /// Notes how a run ended, where a canary runs beside it, and tells on which side it was.
    pub fn ended(&self, code: &Loaded, failed: bool) -> Option<Side> {
        let snapshot = self.snapshot();
        let canary = snapshot.canary(&code.tenant, &code.module)?;
        let version = canary.module.version();
        let end = Ends {
            ended: 1,
            failed: u64::from(failed),
        };
        let none = Ends::default();
        let current = snapshot.module(&code.tenant, &code.module);
        let (side, ends) = if code.version == version {
            (Side::Canary, (end, none))
        } else if current.is_some_and(|current| current.version() == code.version) {
            (Side::Current, (none, end))
        } else {
            return None;
        };
        let beside = (code.tenant.clone(), code.module.clone(), version);
        self.0.counts.add(beside, ends);
        Some(side)
    }

    /// Returns how many canaries this worker aborted.
    #[must_use]
    pub fn aborted(&self) -> u64 {
        self.0.counts.aborted.load(Ordering::Relaxed)
    }

    /// Adds the ends of runs to the registry's rows each second; never ends.
    pub(super) async fn count(&self) {
        let mut beats = tokio::time::interval(COUNT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.add_up().await;
        }
    }

    /// Adds the ends of runs to the registry's rows. What cannot be written is tried again.
    pub(in crate::registry) async fn add_up(&self) {
        let counted: Vec<_> = self.0.counts.lock().drain().collect();
        let is_replica = self.0.registry.is_replica();
        for (beside, ends) in counted {
            let (tenant, module, version) = beside.clone();
            let counted = CanaryEnds {
                tenant,
                module,
                version,
                canary: ends.0,
                current: ends.1,
            };
            let tallied = self.0.registry.tally(counted).await;
            if is_replica && tallied.is_ok() {
                self.0.outbox.add(beside.clone(), ends);
            }
            match tallied {
                Ok(None) => {}
                Ok(Some(reason)) => {
                    self.0.counts.aborted.fetch_add(1, Ordering::Relaxed);
                    let (tenant, module, version) = beside;
                    tracing::warn!(%tenant, %module, version, reason, "the canary fails and was aborted; the current version gets all tasks");
                }
                Err(error) => {
                    tracing::warn!(%error, "how runs of a canary ended cannot be written; tried again");
                    self.0.counts.add(beside, ends);
                }
            }
        }
    }

    /// Ends a canary that cannot be loaded.
    pub(super) async fn unfit(
        &self,
        module: &Module,
        error: &RegistryError,
    ) -> Result<(), RegistryError> {
        self.0.counts.aborted.fetch_add(1, Ordering::Relaxed);
        let reason = format!("it cannot be loaded: {error}");
        let (tenant, name) = (module.tenant(), module.name());
        let registry = &self.0.registry;
        if registry.is_replica() {
            let beside = (tenant.clone(), name.clone(), module.version());
            self.0.outbox.unfit(beside, &reason);
        }
        registry
            .give_up(tenant, name, module.version(), reason)
            .await
    }
}
