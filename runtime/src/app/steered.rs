//! What steers a worker from outside, and what it tells: orders about tasks, rates, remote
//! control, events, grants.

use super::{App, facts};
use crate::config::{Address, Config};
use crate::control::Control;
use crate::events::{Events, Pulse};
use crate::policy::bound::Bound;
use crate::policy::grants::{Grant, Granted};
use crate::registry::Resolver;
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;
use crate::worker::meter::Meter;
use crate::worker::rates::Rates;
use crate::worker::revocations::{Clerk, Revocations};
use crate::worker::steering::{Pool, Steering};
use celeriac_sandbox::Secret;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl App {
    /// Returns what writes revocations down, under the name of who orders them.
    #[must_use]
    pub fn clerk(&self, name: &str) -> Clerk {
        super::clerk(&self.config, &self.orders, &self.results, &self.clock, name)
    }

    /// Returns the folder whose workers alone hear of orders, where they do not go to a
    /// server.
    #[must_use]
    pub fn orders_stay_in(&self) -> Option<&Path> {
        let is_apart = matches!(self.config.broker, Address::Amqp(_));
        match &self.config.result_backend {
            Address::Redis(_) | Address::Sentinel(_) => None,
            Address::Embedded(folder) => is_apart.then_some(folder.as_path()),
            Address::Database(_)
            | Address::Postgres(_)
            | Address::Files(_)
            | Address::Amqp(_)
            | Address::Rpc
            | Address::Disabled => is_apart.then_some(self.config.data.as_path()),
        }
    }

    pub(super) fn steering(&self, pool: Arc<Pool>) -> Arc<Steering> {
        let worker = &self.config.worker;
        let rates = Rates::new(
            self.config.rates.clone(),
            worker.rate_limit_scope,
            Arc::clone(&self.orders),
            self.clock.clone(),
            self.broker.profile().delay_step,
        );
        Arc::new(Steering::new(
            worker.queues.clone(),
            pool,
            Revocations::new(self.clerk(&worker.hostname)),
            rates,
            Meter::new(self.clock.clone()),
        ))
    }

    pub(super) fn events(&self) -> Events {
        let worker = &self.config.worker;
        let clock = self.clock.clone();
        let told = (worker.task_events, self.config.publish.send_sent_event);
        Events::telling(&worker.hostname, facts::zone(), clock, told)
    }

    pub(super) fn control(
        &self,
        events: &Events,
        steering: &Arc<Steering>,
        resolver: &Resolver,
        shutdown: &Shutdown,
    ) -> Control {
        Control {
            bus: Arc::clone(&self.bus),
            events: events.clone(),
            steering: Arc::clone(steering),
            shutdown: shutdown.clone(),
            resolver: resolver.clone(),
            clock: self.clock.clone(),
            began: Instant::now(),
            facts: facts::of(&self.tenant, &self.config, &self.queues),
        }
    }

    /// Tells what happens, and does what is asked, until `ended`. What is asked is heard when
    /// it returns, unless the bus is away.
    pub(super) async fn watch(
        &self,
        served: &mut JoinSet<()>,
        control: Control,
        metrics: &Arc<Metrics>,
        ended: &CancellationToken,
    ) {
        let (events, steering) = (control.events.clone(), Arc::clone(&control.steering));
        let resolver = control.resolver.clone();
        let (bus, metrics, end) = (Arc::clone(&self.bus), Arc::clone(metrics), ended.clone());
        served.spawn(async move {
            let pulse = || {
                metrics.events_dropped(events.dropped());
                metrics.canaries_aborted(resolver.aborted());
                let (active, processed) = steering.roll.pulse();
                Pulse { active, processed }
            };
            events.run(&*bus, pulse, end).await;
        });
        let (begun, end) = (control.begin().await, ended.clone());
        served.spawn(async move { control.run(begun, end).await });
    }

    /// Returns what is granted to whom, within what a control plane says of this tenant.
    pub(super) fn grants(&self, secrets: &BTreeMap<String, Secret>) -> Granted {
        let granted = granted(&self.config, secrets);
        match &self.config.may {
            None => granted,
            Some(may) => bounded(&self.config, may, granted, secrets),
        }
    }
}

/// Narrows what is granted to a tenant to what it may reach. Where this configuration grants
/// it nothing by name, all of its modules have what it may reach.
fn bounded(
    config: &Config,
    may: &[String],
    granted: Granted,
    secrets: &BTreeMap<String, Secret>,
) -> Granted {
    // What cannot be read grants nothing.
    let bound = Bound::read(may).unwrap_or_default();
    if !granted.is_empty() {
        return bound.narrow_all(&granted);
    }
    let values = config.values.iter();
    let values = values.map(|(name, value)| (name.clone(), value.as_str().into()));
    Granted::from([("*".to_owned(), bound.whole(&values.collect(), secrets))])
}

/// Returns what is granted to whom. Whoever only looks whether has no secrets: each is
/// empty then.
pub(super) fn granted(config: &Config, secrets: &BTreeMap<String, Secret>) -> Granted {
    let value = |name: &String| {
        let value = config.values.get(name)?;
        Some((name.clone(), value.as_str().into()))
    };
    let secret = |name: &String| {
        let secret = secrets.get(name).cloned();
        (name.clone(), secret.unwrap_or_else(|| Secret::new("")))
    };
    let grants = config.grants.iter();
    let grants = grants.map(|(whom, given)| {
        let stores = &given.stores;
        let grant = Grant {
            submit: given.submit.clone(),
            http: given.http.clone(),
            values: stores.config.iter().filter_map(value).collect(),
            secrets: stores.secrets.iter().map(secret).collect(),
            inject: stores
                .inject
                .iter()
                .map(|line| line.fill(secrets))
                .collect(),
            key_value: stores.key_value,
            scratch: stores.scratch,
        };
        (whom.clone(), grant)
    });
    grants.collect()
}
