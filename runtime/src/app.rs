//! The whole of a process, put together from its configuration.

mod around;
mod beside;
mod by_hand;
pub mod calls;
pub mod client;
mod confined;
mod egress;
mod error;
mod facts;
mod follow;
mod housekeeping;
mod lanes;
mod ledger;
mod listen;
mod look;
mod remote;
mod secrets;
mod serve;
mod steered;
mod stores;
mod teller;
mod tenants;
mod work;

pub use beside::Beside;
pub use by_hand::by_hand;
pub use confined::confine;
pub use error::StartError;
pub use remote::remote;
pub use serve::Serving;
pub use tenants::tell_redis;
pub use work::Started;

use crate::broker::Broker;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::{Address, Config};
use crate::confine::Walls;
use crate::database::Database;
use crate::policy::grants::Granted;
use crate::policy::route;
use crate::registry::{Compiler, Registry, Store};
use crate::results::Results;
use crate::results::orders::Orders;
use crate::results::shelf::Shelves;
use crate::task::{KnownQueues, TenantName};
use crate::worker::revocations::Clerk;
use celeriac_sandbox::{Engine, EngineSettings, Pooling, TaskInfo, Want};
use client::Client;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use stores::Files;

/// Slots of the sandbox beside those of the attempts: components that describe
/// themselves while they are loaded.
const SPARE_SLOTS: u32 = 2;
/// What commands work with: the stores of one configuration.
#[derive(Debug)]
pub struct App {
    /// Whose stores they are.
    tenant: TenantName,
    config: Config,
    clock: Clock,
    /// The folder of the registry, whose stores these are.
    home: PathBuf,
    data: Database,
    queues: KnownQueues,
    broker: Arc<dyn Broker>,
    results: Arc<dyn Results>,
    orders: Arc<dyn Orders>,
    shelves: Arc<dyn Shelves>,
    bus: Arc<dyn Bus>,
    files: Files,
    walls: Walls,
    plane: bool,
}

impl App {
    /// Opens the stores.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let mut files = Files::default();
        let data = files.open(&config.data, &clock).await?;
        Self::over(TenantName::default(), config, clock, (data, files)).await
    }

    /// Opens the stores of a tenant.
    async fn over(
        tenant: TenantName,
        config: Config,
        clock: Clock,
        (data, mut files): (Database, Files),
    ) -> Result<Self, StartError> {
        let queues = KnownQueues::new(config.queues.clone());
        let broker = stores::broker(&config, &queues, &mut files, &clock).await?;
        let bus = stores::bus(&config, &mut files, &clock).await?;
        let results = stores::results(&config, (&broker, &bus), &mut files, &clock).await?;
        let (orders, shelves) = stores::orders(&config, &mut files, &clock).await?;
        Ok(Self {
            home: config.data.clone(),
            tenant,
            config,
            clock,
            data,
            queues,
            broker,
            results,
            orders,
            shelves,
            bus,
            files,
            walls: Walls::default(),
            plane: false,
        })
    }

    /// Remembers which walls are around this process.
    #[must_use]
    pub fn within(mut self, walls: Walls) -> Self {
        self.walls = walls;
        self
    }

    /// Returns the stores of a tenant of the configuration instead.
    ///
    /// # Errors
    /// When there is no such tenant, or one of its stores cannot be used.
    pub async fn of_tenant(self, name: TenantName) -> Result<Self, StartError> {
        let Some(tenant) = self.config.tenants.get(&name) else {
            self.close().await;
            return Err(StartError::NoTenant { name });
        };
        let config = self.config.of_tenant(&name, tenant);
        let (clock, home) = (self.clock.clone(), self.home.clone());
        let app = Self::over(name, config, clock, (self.data.clone(), self.files)).await?;
        Ok(Self { home, ..app })
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the broker.
    #[must_use]
    pub fn broker(&self) -> &dyn Broker {
        &*self.broker
    }

    /// Returns the result backend.
    #[must_use]
    pub fn results(&self) -> &dyn Results {
        &*self.results
    }

    /// Returns the bus.
    #[must_use]
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Returns the queue of a task that we publish.
    #[must_use]
    pub fn queue_of(&self, task: &str) -> &str {
        route::queue(&self.config.routes, task)
    }

    /// Lists all that the operator grants to tasks of a module of a tenant, each once.
    #[must_use]
    pub fn reach(&self, tenant: &TenantName, module: &str, tasks: &[TaskInfo]) -> Vec<String> {
        look::reach(&self.granted(tenant), module, tasks)
    }

    /// Tells for everything that tasks of a module of a tenant want whether all that want it
    /// have it.
    #[must_use]
    pub fn wants(
        &self,
        tenant: &TenantName,
        module: &str,
        tasks: &[TaskInfo],
    ) -> BTreeMap<String, Want> {
        look::wants(&self.granted(tenant), module, tasks)
    }

    /// What the configuration grants to a tenant: nothing to any but `default`.
    fn granted(&self, tenant: &TenantName) -> Granted {
        match tenant.is_default() {
            true => self.grants(&BTreeMap::new()),
            false => Granted::new(),
        }
    }

    /// Opens the registry for a command: it runs no tasks.
    ///
    /// # Errors
    /// When the engine or the data folder cannot be used.
    pub async fn registry(&self) -> Result<Registry, StartError> {
        let settings = EngineSettings {
            attempts: SPARE_SLOTS,
            pooling: Pooling::Never,
        };
        self.registry_with(self.store().await?, &settings).await
    }

    /// Returns a client on the same stores; it must not outlive them.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::over(client::Parts {
            config: &self.config,
            clock: &self.clock,
            broker: &self.broker,
            results: &self.results,
            bus: &self.bus,
            clerk: self.clerk("client"),
        })
    }

    /// Tells whether there is a place for results.
    #[must_use]
    pub fn keeps_results(&self) -> bool {
        !matches!(self.config.result_backend, Address::Disabled | Address::Rpc)
    }

    /// Tells whether somebody who calls a task can wait for its result.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        self.config.result_backend != Address::Disabled
    }

    /// Closes the stores; what is queued is written first.
    pub async fn close(self) {
        self.results.hush().await;
        self.files.close().await;
    }

    async fn registry_with(
        &self,
        store: Store,
        settings: &EngineSettings,
    ) -> Result<Registry, StartError> {
        let engine = Engine::new(settings)?;
        let compiler = Compiler::this_program().map_err(StartError::Program)?;
        Ok(Registry::open(store, &self.home, engine, compiler).await?)
    }
}

fn clerk(
    config: &Config,
    orders: &Arc<dyn Orders>,
    results: &Arc<dyn Results>,
    clock: &Clock,
    name: &str,
) -> Clerk {
    Clerk {
        orders: Arc::clone(orders),
        results: Arc::clone(results),
        clock: clock.clone(),
        name: name.to_owned(),
        keep: config.worker.revoke_keep,
        result_keep: config.worker.result_keep,
    }
}

/// Names the sender of a message as Celery does, `gen<pid>@<host>`.
#[must_use]
pub fn origin() -> String {
    format!("gen{}@{}", std::process::id(), crate::config::machine())
}

#[cfg(test)]
mod tests;
