//! What a control plane tells workers that follow it over HTTP, and what it takes from them.

use super::rows::{self, Announce, Leave, Place, Rules};
use super::store::Watcher;
use super::{CanaryEnds, Digest, Registry, RegistryError};
use crate::plane::{ComponentView, WorkerCanary, WorkerModule, WorkerPresence, WorkerVersion};
use crate::sql::SqlError;

/// Tells when a registry may have changed; make it, look, and wait only then.
#[derive(Debug)]
pub struct News(Watcher);

impl News {
    /// Waits until something may have changed. Cancel-safe.
    ///
    /// # Errors
    /// [`RegistryError::Database`] when nothing can change any more.
    pub async fn changed(&mut self) -> Result<(), RegistryError> {
        self.0.changed().await
    }
}

/// Whose a registry is, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// Names the installation.
    pub installation: String,
    /// The generation of modules.
    pub generation: u64,
    /// How many changes of kills there were.
    pub kills: u64,
}

impl Registry {
    /// Watches for changes, of tenants too where they are in the same database.
    #[must_use]
    pub fn news(&self) -> News {
        News(self.store().watch())
    }

    /// Reads whose this registry is, and how far.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn numbers(&self) -> Result<Numbers, RegistryError> {
        let (installation, generation, kills) = rows::numbers(self.store()).await?;
        Ok(Numbers {
            installation,
            generation,
            kills,
        })
    }

    /// Lists where all modules of all tenants point, for workers alone, with the numbers
    /// that are about it.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn places(&self) -> Result<(String, u64, Vec<WorkerModule>), RegistryError> {
        let all = rows::places(self.store()).await?;
        let mut modules: Vec<WorkerModule> = Vec::with_capacity(all.places.len());
        for place in all.places {
            match place.canary {
                None => modules.extend(module(place)),
                Some(rules) => {
                    let same = modules.last_mut().filter(|module| {
                        (module.tenant.as_str(), module.name.as_str())
                            == (place.tenant.as_str(), place.module.as_str())
                    });
                    if let Some(module) = same {
                        module.canary = Some(canary(place, rules));
                    }
                }
            }
        }
        Ok((all.installation, all.generation, modules))
    }

    /// Tells what components say about themselves, for workers alone; those that nobody has
    /// are left out.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn descriptions(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<ComponentView>, RegistryError> {
        let mut all = Vec::with_capacity(digests.len());
        for digest in digests {
            let Some(found) = rows::description(self.store(), *digest).await? else {
                continue;
            };
            let undecodable = |error: serde_json::Error| SqlError::Misconfigured {
                reason: format!("the row of component {digest} cannot be read: {error}"),
            };
            all.push(ComponentView {
                digest: digest.to_string(),
                bytes: found.bytes,
                tasks: serde_json::from_str(&found.tasks).map_err(undecodable)?,
                imports: serde_json::from_str(&found.imports).map_err(undecodable)?,
            });
        }
        Ok(all)
    }

    /// Writes down that a worker elsewhere runs, and how far it is.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn seen(&self, worker: &WorkerPresence) -> Result<(), RegistryError> {
        let announce = Announce {
            id: worker.id.clone(),
            name: worker.name.clone(),
            pid: worker.pid,
            started_at_ms: worker.started_at_ms,
            now_ms: self.clock().now_ms(),
            generation: worker.generation,
            kills: worker.kills,
            news: worker.news,
        };
        self.store().write(announce).await
    }

    /// Writes down that a worker elsewhere ended.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn left(&self, worker: &str) -> Result<(), RegistryError> {
        let id = worker.to_owned();
        self.store().write(Leave { id }).await
    }

    /// Adds runs that ended in a worker elsewhere to those of a canary, and ends it where it
    /// fails, or where that worker cannot load it; tells why it ended.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn told(
        &self,
        ends: CanaryEnds,
        unfit: Option<&str>,
    ) -> Result<Option<String>, RegistryError> {
        if let Some(reason) = unfit {
            let (tenant, module) = (&ends.tenant, &ends.module);
            self.give_up(tenant, module, ends.version, reason.to_owned())
                .await?;
            return Ok(Some(reason.to_owned()));
        }
        self.tally(ends).await
    }
}

/// `None` of a name that cannot be: its row was written by something else.
fn module(place: Place) -> Option<WorkerModule> {
    Some(WorkerModule {
        tenant: place.tenant.parse().ok()?,
        name: place.module.clone(),
        pinned: place.pinned,
        canary: None,
        current: version(place),
    })
}

fn version(place: Place) -> WorkerVersion {
    WorkerVersion {
        version: place.version,
        release: place.release.map(|release| release.to_string()),
        digest: place.digest.to_string(),
        bytes: place.bytes,
        pushed_at_ms: place.pushed_at_ms,
    }
}

fn canary(place: Place, rules: Rules) -> WorkerCanary {
    let parts = |parts: i64| u16::try_from(parts).unwrap_or_default();
    WorkerCanary {
        share_parts: parts(rules.share),
        runs: rules.runs.unsigned_abs(),
        points_parts: parts(rules.points),
        began_at_ms: rules.began_at_ms,
        version: version(place),
    }
}
