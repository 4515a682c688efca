//! A control plane from its start to its end.

use super::calls::Calls;
use super::steered::granted;
use super::{App, StartError, housekeeping, look};
use crate::api::v1::{Parts, Plane, Reach};
use crate::api::{self, Limits, Tls, TlsError};
use crate::config::{DATABASE_FILE, ServeConfig};
use crate::platform::{Platform, PlatformError};
use crate::policy::bound::Bound;
use crate::policy::grants::Granted;
use crate::registry::{Bucket, Keys, Registry, RegistryError, Store};
use crate::shutdown::{Shutdown, Signals};
use crate::sql::Sql;
use crate::task::TenantName;
use crate::telemetry::{EdgeMetrics, human};
use celeriac_sandbox::Secret;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The variables with the keys of the store of components, as all its clients have them.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// What is served once the start is done.
#[derive(Debug)]
pub struct Serving<'a> {
    /// The configuration in force.
    pub config: &'a ServeConfig,
    /// The address.
    pub listen: SocketAddr,
}

impl App {
    /// Serves the control plane until a signal stops it. `started` is called once, when
    /// requests are taken.
    ///
    /// # Errors
    /// When something cannot be set up.
    pub async fn serve(&self, started: impl FnOnce(&Serving<'_>)) -> Result<(), StartError> {
        let signals = Signals::new().map_err(StartError::Signals)?;
        let shutdown = Shutdown::new();
        let config = &self.config.serve;
        let registry = self.registry().await?;
        let plane = self.plane(registry.clone(), &shutdown).await?;
        let edge = Edge::open(config).await?;
        started(&Serving {
            config,
            listen: edge.listen,
        });
        let mut beside = JoinSet::new();
        beside.spawn(housekeeping::collect(registry));
        let (stopped, drain) = (shutdown.clone(), config.drain);
        beside.spawn(async move {
            let said = |_| tracing::info!("stopping for at most {}", human::span(drain));
            stopped.listen(signals, said).await;
        });
        let drained = shutdown.clone();
        beside.spawn(async move { drained.drain(drain).await });
        edge.run(plane, shutdown).await;
        beside.shutdown().await;
        Ok(())
    }

    /// Opens tenants, tokens and the audit, where the configuration keeps them.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn platform(&self) -> Result<Platform, StartError> {
        let sql = match &self.config.serve.database {
            Some(url) => Sql::postgres(url.server.secret()).map_err(PlatformError::from)?,
            None => Sql::sqlite(&self.home.join(DATABASE_FILE)),
        };
        Ok(Platform::open(sql, self.clock.clone()).await?)
    }

    /// Says where modules are: rows and components, each here or where several machines
    /// share them.
    pub(super) async fn store(&self) -> Result<Store, StartError> {
        let config = &self.config.serve;
        let store = match &config.database {
            Some(url) => {
                let sql = Sql::postgres(url.server.secret()).map_err(PlatformError::from)?;
                Store::server(sql, self.clock.clone()).await?
            }
            None => Store::file(self.data.clone()),
        };
        let store = store.with_module_bytes(self.module_bytes());
        let Some(components) = &config.components else {
            return Ok(store);
        };
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let keys = variable(KEY_ID).zip(variable(KEY));
        let keys = keys.map(|(id, secret)| Keys { id, secret });
        let bucket = Bucket::new(components, keys).map_err(RegistryError::from)?;
        Ok(store.with_bucket(bucket))
    }

    /// The most bytes that the configuration lets the modules of each tenant have.
    fn module_bytes(&self) -> BTreeMap<TenantName, u64> {
        let own = (&self.tenant, &self.config.share);
        let others = self.config.tenants.iter();
        let all = others.map(|(name, tenant)| (name, &tenant.share));
        all.chain([own])
            .filter_map(|(name, share)| Some((name.clone(), share.quota.module_bytes?)))
            .collect()
    }

    /// Tells what the tasks of a tenant's module can reach: of the operator's own what this
    /// configuration grants, of others what their tenant may reach.
    fn reaches(&self) -> Arc<Reach> {
        let own = granted(&self.config, &BTreeMap::new());
        Arc::new(move |tenant, module, tasks| {
            let bounded;
            let granted = match tenant.name.is_default() {
                true => &own,
                false => {
                    bounded = bounded_by(&tenant.may);
                    &bounded
                }
            };
            (
                look::reach(granted, module.as_str(), tasks),
                look::wants(granted, module.as_str(), tasks),
            )
        })
    }

    /// Puts together what handlers answer from.
    pub(super) async fn plane(
        &self,
        registry: Registry,
        shutdown: &Shutdown,
    ) -> Result<Plane, StartError> {
        let config = &self.config.serve;
        let platform = self.platform().await?;
        let parts = (registry.clone(), platform.clone());
        let calls = Calls::open(&self.config, parts, self.clock.clone()).await?;
        Ok(Plane::new(Parts {
            registry,
            platform,
            reach: self.reaches(),
            calls,
            clock: self.clock.clone(),
            metrics: Arc::new(EdgeMetrics::new()),
            shutdown: shutdown.clone(),
            limits: Limits {
                connections: config.connections,
                token_per_minute: config.requests_per_minute,
                address_per_minute: config.address_requests_per_minute,
                header: config.header_timeout,
                body: config.body_timeout,
                idle: config.idle_timeout,
                proxy: config.proxy,
            },
        }))
    }
}

/// What a tenant may reach, as what is granted to all of its modules. Values and secrets are
/// with the workers: their names are enough here.
fn bounded_by(may: &[String]) -> Granted {
    let named = |kind: &'static str| may.iter().filter_map(move |text| text.strip_prefix(kind));
    let values = named("config:").map(|name| (name.to_owned(), Arc::from("")));
    let secrets = named("secret:").map(|name| (name.to_owned(), Secret::new("")));
    // What cannot be read grants nothing.
    let bound = Bound::read(may).unwrap_or_default();
    let whole = bound.whole(&values.collect(), &secrets.collect());
    Granted::from([("*".to_owned(), whole)])
}

/// An address that is open, and its certificate.
pub(super) struct Edge {
    pub(super) listen: SocketAddr,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Edge {
    /// Opens the address of the configuration.
    pub(super) async fn open(config: &ServeConfig) -> Result<Self, StartError> {
        let address = config.listen;
        let plain = config.tls.is_none() && !config.proxy && !config.insecure;
        if plain && !address.ip().is_loopback() {
            return Err(StartError::Plain { address });
        }
        let tls = match config.tls.clone() {
            Some(files) => Some(Arc::new(tls(files).await?)),
            None => None,
        };
        let failed = |source| StartError::Serve { address, source };
        let listener = match TcpListener::bind(address).await {
            // Nobody chose it, and several may be developed on one machine.
            Err(error) if error.kind() == ErrorKind::AddrInUse && !config.listen_is_chosen => {
                TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
            }
            bound => bound,
        };
        let listener = listener.map_err(failed)?;
        Ok(Self {
            listen: listener.local_addr().map_err(failed)?,
            listener,
            tls,
        })
    }

    /// Serves until the stop, and until what is under way is done or the drain is over.
    pub(super) async fn run(self, plane: Plane, shutdown: Shutdown) {
        let calls = plane.calls.clone();
        let mut beside = JoinSet::new();
        if let Some(tls) = &self.tls {
            beside.spawn(Arc::clone(tls).follow());
        }
        let served = api::serve(plane, self.listener, self.tls, shutdown.stopping());
        tokio::select! {
            served = served => {
                if let Err(error) = served {
                    tracing::error!(%error, "the control plane is not served any more");
                }
            }
            () = shutdown.cancelled() => {
                tracing::warn!("requests under way are cut off");
            }
        }
        beside.shutdown().await;
        calls.close().await;
    }
}

async fn tls((certificate, key): (PathBuf, PathBuf)) -> Result<Tls, StartError> {
    let path = certificate.clone();
    let opened = tokio::task::spawn_blocking(move || Tls::open(&certificate, &key)).await;
    let opened = opened.map_err(|error| TlsError::Unreadable {
        path,
        source: std::io::Error::other(error),
    });
    Ok(opened??)
}
