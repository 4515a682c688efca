//! Modules and their versions, here or there.

use super::{Place, of_tenant, pages, read};
use crate::app::App;
use crate::cli::modules::{LIVE, named};
use crate::plane::{
    self, Canary, CanaryWish, Modules, PinWish, Removed, RollbackWish, RolledBack, Versions,
};
use crate::registry::{
    CanaryInfo, CanaryOrder, Digest, LiveReport, ModuleInfo, Registry, VersionInfo,
};
use crate::task::{ModuleName, TenantName, Wanted};

/// A module of a tenant.
pub(crate) type Whose<'a> = (&'a TenantName, &'a ModuleName);

/// A version that runs in the place of another.
pub(crate) struct Moved {
    /// The version that ran before.
    pub(crate) from: u32,
    /// The version that runs now.
    pub(crate) version: u32,
    /// Its component.
    pub(crate) digest: Digest,
    /// Where it runs already.
    pub(crate) live: LiveReport,
}

impl Place {
    /// Lists the modules of a tenant.
    pub(crate) async fn modules(&self, tenant: &TenantName) -> anyhow::Result<Vec<ModuleInfo>> {
        match self {
            Self::Here(app) => Ok(app.registry().await?.modules(tenant).await?),
            Self::There(remote) => {
                let path = of_tenant(tenant, &["modules"]);
                let listed = pages(remote, &path, |page: &mut Modules| page.next.take()).await?;
                let modules = listed.into_iter().flat_map(|page| page.modules);
                Ok(modules.map(read::module).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Lists the versions of a module, the newest first.
    pub(crate) async fn versions(&self, whose: Whose<'_>) -> anyhow::Result<Vec<VersionInfo>> {
        match self {
            Self::Here(app) => {
                let versions = app.registry().await?.versions(whose.0, whose.1).await;
                versions.map_err(|error| named("modules", error))
            }
            Self::There(remote) => {
                let path = path(whose, &[]);
                let listed = pages(remote, &path, |page: &mut Versions| page.next.take()).await?;
                let versions = listed.into_iter().flat_map(|page| page.versions);
                Ok(versions.map(read::version).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Makes another version the current one; without a name the one before it.
    pub(crate) async fn rollback(
        &self,
        whose: Whose<'_>,
        to: Option<&Wanted>,
    ) -> anyhow::Result<Moved> {
        match self {
            Self::Here(app) => {
                let registry = app.registry().await?;
                let version = number(&registry, whose, to, "rollback").await?;
                let moved = registry.rollback(whose.0, whose.1, version).await;
                let moved = moved.map_err(|error| named("rollback", error))?;
                Ok(Moved {
                    from: moved.from,
                    version: moved.version,
                    digest: moved.digest,
                    live: registry.wait_live(moved.generation, LIVE).await?,
                })
            }
            Self::There(remote) => {
                let wish = match to {
                    None => RollbackWish::default(),
                    Some(Wanted::Number(version)) => RollbackWish {
                        version: Some(*version),
                        release: None,
                    },
                    Some(Wanted::Release(release)) => RollbackWish {
                        version: None,
                        release: Some(release.to_string()),
                    },
                };
                let asked = remote.post(&path(whose, &["rollback"])).json(&wish);
                let moved: RolledBack = asked.document().await?;
                Ok(Moved {
                    from: moved.from,
                    version: moved.version,
                    digest: read::parsed("digest", &moved.digest)?,
                    live: read::live(moved.live),
                })
            }
        }
    }

    /// Takes a module away.
    pub(crate) async fn remove(&self, whose: Whose<'_>) -> anyhow::Result<LiveReport> {
        match self {
            Self::Here(app) => {
                let registry = app.registry().await?;
                let generation = registry.remove(whose.0, whose.1).await;
                let generation = generation.map_err(|error| named("remove", error))?;
                Ok(registry.wait_live(generation, LIVE).await?)
            }
            Self::There(remote) => {
                let removed: Removed = remote.delete(&path(whose, &[])).document().await?;
                Ok(read::live(removed.live))
            }
        }
    }

    /// Keeps a version the current one, or without one takes the pin away; returns the
    /// version that runs.
    pub(crate) async fn pin(
        &self,
        whose: Whose<'_>,
        version: Option<&Wanted>,
    ) -> anyhow::Result<(u32, LiveReport)> {
        match self {
            Self::Here(app) => {
                let command = if version.is_some() { "pin" } else { "unpin" };
                let registry = app.registry().await?;
                let number = number(&registry, whose, version, command).await?;
                let pinned = registry.pin(whose.0, whose.1, number).await;
                let pinned = pinned.map_err(|error| named(command, error))?;
                let live = registry.wait_live(pinned.generation, LIVE).await?;
                Ok((pinned.version, live))
            }
            Self::There(remote) => {
                let wish = PinWish {
                    version: version.map(ToString::to_string),
                };
                let asked = remote.post(&path(whose, &["pin"])).json(&wish);
                let pinned: plane::Pinned = asked.document().await?;
                Ok((pinned.version, read::live(pinned.live)))
            }
        }
    }

    /// Changes the canary of a module where there is an order, and returns how it is then.
    pub(crate) async fn canary(
        &self,
        whose: Whose<'_>,
        order: Option<CanaryOrder>,
    ) -> anyhow::Result<(Option<CanaryInfo>, Option<LiveReport>)> {
        let remote = match self {
            Self::Here(app) => return steered(app, whose, order).await,
            Self::There(remote) => remote,
        };
        let path = path(whose, &["canary"]);
        let asked = match order {
            None => remote.get(&path),
            Some(order) => remote.post(&path).json(&wish(order)),
        };
        let found: Canary = asked.document().await?;
        let canary = found.canary.map(read::canary).transpose()?;
        Ok((canary, found.live.map(read::live)))
    }
}

async fn steered(
    app: &App,
    (tenant, name): Whose<'_>,
    order: Option<CanaryOrder>,
) -> anyhow::Result<(Option<CanaryInfo>, Option<LiveReport>)> {
    let registry = app.registry().await?;
    let live = match order {
        None => None,
        Some(order) => {
            let changed = registry.steer(tenant, name, order).await;
            let changed = changed.map_err(|error| named("canary", error))?;
            Some(registry.wait_live(changed.generation, LIVE).await?)
        }
    };
    let canary = registry.canary(tenant, name).await;
    Ok((canary.map_err(|error| named("canary", error))?, live))
}

fn wish(order: CanaryOrder) -> CanaryWish {
    let (order, share) = match order {
        CanaryOrder::To(share) => (plane::CanaryOrder::To, Some(share.to_string())),
        CanaryOrder::Promote => (plane::CanaryOrder::Promote, None),
        CanaryOrder::Abort => (plane::CanaryOrder::Abort, None),
    };
    CanaryWish { order, share }
}

/// Returns the number of the version that somebody named.
async fn number(
    registry: &Registry,
    (tenant, name): Whose<'_>,
    wanted: Option<&Wanted>,
    command: &str,
) -> anyhow::Result<Option<u32>> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let number = registry.number(tenant, name, wanted).await;
    Ok(Some(number.map_err(|error| named(command, error))?))
}

pub(super) fn path<'a>((tenant, name): Whose<'a>, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = of_tenant(tenant, &["modules", name.as_str()]);
    path.extend(rest);
    path
}
