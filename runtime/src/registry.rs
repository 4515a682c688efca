//! The registry: name → version → component, for each tenant.
//!
//! A module is a name with versions, which its tenant gave it; of the modules of others no
//! tenant learns anything; a version names a component by its
//! digest. Pushing, rolling back and removing move pointers, and a running
//! worker follows them through its [`Resolver`] without a restart. Components
//! and the native code made of them are files; everything else is rows.
//!
//! It knows nothing of messages and results. In the main path it answers one
//! question, at admission: which code is this task?

mod bucket;
mod canary;
mod coming;
mod compile;
mod components;
mod digest;
mod error;
mod files;
mod garbage;
mod kills;
mod news;
mod noted;
pub mod owner;
mod pin;
mod presence;
mod refused;
mod replica;
mod resolver;
mod rows;
mod seal;
mod store;
mod turn;
mod upload;

pub use crate::policy::canary::{Ends, Rule};
pub use bucket::{Bucket, BucketError, Keys};
pub use canary::{CanaryChanged, CanaryEnds, CanaryInfo, CanaryOrder, CanaryState};
pub use coming::{COMING, Coming, ComingComponent};
pub use compile::{Compiler, compile_child};
pub use digest::{Digest, DigestError};
pub use error::{Cause, Refused, RegistryError};
pub use garbage::{Collected, FOREIGN_ARTIFACT_KEPT, GRACE};
pub use kills::{Aim, Kill};
pub use news::{News, Numbers};
pub use pin::Pinned;
pub use presence::LiveReport;
pub use refused::VersionRefused;
pub use replica::{Copied, Fetched, Followed, ModuleCopy, Reached, ReplicaError, tenants_known};
pub use resolver::{Guarded, Loaded, Missing, Resolution, Resolver, Side, Trouble, Worker};
pub use store::Store;
pub use upload::{Before, PushStep, Pushed, Wishes};

use crate::clock::Clock;
use crate::platform::Actor;
use crate::policy::compat::Finding;
use crate::task::{ModuleName, Release, TenantName};
use ::bytes::Bytes;
use celeriac_sandbox::{Engine, TaskInfo};
use components::Components;
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Components that describe themselves at a time: an engine keeps a few slots
/// for this beside those of the attempts.
const DESCRIBING: usize = 2;

/// All modules of an installation. A cheap handle: clones share everything.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>, Option<Arc<Actor>>);

#[derive(Debug)]
struct Inner {
    store: Store,
    components: Components,
    describing: Semaphore,
    board: watch::Sender<Coming>,
    /// Held by whoever removes files of a replica, or points to them.
    shrinking: tokio::sync::Mutex<()>,
}

/// A module and its current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Its name.
    pub name: ModuleName,
    /// The current version.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<Release>,
    /// Whether it stays the current one, whatever is pushed.
    pub pinned: bool,
    /// The last canary.
    pub canary: Option<CanaryInfo>,
    /// The component.
    pub digest: Digest,
    /// Its size, bytes.
    pub bytes: u64,
    /// When that version was pushed.
    pub pushed_at: Timestamp,
    /// What the component says about its tasks.
    pub tasks: Vec<TaskInfo>,
    /// Names of the interfaces it imports.
    pub imports: Vec<String>,
}

/// A version of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number, from 1; never given twice.
    pub version: u32,
    /// What its author calls it.
    pub release: Option<Release>,
    /// What it broke for callers of the version before, where that was allowed.
    pub breaks: Vec<Finding>,
    /// The component.
    pub digest: Digest,
    /// Its size, bytes.
    pub bytes: u64,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// What the component says about its tasks.
    pub tasks: Vec<TaskInfo>,
    /// Whether it is the one that runs.
    pub current: bool,
}

/// A pointer that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The version that ran before.
    pub from: u32,
    /// The version that runs now.
    pub version: u32,
    /// Its component.
    pub digest: Digest,
    /// The generation in which workers see it, see [`Registry::wait_live`].
    pub generation: u64,
}

impl Registry {
    /// Opens the registry over its rows and a data folder, making folders and key
    /// where they are missing.
    ///
    /// # Errors
    /// [`RegistryError::Storage`] when the folder cannot be used,
    /// [`RegistryError::Bucket`] when its bucket is not there or refuses our keys; one that
    /// is away may come back.
    pub async fn open(
        store: Store,
        dir: &Path,
        engine: Engine,
        compiler: Compiler,
    ) -> Result<Self, RegistryError> {
        if let Some(bucket) = store.bucket() {
            match Box::pin(bucket.greet()).await {
                Err(error @ BucketError::Unavailable { .. }) => {
                    tracing::warn!(%error, "the store of components is waited for");
                }
                greeted => greeted?,
            }
        }
        let (own, path) = (store.clone(), dir.to_owned());
        let opened =
            tokio::task::spawn_blocking(move || Components::open(own, &path, engine, compiler));
        let components = opened.await.map_err(|error| RegistryError::Storage {
            path: dir.to_owned(),
            source: std::io::Error::other(error),
        })??;
        let describing = Semaphore::new(DESCRIBING);
        let inner = Inner {
            store,
            components,
            describing,
            board: watch::Sender::default(),
            shrinking: tokio::sync::Mutex::default(),
        };
        Ok(Self(Arc::new(inner), None))
    }

    /// Reads how far the changes are that workers must see: the cheapest look at whether
    /// the registry answers.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn generation(&self) -> Result<u64, RegistryError> {
        rows::generation_now(self.store()).await
    }

    /// Lists all modules of a tenant, the most recently pushed first.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn modules(&self, tenant: &TenantName) -> Result<Vec<ModuleInfo>, RegistryError> {
        let pointers = rows::pointers_of(self.store(), tenant).await?;
        let mut canaries = rows::canaries(self.store(), tenant).await?;
        let current = pointers.modules.into_iter();
        let modules = current
            .filter(|one| one.share.is_none())
            .map(|one| ModuleInfo {
                canary: canaries.remove(one.module.as_str()),
                release: one.release,
                pinned: one.pinned,
                name: one.module,
                version: one.version,
                digest: one.digest,
                bytes: one.bytes,
                pushed_at: moment(one.pushed_at_ms),
                tasks: one.tasks,
                imports: one.imports,
            });
        Ok(modules.collect())
    }

    /// Lists the versions of a module that are kept, the newest first.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::Database`].
    pub async fn versions(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
    ) -> Result<Vec<VersionInfo>, RegistryError> {
        let rows = rows::versions(self.store(), tenant, module).await?;
        if rows.is_empty() {
            return Err(self.unknown(tenant, module).await?);
        }
        Ok(rows)
    }

    /// Makes another version the current one: `version`, or the one before the
    /// current. Nothing is compiled or copied.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::UnknownVersion`],
    /// [`RegistryError::NoEarlier`], [`RegistryError::Database`].
    pub async fn rollback(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
        version: Option<u32>,
    ) -> Result<RolledBack, RegistryError> {
        self.is_own().await?;
        let point = rows::Point {
            tenant: tenant.clone(),
            module: module.clone(),
            version,
        };
        match self.change(point).await? {
            rows::Pointed::To(moved) => Ok(moved),
            rows::Pointed::UnknownModule => Err(self.unknown(tenant, module).await?),
            rows::Pointed::UnknownVersion { current, have } => {
                let module = module.clone();
                Err(match version {
                    Some(version) => RegistryError::UnknownVersion {
                        module,
                        version,
                        have,
                    },
                    None => RegistryError::NoEarlier {
                        module,
                        current,
                        have,
                    },
                })
            }
        }
    }

    /// Takes a module away with all its versions, and returns the generation in
    /// which workers see that. Attempts that run go on. Should the name come
    /// back, its versions go on counting.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModule`], [`RegistryError::Database`].
    pub async fn remove(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
    ) -> Result<u64, RegistryError> {
        self.is_own().await?;
        let remove = rows::Remove {
            tenant: tenant.clone(),
            module: module.clone(),
        };
        match self.change(remove).await? {
            Some(generation) => Ok(generation),
            None => Err(self.unknown(tenant, module).await?),
        }
    }

    /// Reads a component's bytes, wherever they are kept; they have that digest. Whether the
    /// asker may have them is for the caller to know.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`] when they are gone or are others;
    /// [`RegistryError::Storage`], [`RegistryError::Bucket`].
    pub async fn component(&self, digest: Digest) -> Result<Bytes, RegistryError> {
        self.components().component(digest).await
    }

    /// Says that a tenant has no such module. Names of others are never looked at.
    async fn unknown(
        &self,
        tenant: &TenantName,
        module: &ModuleName,
    ) -> Result<RegistryError, RegistryError> {
        let names = rows::modules(self.store(), tenant).await?;
        let similar = names
            .into_iter()
            .map(|name| (strsim::jaro_winkler(&name, module.as_str()), name))
            .filter(|(score, _)| *score > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name);
        Ok(RegistryError::UnknownModule {
            module: module.clone(),
            similar,
        })
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn components(&self) -> &Components {
        &self.0.components
    }

    fn describing(&self) -> &Semaphore {
        &self.0.describing
    }

    fn board(&self) -> &watch::Sender<Coming> {
        &self.0.board
    }

    fn shrinking(&self) -> &tokio::sync::Mutex<()> {
        &self.0.shrinking
    }

    fn clock(&self) -> &Clock {
        self.0.store.clock()
    }
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
pub(crate) mod tests;
