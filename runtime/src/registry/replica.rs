//! A registry that is the replica of a control plane's, in the data folder of a worker.
//!
//! What a control plane tells is written into rows of ours, so that the resolver, the kill
//! switch and canaries follow it as they follow any registry, and go on without it. A
//! component is hashed before it becomes a file, and a pointer moves only once the file is
//! there. It knows nothing of HTTP: `app::follow` asks, and hands over what was told.

mod error;
mod read;
mod room;

pub use error::ReplicaError;
pub use read::ModuleCopy;

use super::digest::Digest;
use super::kills::{KILLS_OF_ALL, Kill, read as read_kill};
use super::rows::{self, Description, Far, Follow, Obey, Origin, Part, Serve};
use super::store::Store;
use super::{Registry, RegistryError};
use crate::plane::{ComponentView, KillKind, KillView, WorkerTenant};
use bytes::Bytes;
use celeriac_sandbox::TaskInfo;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;

/// Counts the tenants of a replica, before it is opened.
///
/// # Errors
/// [`ReplicaError::Unreadable`], [`RegistryError::Database`].
pub async fn tenants_known(store: &Store) -> Result<usize, RegistryError> {
    let text = rows::body(store).await?;
    Ok(text
        .map(|text| tenants_of(&text))
        .transpose()?
        .map_or(0, |all| all.len()))
}

/// Most tenants that are followed (10,000), as many as a control plane has.
const TENANTS: usize = 10_000;

/// How far a replica is, as its control plane counts; 0 is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Whose modules it has, and which generation.
    pub modules: Option<(String, u64)>,
    /// Whose kills and tenants it has, and how many changes of each.
    pub orders: Option<(String, u64, u64)>,
}

/// How far those are who work with a replica, as its control plane counts; `None` where
/// they are on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// The generation of modules; 0 where some are missing.
    pub generation: Option<u64>,
    /// How many changes of kills.
    pub kills: Option<u64>,
}

/// A component that is here now.
#[derive(Debug)]
pub struct Fetched(Description);

/// What following brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// Modules that point elsewhere now, or are gone.
    pub changed: usize,
    /// Modules whose component could not be had, or that cannot be read: they stay as they
    /// were.
    pub stuck: usize,
}

impl Registry {
    /// Tells whether it is the replica of a control plane's.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.store().room().is_some()
    }

    /// Refuses to become a replica where modules or tokens are that would be lost.
    ///
    /// # Errors
    /// [`ReplicaError::Occupied`], [`RegistryError::Database`].
    pub async fn may_be_replica(&self) -> Result<(), RegistryError> {
        let is_one = self.far(Part::Modules).await?.is_some()
            || self.far(Part::Kills).await?.is_some()
            || self.far(Part::Tenants).await?.is_some();
        match is_one || rows::own_things(self.store()).await? == 0 {
            true => Ok(()),
            false => Err(ReplicaError::Occupied.into()),
        }
    }

    /// Refuses a change of what a control plane would undo.
    ///
    /// # Errors
    /// [`ReplicaError::Foreign`] names the control plane; [`RegistryError::Database`].
    pub(super) async fn is_own(&self) -> Result<(), RegistryError> {
        if !self.store().is_file() {
            return Ok(());
        }
        match self.far(Part::Modules).await? {
            None => Ok(()),
            Some(far) => Err(ReplicaError::Foreign {
                server: far.origin.server,
            }
            .into()),
        }
    }

    /// Tells how far the replica of a server's is; of another's it knows nothing.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn copied(&self, server: &str) -> Result<Copied, RegistryError> {
        let of = async |part| -> Result<Option<Origin>, RegistryError> {
            let far = self.far(part).await?.map(|far| far.origin);
            Ok(far.filter(|origin| origin.server == server))
        };
        let modules = of(Part::Modules).await?;
        let (kills, tenants) = (of(Part::Kills).await?, of(Part::Tenants).await?);
        let orders = kills.zip(tenants).filter(|(kills, tenants)| {
            // Two halves of two installations are none of one.
            kills.installation == tenants.installation
        });
        Ok(Copied {
            modules: modules.map(|origin| (origin.installation, origin.number)),
            orders: orders
                .map(|(kills, tenants)| (kills.installation, kills.number, tenants.number)),
        })
    }

    /// Tells how far a worker is that has loaded our `generation` and obeys our `kills`.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn reached(&self, generation: u64, kills: u64) -> Result<Reached, RegistryError> {
        let modules = self.far(Part::Modules).await?;
        let orders = self.far(Part::Kills).await?;
        let number = |far: Option<Far>, now: u64| {
            let reached = far.filter(|far| now >= far.own);
            reached.map(|far| far.origin.number)
        };
        Ok(Reached {
            generation: number(modules, generation),
            kills: number(orders, kills),
        })
    }

    /// Lists the components of a copy that are not here.
    ///
    /// # Errors
    /// [`RegistryError::Database`], [`RegistryError::Storage`].
    pub async fn lacking(&self, copy: &ModuleCopy) -> Result<Vec<Digest>, RegistryError> {
        self.lacking_beside(copy, HashSet::new()).await
    }

    /// Lists the components that are not here; rows of some come with the pointers.
    async fn lacking_beside(
        &self,
        copy: &ModuleCopy,
        new: HashSet<Digest>,
    ) -> Result<Vec<Digest>, RegistryError> {
        let mut named = rows::named(self.store()).await?;
        named.extend(new);
        let wanted = copy.components();
        let there = move |files: &super::files::Files| {
            let lacks =
                |digest: &Digest, bytes: u64| !named.contains(digest) || !files.has(*digest, bytes);
            let lacking = wanted
                .iter()
                .filter(|(digest, bytes)| lacks(digest, **bytes));
            Ok(lacking.map(|(digest, _)| *digest).collect())
        };
        self.components().blocking(there).await
    }

    /// Makes room for a component of a copy, before it is fetched.
    ///
    /// # Errors
    /// [`ReplicaError::TooLarge`], [`ReplicaError::Full`]; [`RegistryError::Storage`],
    /// [`RegistryError::Database`].
    pub async fn expect(
        &self,
        copy: &ModuleCopy,
        component: &ComponentView,
    ) -> Result<(), RegistryError> {
        let subject = (digest(component)?, component.bytes);
        self.make_room(subject, &copy.digests()).await
    }

    /// Keeps a component that was fetched, if it is what it is called.
    ///
    /// # Errors
    /// [`ReplicaError::Tampered`], [`ReplicaError::Unreadable`]; [`RegistryError::Storage`].
    pub async fn take(
        &self,
        component: ComponentView,
        bytes: Bytes,
    ) -> Result<Fetched, RegistryError> {
        let digest = digest(&component)?;
        let unreadable = |error: serde_json::Error| ReplicaError::Unreadable {
            what: format!("what component {digest} says about itself"),
            reason: error.to_string(),
        };
        let tasks = serde_json::Value::Array(component.tasks);
        let tasks: Vec<TaskInfo> = serde_json::from_value(tasks).map_err(unreadable)?;
        let description = Description {
            digest,
            bytes: bytes.len() as u64,
            tasks: serde_json::to_string(&tasks).map_err(unreadable)?,
            imports: serde_json::to_string(&component.imports).map_err(unreadable)?,
        };
        if description.bytes != component.bytes {
            return Err(ReplicaError::Tampered { digest }.into());
        }
        self.keep(digest, bytes).await?;
        Ok(Fetched(description))
    }

    /// Keeps the bytes of a component, if they are what it is called.
    ///
    /// # Errors
    /// [`ReplicaError::Tampered`], [`RegistryError::Storage`].
    pub async fn keep(&self, digest: Digest, bytes: Bytes) -> Result<(), RegistryError> {
        let content = bytes.clone();
        let sent = tokio::task::spawn_blocking(move || Digest::of(&content)).await;
        if !sent.is_ok_and(|sent| sent == digest) {
            return Err(ReplicaError::Tampered { digest }.into());
        }
        self.components().put(digest, bytes, false).await
    }

    /// Points all modules as a control plane does, but for those whose component is lacking:
    /// they stay as they are, and it counts as not done.
    ///
    /// # Errors
    /// [`RegistryError::Database`]; nothing was changed.
    pub async fn follow(
        &self,
        copy: ModuleCopy,
        fetched: Vec<Fetched>,
    ) -> Result<Followed, RegistryError> {
        let described: Vec<Description> = fetched.into_iter().map(|one| one.0).collect();
        let new: HashSet<Digest> = described.iter().map(|one| one.digest).collect();
        // No file goes between this look and the pointers.
        let _kept = self.shrinking().lock().await;
        let lacking = self.lacking_beside(&copy, new).await?;
        let lacking = lacking.into_iter().collect();
        let before = rows::pointed(self.store()).await?;
        let (goals, mut stuck, missing) = copy.without(&lacking);
        let known = self.far(Part::Modules).await?;
        if known.is_some_and(|known| known.origin.installation != copy.installation) {
            // What is here is another installation's: its code is not for these tenants.
            stuck.clear();
        }
        let follow = Follow {
            origin: Origin {
                number: match missing {
                    0 => copy.generation,
                    _ => 0,
                },
                installation: copy.installation,
                server: copy.server,
            },
            goals,
            stuck,
            described,
        };
        let changed = self.store().write(follow).await?;
        self.let_go(before).await;
        Ok(Followed {
            changed,
            stuck: missing,
        })
    }

    /// Kills what a control plane kills, and nothing else.
    ///
    /// # Errors
    /// [`ReplicaError::TooMany`], [`RegistryError::Database`]; what is known is obeyed.
    pub async fn follow_kills(
        &self,
        (server, installation, number): (&str, &str, u64),
        kills: Vec<KillView>,
    ) -> Result<(), RegistryError> {
        at_most("kills", kills.len(), KILLS_OF_ALL as usize)?;
        let kills = kills.into_iter().filter_map(kill).collect();
        let origin = origin(server, installation, number);
        self.store().write(Obey { origin, kills }).await
    }

    /// Writes down whom a control plane says to serve.
    ///
    /// # Errors
    /// [`ReplicaError::TooMany`], [`RegistryError::Database`].
    pub async fn follow_tenants(
        &self,
        (server, installation, number): (&str, &str, u64),
        tenants: &[WorkerTenant],
    ) -> Result<(), RegistryError> {
        at_most("tenants", tenants.len(), TENANTS)?;
        let unreadable = |error: serde_json::Error| ReplicaError::Unreadable {
            what: "the tenants".to_owned(),
            reason: error.to_string(),
        };
        let tenants = serde_json::to_string(tenants).map_err(unreadable)?;
        let origin = origin(server, installation, number);
        self.store().write(Serve { origin, tenants }).await
    }

    /// Returns whom the control plane said to serve, when it was heard last.
    ///
    /// # Errors
    /// [`ReplicaError::Unreadable`], [`RegistryError::Database`].
    pub async fn followed_tenants(&self) -> Result<Arc<[WorkerTenant]>, RegistryError> {
        let Some(text) = rows::body(self.store()).await? else {
            return Ok(Arc::default());
        };
        Ok(tenants_of(&text)?.into())
    }

    async fn far(&self, part: Part) -> Result<Option<Far>, RegistryError> {
        rows::far(self.store(), part).await
    }

    /// Notes until when components were needed that no pointer names any more.
    async fn let_go(&self, before: HashSet<Digest>) {
        let Ok(now) = rows::pointed(self.store()).await else {
            return;
        };
        let gone: Vec<Digest> = before.difference(&now).copied().collect();
        let noted = self
            .components()
            .blocking(move |files| gone.iter().try_for_each(|digest| files.used(*digest)));
        if let Err(error) = noted.await {
            tracing::debug!(%error, "components that are not needed now may go in another order");
        }
    }
}

fn tenants_of(text: &str) -> Result<Vec<WorkerTenant>, ReplicaError> {
    serde_json::from_str(text).map_err(|error| ReplicaError::Unreadable {
        what: "the tenants that were written down".to_owned(),
        reason: error.to_string(),
    })
}

fn origin(server: &str, installation: &str, number: u64) -> Origin {
    Origin {
        server: server.to_owned(),
        installation: installation.to_owned(),
        number,
    }
}

fn digest(component: &ComponentView) -> Result<Digest, ReplicaError> {
    let read = component.digest.parse();
    read.map_err(|error| ReplicaError::Unreadable {
        what: "the name of a component".to_owned(),
        reason: format!("{error}"),
    })
}

fn at_most(what: &'static str, number: usize, most: usize) -> Result<(), ReplicaError> {
    match number <= most {
        true => Ok(()),
        false => Err(ReplicaError::TooMany { what, number, most }),
    }
}

/// Reads a kill; one that cannot be read is told.
fn kill(view: KillView) -> Option<Kill> {
    let kind = match view.kind {
        KillKind::Task => "task",
        KillKind::Module => "module",
        KillKind::Tenant => "tenant",
        KillKind::Digest => "digest",
    };
    let tenant = view.tenant.as_ref().map_or("", |tenant| tenant.as_str());
    let killed_at = view.killed_at.parse::<Timestamp>().unwrap_or_default();
    let aim = (tenant, kind, view.name.as_str());
    let read = read_kill(aim, view.reason, view.hold, killed_at.as_millisecond());
    if read.is_none() {
        tracing::error!(
            tenant,
            kind,
            name = view.name,
            "a kill of the control plane cannot be read and is not obeyed; upgrade this worker"
        );
    }
    read
}
