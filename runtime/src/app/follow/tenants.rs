//! Whom a control plane says to serve, as lanes of this worker.

use super::Follower;
use crate::app::lanes::Tenants;
use crate::config::{Config, TenantConfig};
use crate::plane::WorkerTenant;
use crate::task::{Share, TenantName};
use crate::worker::Lane;
use std::collections::BTreeMap;
use std::convert::Infallible;

impl Follower {
    /// Serves whom the control plane says, at most `most`, for ever; it is ended from
    /// outside. `own` is the lane of `default`.
    pub(in crate::app) async fn serve(
        &self,
        config: &Config,
        most: usize,
        (tenants, own): (&mut Tenants, &Lane),
    ) -> Infallible {
        let mut told = self.0.tenants.subscribe();
        loop {
            let now = told.borrow_and_update().clone();
            own.share(&default_share(config, &now));
            tenants.apply(&served(config, &now, most));
            if told.changed().await.is_err() {
                // Its sender lives as long as this does.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What `default` gets: its terms are those of the configuration, but it can be suspended
/// for all workers at once.
fn default_share(config: &Config, told: &[WorkerTenant]) -> Share {
    let told = told.iter().find(|tenant| tenant.name.is_default());
    let share = config.share.clone();
    Share {
        suspended: share.suspended || told.is_some_and(|told| told.suspended),
        ..share
    }
}

/// Decides whom to serve how. What is wrong with one tenant is told, and harms no other: of
/// two in one place the older one is served.
fn served(
    config: &Config,
    told: &[WorkerTenant],
    most: usize,
) -> BTreeMap<TenantName, TenantConfig> {
    let mut told: Vec<&WorkerTenant> = told
        .iter()
        .filter(|tenant| !tenant.name.is_default())
        .collect();
    told.sort_by_key(|tenant| (tenant.created_at_ms, &tenant.name));
    let mut served = BTreeMap::new();
    let mut places = config.places();
    for tenant in told {
        let name = tenant.name.as_str();
        let one = match lane(config, tenant) {
            Ok(Some(one)) => one,
            Ok(None) => {
                tracing::info!(
                    tenant = name,
                    "a tenant without a broker is not served here; give it one with `celeriac tenant change`, or [tenants.{name}] here"
                );
                continue;
            }
            Err(reason) => {
                tracing::error!(
                    tenant = name,
                    reason,
                    "the tasks of this tenant are not run here"
                );
                continue;
            }
        };
        if served.len() >= most {
            tracing::error!(
                tenant = name,
                most,
                "this worker has no places for another tenant; restart it"
            );
            continue;
        }
        if let Some(other) = one.takes_place_in(&mut places, &tenant.name) {
            tracing::error!(
                tenant = name,
                other = other.as_str(),
                "the messages or results of two tenants are in one place; the tasks of this one are not run"
            );
            continue;
        }
        served.insert(tenant.name.clone(), one);
    }
    served
}

/// Returns how a tenant is served; `None` where nobody says where its messages are.
fn lane(config: &Config, tenant: &WorkerTenant) -> Result<Option<TenantConfig>, String> {
    if tenant.broker.is_none() && !config.tenants.contains_key(&tenant.name) {
        return Ok(None);
    }
    let share = Share {
        suspended: tenant.suspended,
        weight: tenant.weight,
        quota: tenant.quota.clone(),
    };
    let addresses = (tenant.broker.as_deref(), tenant.result_backend.as_deref());
    let named = config.named_tenant(&tenant.name, share, &tenant.ceiling, addresses)?;
    Ok(Some(TenantConfig {
        may: Some(tenant.may.clone()),
        ..named
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;
    use crate::task::{Ceiling, Quota, Weight};
    use std::path::Path;

    fn config(text: &str) -> Config {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        Config::check(raw).unwrap().0
    }

    fn tenant(name: &str, created_at_ms: i64, broker: Option<&str>) -> WorkerTenant {
        WorkerTenant {
            name: name.parse().unwrap(),
            created_at_ms,
            suspended: false,
            weight: Weight::default(),
            quota: Quota::default(),
            ceiling: Ceiling::default(),
            may: vec!["http:api.example".to_owned()],
            broker: broker.map(str::to_owned),
            result_backend: None,
        }
    }

    fn names(config: &Config, told: &[WorkerTenant], most: usize) -> Vec<String> {
        let served = served(config, told, most);
        served.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn of_two_tenants_in_one_place_the_older_one_is_served() {
        let url = Some("amqp://h/shared");
        let told = [tenant("acme", 2, url), tenant("zoo", 1, url)];
        assert_eq!(names(&config(""), &told, 9), ["zoo"]);
        let mine = config("broker = \"amqp://h/shared\"");
        assert!(names(&mine, &told, 9).is_empty());
    }

    #[test]
    fn who_has_no_broker_is_not_served_and_nobody_beyond_the_places() {
        let told = [
            tenant("acme", 3, Some("amqp://h/acme")),
            tenant("bare", 1, None),
            tenant("zoo", 2, Some("amqp://h/zoo")),
        ];
        assert_eq!(names(&config(""), &told, 9), ["acme", "zoo"]);
        assert_eq!(names(&config(""), &told, 1), ["zoo"]);
        let written = config("[tenants.bare]\nbroker = \"amqp://h/bare\"\n");
        assert_eq!(names(&written, &told, 9), ["acme", "bare", "zoo"]);
    }

    #[test]
    fn a_tenant_has_the_bounds_that_the_control_plane_says() {
        let mut acme = tenant("acme", 1, Some("amqp://h/acme"));
        acme.suspended = true;
        acme.ceiling.memory_bytes = Some(1 << 20);
        let served = served(&config(""), &[acme], 9);
        let acme = served.values().next().unwrap();
        assert!(acme.share.suspended);
        assert_eq!(acme.ceiling.memory, 1 << 20);
        assert_eq!(
            acme.may.as_deref(),
            Some(&["http:api.example".to_owned()][..])
        );
    }

    #[test]
    fn default_can_be_suspended_and_keeps_its_own_terms() {
        let config = config("[tenants.default]\nweight = 7\n");
        let mut told = tenant("default", 0, None);
        assert!(!default_share(&config, &[told.clone()]).suspended);
        told.suspended = true;
        let share = default_share(&config, &[told]);
        assert!(share.suspended && share.weight.get() == 7);
    }
}
