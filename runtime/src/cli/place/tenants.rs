//! Tenants, here or there.

use super::{Place, of_tenant, pages, read};
use crate::plane::{TenantChange, TenantView, TenantWish, Tenants};
use crate::platform::{Actor, PAGE, Tenant, Terms};
use crate::remote::Ask;
use crate::task::TenantName;

impl Place {
    /// Returns a tenant.
    pub(crate) async fn tenant(&self, name: &TenantName) -> anyhow::Result<Tenant> {
        match self {
            Self::Here(app) => Ok(app.platform().await?.tenant(name).await?),
            Self::There(remote) => answered(remote.get(&of_tenant(name, &[]))).await,
        }
    }

    /// Lists all tenants by name.
    pub(crate) async fn tenants(&self) -> anyhow::Result<Vec<Tenant>> {
        let platform = match self {
            Self::Here(app) => app.platform().await?,
            Self::There(remote) => {
                let path = ["v1", "tenants"];
                let listed = pages(remote, &path, |page: &mut Tenants| page.next.take()).await?;
                let tenants = listed.into_iter().flat_map(|page| page.tenants);
                return Ok(tenants.map(read::tenant).collect::<Result<_, _>>()?);
            }
        };
        let mut all: Vec<Tenant> = Vec::new();
        loop {
            let after = all.last().map(|tenant| tenant.name.clone());
            let page = platform.tenants(after.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Makes a tenant.
    pub(crate) async fn create_tenant(
        &self,
        name: &TenantName,
        terms: Terms,
    ) -> anyhow::Result<Tenant> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                Ok(platform.create_tenant(&actor, name, terms).await?)
            }
            Self::There(remote) => {
                let wish = TenantWish {
                    name: name.clone(),
                    terms: Some(change(&Terms::default(), terms)),
                };
                answered(remote.post(&["v1", "tenants"]).json(&wish)).await
            }
        }
    }

    /// Changes the terms of a tenant.
    pub(crate) async fn change_tenant(
        &self,
        name: &TenantName,
        edit: impl FnOnce(&mut Terms),
    ) -> anyhow::Result<Tenant> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                let change = |terms: &mut Terms| {
                    edit(terms);
                    Ok(())
                };
                Ok(platform.change_tenant(&actor, name, change).await?)
            }
            Self::There(remote) => {
                let was = self.tenant(name).await?.terms();
                let mut terms = was.clone();
                edit(&mut terms);
                let wish = change(&was, terms);
                answered(remote.patch(&of_tenant(name, &[])).json(&wish)).await
            }
        }
    }

    /// Makes the tasks of a tenant wait.
    pub(crate) async fn suspend_tenant(&self, name: &TenantName) -> anyhow::Result<Tenant> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                Ok(platform.suspend_tenant(&actor, name).await?)
            }
            Self::There(remote) => answered(remote.post(&of_tenant(name, &["suspend"]))).await,
        }
    }

    /// Lets the tasks of a tenant go on.
    pub(crate) async fn resume_tenant(&self, name: &TenantName) -> anyhow::Result<Tenant> {
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                Ok(platform.resume_tenant(&actor, name).await?)
            }
            Self::There(remote) => answered(remote.post(&of_tenant(name, &["resume"]))).await,
        }
    }

    /// Deletes a tenant, and returns what it was.
    pub(crate) async fn delete_tenant(
        &self,
        name: &TenantName,
        force: bool,
    ) -> anyhow::Result<Tenant> {
        let was = self.tenant(name).await?;
        match self {
            Self::Here(app) => {
                let (platform, actor) = (app.platform().await?, Actor::on_the_machine());
                platform.delete_tenant(&actor, name, force).await?;
            }
            Self::There(remote) => {
                let asked = remote.delete(&of_tenant(name, &[]));
                asked.switch("force", force).done().await?;
            }
        }
        Ok(was)
    }
}

async fn answered(ask: Ask<'_>) -> anyhow::Result<Tenant> {
    let view: TenantView = ask.document().await?;
    Ok(read::tenant(view)?)
}

/// Returns what is to be changed, so that the terms become these. An address that was not
/// changed is not sent: its password was not told.
fn change(was: &Terms, terms: Terms) -> TenantChange {
    let Terms {
        weight,
        quota,
        ceiling,
        may,
        broker,
        result_backend,
    } = terms;
    TenantChange {
        weight: (weight != was.weight).then_some(weight),
        quota: (quota != was.quota).then_some(quota),
        ceiling: (ceiling != was.ceiling).then_some(ceiling),
        may: (may != was.may).then_some(may),
        broker: (broker != was.broker).then_some(broker),
        result_backend: (result_backend != was.result_backend).then_some(result_backend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Quota;

    #[test]
    fn only_what_differs_is_sent_and_never_an_address_without_its_password() {
        let was = Terms {
            broker: Some("amqp://acme:***@h/acme".to_owned()),
            quota: Quota {
                concurrency: Some(4),
                ..Quota::default()
            },
            ..Terms::default()
        };
        let mut terms = was.clone();
        terms.quota.concurrency = None;
        terms.result_backend = Some("redis://r".to_owned());
        let sent = serde_json::to_value(change(&was, terms)).unwrap();
        let sent = sent.as_object().unwrap();
        let names: Vec<&str> = sent.keys().map(String::as_str).collect();
        assert_eq!(names, ["quota", "result_backend"]);
        let mut none = was.clone();
        none.broker = None;
        let sent = serde_json::to_string(&change(&was, none)).unwrap();
        assert_eq!(sent, "{\"broker\":null}");
    }
}
