//! One version of one module in a worker's memory.

use super::trouble::Troubles;
use crate::registry::components::{Components, Held};
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::rows::Pointer;
use crate::task::{ModuleName, TaskName, TenantName};
use celeriac_sandbox::{Component, TaskInfo};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The code of one task, ready to run.
#[derive(Debug)]
pub struct Loaded {
    /// The tenant.
    pub tenant: TenantName,
    /// The module.
    pub module: ModuleName,
    /// Its version.
    pub version: u32,
    /// The component.
    pub digest: Digest,
    /// What the component says about this task.
    pub task: TaskInfo,
    /// The component, with every task of the module.
    pub component: Component,
    /// Lets others find the same component while this one is alive.
    _held: Arc<Held>,
}

impl Loaded {
    /// Names the module apart from those of other tenants: `MODULE` of `default`, and
    /// `TENANT/MODULE` of others.
    #[must_use]
    pub fn known_as(&self) -> String {
        known_as(&self.tenant, &self.module)
    }
}

fn known_as(tenant: &TenantName, module: &ModuleName) -> String {
    match tenant.is_default() {
        true => module.to_string(),
        false => format!("{tenant}/{module}"),
    }
}

/// A version of a module: known by its pointer, and loaded or not.
#[derive(Debug)]
pub(super) struct Module {
    pointer: Pointer,
    ready: RwLock<Option<Ready>>,
    used: AtomicU64,
    troubles: Troubles,
}

#[derive(Debug)]
struct Ready {
    tasks: HashMap<String, Arc<Loaded>>,
    bytes: u64,
}

impl Module {
    pub(super) fn new(pointer: Pointer) -> Self {
        Self {
            pointer,
            ready: RwLock::new(None),
            used: AtomicU64::new(0),
            troubles: Troubles::default(),
        }
    }

    pub(super) fn tenant(&self) -> &TenantName {
        &self.pointer.tenant
    }

    pub(super) fn name(&self) -> &ModuleName {
        &self.pointer.module
    }

    /// Returns its name for the operator, with that of its tenant.
    pub(super) fn known_as(&self) -> String {
        known_as(&self.pointer.tenant, &self.pointer.module)
    }

    /// Returns its name and version for the operator.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.known_as(), self.pointer.version)
    }

    /// Tells whether it is what a pointer names.
    pub(super) fn is(&self, pointer: &Pointer) -> bool {
        self.pointer.version == pointer.version && self.pointer.digest == pointer.digest
    }

    pub(super) fn version(&self) -> u32 {
        self.pointer.version
    }

    pub(super) fn digest(&self) -> Digest {
        self.pointer.digest
    }

    pub(super) fn has(&self, task: &str) -> bool {
        self.pointer.tasks.iter().any(|info| info.name == task)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = TaskName> {
        let name = |info: &TaskInfo| TaskName {
            module: self.pointer.module.clone(),
            task: info.name.clone(),
        };
        self.pointer.tasks.iter().map(name)
    }

    /// Returns a task's code if it is loaded.
    pub(super) fn loaded(&self, task: &str) -> Option<Arc<Loaded>> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        ready.as_ref()?.tasks.get(task).cloned()
    }

    /// Returns the bytes of native code if it is loaded.
    pub(super) fn weight(&self) -> Option<u64> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        ready.as_ref().map(|ready| ready.bytes)
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.weight().is_some()
    }

    /// Loads the component and keeps it.
    pub(super) async fn load(&self, components: &Components) -> Result<(), RegistryError> {
        let held = self.held(components).await?;
        let tasks = self.pointer.tasks.iter();
        let tasks = tasks
            .map(|info| (info.name.clone(), Arc::new(self.code(info, &held))))
            .collect();
        let ready = Ready {
            tasks,
            bytes: held.bytes,
        };
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(ready);
        Ok(())
    }

    /// Tells whether there is native code of it for this engine.
    pub(super) fn is_compiled(&self, components: &Components) -> bool {
        components.is_compiled(self.pointer.digest)
    }

    /// Has the component compiled where that must be, and keeps it no longer than others do.
    pub(super) async fn prepare(&self, components: &Components) -> Result<(), RegistryError> {
        self.held(components).await.map(|_| ())
    }

    /// Loads the component for one use.
    pub(super) async fn obtain(
        &self,
        components: &Components,
        task: &str,
    ) -> Result<Arc<Loaded>, RegistryError> {
        let held = self.held(components).await?;
        let digest = self.pointer.digest;
        let info = self.pointer.tasks.iter().find(|info| info.name == task);
        let info = info.ok_or(RegistryError::Damaged { digest })?;
        Ok(Arc::new(self.code(info, &held)))
    }

    async fn held(&self, components: &Components) -> Result<Arc<Held>, RegistryError> {
        let Pointer {
            tenant,
            module,
            digest,
            ..
        } = &self.pointer;
        let held = components.get(*digest, (tenant, module.as_str())).await?;
        self.troubles.is_over();
        Ok(held)
    }

    pub(super) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    fn code(&self, info: &TaskInfo, held: &Arc<Held>) -> Loaded {
        Loaded {
            tenant: self.pointer.tenant.clone(),
            module: self.pointer.module.clone(),
            version: self.pointer.version,
            digest: self.pointer.digest,
            task: info.clone(),
            component: held.component.clone(),
            _held: Arc::clone(held),
        }
    }

    /// Forgets the component; attempts that run keep it.
    pub(super) fn unload(&self) {
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn use_at(&self, moment: u64) {
        self.used.store(moment, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
