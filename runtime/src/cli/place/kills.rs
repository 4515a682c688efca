//! Kills, here or there.

use super::{Place, of_tenant, pages, read};
use crate::cli::modules::{LIVE, named};
use crate::plane::{KillKind, KillWish, Killed, Kills};
use crate::registry::{Aim, Digest, Kill, LiveReport};
use crate::task::TenantName;

impl Place {
    /// Lists what is killed: here of all tenants, there of one, and components.
    pub(crate) async fn kills(&self, tenant: &TenantName) -> anyhow::Result<Vec<Kill>> {
        match self {
            Self::Here(app) => Ok(app.registry().await?.all_kills().await?),
            Self::There(_) => self.kills_of(tenant).await,
        }
    }

    /// Lists what of one tenant is killed, and components, which are killed for all.
    pub(crate) async fn kills_of(&self, tenant: &TenantName) -> anyhow::Result<Vec<Kill>> {
        match self {
            Self::Here(app) => Ok(app.registry().await?.kills(tenant).await?),
            Self::There(remote) => {
                let path = of_tenant(tenant, &["kills"]);
                let listed = pages(remote, &path, |page: &mut Kills| page.next.take()).await?;
                let kills = listed.into_iter().flat_map(|page| page.kills);
                Ok(kills.map(read::kill).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Stops something and refuses it from now on; tells how many workers have heard.
    pub(crate) async fn kill(
        &self,
        tenant: &TenantName,
        aim: &Aim,
        (reason, hold): (&str, bool),
    ) -> anyhow::Result<LiveReport> {
        match self {
            Self::Here(app) => {
                let registry = app.registry().await?;
                let number = registry.kill(aim.clone(), reason, hold).await;
                let number = number.map_err(|error| named("kill --module", error))?;
                Ok(registry.wait_obeyed(number, LIVE).await?)
            }
            Self::There(remote) => {
                let wish = KillWish {
                    kind: kind(aim),
                    name: aim.name(),
                    reason: reason.to_owned(),
                    hold,
                };
                let asked = remote.post(&of_tenant(tenant, &["kills"])).json(&wish);
                let killed: Killed = asked.document().await?;
                Ok(read::live(killed.live))
            }
        }
    }

    /// Allows something again; `None` where it is not killed.
    pub(crate) async fn unkill(
        &self,
        tenant: &TenantName,
        aim: &Aim,
    ) -> anyhow::Result<Option<LiveReport>> {
        match self {
            Self::Here(app) => {
                let registry = app.registry().await?;
                match registry.unkill(aim.clone()).await? {
                    None => Ok(None),
                    Some(number) => Ok(Some(registry.wait_obeyed(number, LIVE).await?)),
                }
            }
            Self::There(remote) => {
                let kind: String = read::same("kind", &kind(aim))?;
                let asked = remote
                    .delete(&of_tenant(tenant, &["kills"]))
                    .query("kind", Some(kind))
                    .query("name", Some(aim.name()));
                let killed: Killed = asked.document().await?;
                Ok(Some(read::live(killed.live)))
            }
        }
    }

    /// Finds components by the first digits of their digests: here all of them, there those
    /// that modules of the tenant run.
    pub(crate) async fn digests(
        &self,
        tenant: &TenantName,
        digits: &str,
    ) -> anyhow::Result<Vec<Digest>> {
        match self {
            Self::Here(app) => Ok(app.registry().await?.digests(digits).await?),
            Self::There(_) => {
                let modules = self.modules(tenant).await?;
                let digests = modules.into_iter().map(|module| module.digest);
                let mut found: Vec<Digest> = digests
                    .filter(|digest| digest.hex().starts_with(digits))
                    .collect();
                found.sort_unstable();
                found.dedup();
                Ok(found)
            }
        }
    }

    /// Returns our name of a task that callers may call something else; a control plane
    /// knows only ours.
    pub(crate) fn own_name<'a>(&'a self, task: &'a str) -> &'a str {
        match self {
            Self::Here(app) => app.own_name(task),
            Self::There(_) => task,
        }
    }
}

fn kind(aim: &Aim) -> KillKind {
    match aim {
        Aim::Task(..) => KillKind::Task,
        Aim::Module(..) => KillKind::Module,
        Aim::Tenant(_) => KillKind::Tenant,
        Aim::Digest(_) => KillKind::Digest,
    }
}
