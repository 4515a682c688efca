//! The worker's side: which code is this task?
//!
//! A resolver keeps the pointers of all modules of all tenants in memory, and the components
//! that are used most. Each question names the tenant that asks, and nothing of others is in
//! the answer. [`Resolver::resolve`] reads only memory unless a
//! component must be loaded first. [`Resolver::run`] follows the registry: a
//! changed module is loaded before its pointer moves, so that no attempt waits
//! for it; attempts that run keep what they have.

mod canary;
mod follow;
mod missing;
mod module;
mod relay;
mod switch;
mod trouble;

pub use canary::Side;
pub use missing::Missing;
pub use module::Loaded;
pub use switch::Guarded;
pub use trouble::Trouble;

use super::components::Components;
use super::error::RegistryError;
use super::rows::{self, Pointer, Pointers};
use super::{Registry, moment};
use crate::task::{ModuleName, TaskName, TenantName};
use canary::{Canary, Counts};
use jiff::Timestamp;
use module::Module;
use relay::Outbox;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use switch::Switch;

/// What a worker keeps loaded: 64 modules, because it rarely serves more at the
/// same time, and 1 GiB of native code, of which Python's component weighs some
/// 60 MiB and a small one less than one. One module is kept in any case.
const ROOM: Room = Room {
    modules: 64,
    bytes: 1 << 30,
};

/// Names a worker to those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    id: String,
    name: String,
    pid: u32,
    started_at: Timestamp,
}

/// What a task name stands for.
#[derive(Debug, Clone)]
pub enum Resolution {
    /// This code.
    Known(Arc<Loaded>),
    /// No module of that name, or no such task in it.
    Unknown,
}

/// Tells which code a task is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    worker: Worker,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Counts resolutions: the module with the lowest count was used longest ago.
    uses: AtomicU64,
    room: Room,
    switch: Arc<Switch>,
    counts: Counts,
    /// Of a replica: what its control plane is to be told.
    outbox: Outbox,
}

/// How much a worker keeps loaded.
#[derive(Debug, Clone, Copy)]
struct Room {
    modules: usize,
    bytes: u64,
}

/// Where all modules point, at one generation.
#[derive(Debug)]
struct Snapshot {
    generation: u64,
    tenants: HashMap<TenantName, Owned>,
    /// All of them, with the canaries, the most recently pushed first.
    order: Vec<Arc<Module>>,
}

/// The modules of one tenant.
#[derive(Debug, Default)]
struct Owned {
    modules: HashMap<ModuleName, Arc<Module>>,
    /// What gets a share of the tasks of one of them.
    canaries: HashMap<ModuleName, Canary>,
    /// The modules, the most recently pushed first.
    order: Vec<Arc<Module>>,
}

impl Registry {
    /// Returns a resolver that knows the modules of this moment; it follows
    /// later ones while its [`Resolver::run`] runs. `worker` is its name for
    /// people, as in `celery@host`.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn resolver(&self, worker: &str) -> Result<Resolver, RegistryError> {
        let kills = rows::kills(self.store()).await?;
        let pointers = rows::pointers(self.store()).await?;
        let snapshot = Snapshot::after(None, pointers);
        Ok(Resolver(Arc::new(Inner {
            registry: self.clone(),
            worker: Worker {
                id: uuid::Uuid::new_v4().to_string(),
                name: worker.to_owned(),
                pid: std::process::id(),
                started_at: moment(self.clock().now_ms()),
            },
            snapshot: RwLock::new(Arc::new(snapshot)),
            uses: AtomicU64::new(0),
            room: ROOM,
            switch: Arc::new(Switch::new(kills)),
            counts: Counts::default(),
            outbox: Outbox::default(),
        })))
    }
}

impl Resolver {
    /// Tells which code a task of a tenant is, loading it first if it was not used lately.
    ///
    /// # Errors
    /// [`RegistryError`] when the code is known but cannot be loaded: no
    /// attempt was made, the message should wait.
    pub async fn resolve(
        &self,
        tenant: &TenantName,
        name: &TaskName,
    ) -> Result<Resolution, RegistryError> {
        let Some(module) = self.snapshot().module(tenant, &name.module).cloned() else {
            return Ok(Resolution::Unknown);
        };
        if !module.has(&name.task) {
            return Ok(Resolution::Unknown);
        }
        self.code(&module, name).await.map(Resolution::Known)
    }

    /// Returns the code of a task that a module has, loading it first where it must.
    async fn code(
        &self,
        module: &Arc<Module>,
        name: &TaskName,
    ) -> Result<Arc<Loaded>, RegistryError> {
        module.use_at(self.0.uses.fetch_add(1, Ordering::Relaxed));
        if let Some(loaded) = module.loaded(&name.task) {
            return Ok(loaded);
        }
        // Rarely needed: the future of every attempt would grow by it.
        Box::pin(self.load(module)).await?;
        match module.loaded(&name.task) {
            Some(loaded) => Ok(loaded),
            // Evicted in this very moment, where far too many modules are in use.
            None => Box::pin(module.obtain(self.components(), &name.task)).await,
        }
    }

    /// Tells whether a tenant has such a task, without loading it.
    #[must_use]
    pub fn knows(&self, tenant: &TenantName, name: &TaskName) -> bool {
        let snapshot = self.snapshot();
        let module = snapshot.module(tenant, &name.module);
        module.is_some_and(|module| module.has(&name.task))
    }

    /// Returns the newest generation this worker has loaded.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot().generation
    }

    /// Returns the names of all tasks of a tenant, sorted.
    #[must_use]
    pub fn tasks(&self, tenant: &TenantName) -> Vec<TaskName> {
        let snapshot = self.snapshot();
        let own = snapshot.tenants.get(tenant).into_iter();
        let modules = own.flat_map(|own| &own.order);
        let mut names: Vec<_> = modules.flat_map(|module| module.names()).collect();
        names.sort();
        names
    }

    async fn load(&self, module: &Arc<Module>) -> Result<(), RegistryError> {
        module.load(self.components()).await?;
        self.snapshot().evict(self.0.room, module);
        Ok(())
    }

    fn components(&self) -> &Components {
        self.0.registry.components()
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.read())
    }

    fn read(&self) -> RwLockReadGuard<'_, Arc<Snapshot>> {
        // Nothing panics while it is written.
        self.0
            .snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, snapshot: Snapshot) {
        *self
            .0
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

impl Snapshot {
    /// Makes the snapshot of new pointers, keeping modules that did not change.
    fn after(before: Option<&Self>, pointers: Pointers) -> Self {
        let mut order = Vec::with_capacity(pointers.modules.len());
        let mut tenants: HashMap<TenantName, Owned> = HashMap::new();
        for pointer in pointers.modules {
            let share = pointer.share;
            let same = before.and_then(|before| before.version(&pointer));
            let module = same.map_or_else(|| Arc::new(Module::new(pointer)), Arc::clone);
            let own = tenants.entry(module.tenant().clone()).or_default();
            let name = module.name().clone();
            order.push(Arc::clone(&module));
            match share {
                Some(share) => {
                    own.canaries.insert(name, Canary { share, module });
                }
                None => {
                    own.modules.insert(name, Arc::clone(&module));
                    own.order.push(module);
                }
            }
        }
        Self {
            generation: pointers.generation,
            tenants,
            order,
        }
    }

    /// Finds a module of a tenant.
    fn module(&self, tenant: &TenantName, module: &ModuleName) -> Option<&Arc<Module>> {
        self.tenants.get(tenant)?.modules.get(module)
    }

    /// Finds the canary of a module.
    fn canary(&self, tenant: &TenantName, module: &ModuleName) -> Option<&Canary> {
        self.tenants.get(tenant)?.canaries.get(module)
    }

    /// Finds the version that a pointer names: the current one of a module, or its canary.
    fn version(&self, pointer: &Pointer) -> Option<&Arc<Module>> {
        let canary = self.canary(&pointer.tenant, &pointer.module);
        let current = self.module(&pointer.tenant, &pointer.module).into_iter();
        let mut both = current.chain(canary.map(|canary| &canary.module));
        both.find(|module| module.is(pointer))
    }

    /// Tells whether it holds this very module.
    fn holds(&self, module: &Arc<Module>) -> bool {
        let canary = self.canary(module.tenant(), module.name());
        let both = self.same(module).into_iter();
        let mut both = both.chain(canary.map(|canary| &canary.module));
        both.any(|one| Arc::ptr_eq(one, module))
    }

    /// Tells whether a module is one that gets a share of the tasks of another.
    fn is_canary(&self, module: &Arc<Module>) -> bool {
        let canary = self.canary(module.tenant(), module.name());
        canary.is_some_and(|canary| Arc::ptr_eq(&canary.module, module))
    }

    /// Finds what has the same tenant and name as a module of another snapshot.
    fn same(&self, module: &Module) -> Option<&Arc<Module>> {
        self.module(module.tenant(), module.name())
    }

    /// Unloads what was used longest ago until the loaded modules fit the room;
    /// `keep` stays.
    fn evict(&self, room: Room, keep: &Arc<Module>) {
        let mut loaded: Vec<_> = self
            .order
            .iter()
            .filter_map(|module| Some((module, module.weight()?)))
            .collect();
        let mut bytes: u64 = loaded.iter().map(|(_, weight)| weight).sum();
        let mut count = loaded.len();
        loaded.sort_by_key(|(module, _)| module.used());
        for (module, weight) in loaded {
            if count <= room.modules && bytes <= room.bytes {
                return;
            }
            if !Arc::ptr_eq(module, keep) {
                module.unload();
                count -= 1;
                bytes -= weight;
            }
        }
    }
}

#[cfg(test)]
mod tests;
