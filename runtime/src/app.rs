//! The whole of a process, put together from its configuration.

pub mod client;
mod error;
mod facts;
mod housekeeping;
mod listen;
mod look;
mod steered;
mod stores;

pub use error::StartError;

use crate::broker::{Broker, BrokerError};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config::{Address, CONCURRENCY, Config};
use crate::database::Database;
use crate::policy::grants;
use crate::policy::{limits, route};
use crate::registry::{Compiler, ModuleInfo, Registry};
use crate::results::orders::Orders;
use crate::results::{Results, ResultsError};
use crate::shutdown::{Phase, Shutdown, Signals};
use crate::task::TaskId;
use crate::telemetry::{Metrics, human};
use crate::worker::revocations::Clerk;
use crate::worker::{self, Drained, Parts, Retries, Settings};
use celeriac_sandbox::{Engine, EngineSettings, Pooling};
use client::Client;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use stores::Files;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Slots of the sandbox beside those of the attempts: components that describe
/// themselves while they are loaded.
const SPARE_SLOTS: u32 = 2;
/// How many times its first size the pool may grow to by remote control.
const GROWTH: u32 = 2;
/// How long what is served may take to end (2 s): an answer under
/// way, the last look of the registry.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What commands work with: the stores of one configuration.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Clock,
    data: Database,
    broker: Arc<dyn Broker>,
    results: Arc<dyn Results>,
    orders: Arc<dyn Orders>,
    bus: Arc<dyn Bus>,
    files: Files,
}

/// What runs once the start is done.
#[derive(Debug)]
pub struct Started<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Where metrics and health are served.
    pub listen: Option<SocketAddr>,
    /// The modules of this moment.
    pub modules: Vec<ModuleInfo>,
}

impl App {
    /// Opens the stores.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let mut files = Files::default();
        let data = files.open(&config.data, &clock).await?;
        let broker = stores::broker(&config, &mut files, &clock).await?;
        let results = stores::results(&config, &broker, &mut files, &clock).await?;
        let orders = stores::orders(&config, &mut files, &clock).await?;
        let bus = stores::bus(&config, &mut files, &clock).await?;
        Ok(Self {
            config,
            clock,
            data,
            broker,
            results,
            orders,
            bus,
            files,
        })
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

    /// Returns the tasks that the operator lets tasks of a module send.
    #[must_use]
    pub fn may_submit<'a>(
        &self,
        module: &str,
        tasks: impl Iterator<Item = &'a str>,
    ) -> Vec<String> {
        let granted = self.grants();
        let all = tasks.flat_map(|task| grants::of(&granted, module, task).submit);
        all.collect::<BTreeSet<_>>().into_iter().collect()
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
        self.registry_with(&settings).await
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

    /// Asks the broker and the result backend anything, so that what only a person
    /// can mend fails the start; what is away may come back.
    async fn greet(&self) -> Result<(), StartError> {
        if let Some(queue) = self.config.worker.queues.first() {
            match self.broker.depth(queue).await {
                Err(error @ BrokerError::Misconfigured { .. }) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "the worker waits for its broker"),
                Ok(_) => {}
            }
        }
        match self.keeps_results() {
            false => tracing::warn!(
                "no results are kept: callers cannot wait, and a task that is delivered twice runs twice"
            ),
            true => match self.results.get(&TaskId::random()).await {
                Err(error @ ResultsError::Misconfigured { .. }) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "the worker waits for its result backend"),
                Ok(_) => {}
            },
        }
        Ok(())
    }

    /// Fails the start when a task may take longer than the broker lets its message
    /// be held. What is pushed later is refused when it is called.
    fn outlasts(&self, modules: &[ModuleInfo]) -> Result<(), StartError> {
        let longest = self.broker.profile().longest;
        let (defaults, ceiling) = (&self.config.limits, &self.config.ceiling);
        for module in modules {
            for task in &module.tasks {
                let limits = limits::effective(defaults, &task.limits, ceiling, None, None);
                if let Some(reason) = limits::outlasts(limits.wall, longest) {
                    let (module, task) = (module.name.clone(), task.name.clone());
                    return Err(StartError::Outlasts {
                        module,
                        task,
                        reason,
                    });
                }
            }
        }
        Ok(())
    }

    /// Tells whether there is a place for results.
    #[must_use]
    pub fn keeps_results(&self) -> bool {
        !matches!(self.config.result_backend, Address::Disabled | Address::Rpc)
    }

    /// Runs a worker until a signal stops it. `started` is called once, when it
    /// is about to take messages.
    ///
    /// # Errors
    /// When something cannot be set up, or the worker breaks.
    pub async fn work(&self, started: impl FnOnce(&Started<'_>)) -> Result<Drained, StartError> {
        let signals = Signals::new().map_err(StartError::Signals)?;
        let shutdown = Shutdown::new();
        self.greet().await?;
        let settings = self.settings();
        let most = most(settings.concurrency);
        let registry = self
            .registry_with(&EngineSettings {
                attempts: most.saturating_add(SPARE_SLOTS),
                pooling: Pooling::Auto,
            })
            .await?;
        let modules = registry.modules().await?;
        self.outlasts(&modules)?;
        let resolver = registry.resolver(&settings.name).await?;
        let metrics = Arc::new(Metrics::new());
        let listener = listen::bind(&self.config.worker).await?;
        let listen = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let ended = CancellationToken::new();

        // These are cut off at the end; the served ones end by themselves.
        let mut beside = JoinSet::new();
        let mut served = JoinSet::new();
        beside.spawn(follow_signals(
            shutdown.clone(),
            signals,
            settings.drain,
            Arc::clone(&metrics),
        ));
        beside.spawn(drain(shutdown.clone(), settings.drain));
        beside.spawn(housekeeping::run(
            Arc::clone(&self.results),
            registry.clone(),
        ));
        let (following, end) = (resolver.clone(), ended.clone());
        served.spawn(async move { following.run(end).await });
        if let Some(listener) = listener {
            let api = listen::api(Arc::clone(&metrics), registry.clone(), shutdown.clone());
            served.spawn(listen::serve(
                api,
                listener,
                ended.clone().cancelled_owned(),
            ));
        }

        let steering = self.steering(most);
        let events = self.events();
        let control = self.control(&events, &steering, &resolver, &shutdown);
        self.watch(&mut served, control, &metrics, &ended);
        started(&Started {
            config: &self.config,
            listen,
            modules,
        });
        let parts = Parts {
            broker: Arc::clone(&self.broker),
            results: Arc::clone(&self.results),
            resolver,
            clock: self.clock.clone(),
            metrics,
            steering,
            events,
            settings,
        };
        let drained = worker::run(parts, shutdown).await;
        ended.cancel();
        beside.shutdown().await;
        finish(served).await;
        Ok(drained?)
    }

    /// Closes the stores; what is queued is written first.
    pub async fn close(self) {
        self.files.close().await;
    }

    async fn registry_with(&self, settings: &EngineSettings) -> Result<Registry, StartError> {
        let engine = Engine::new(settings)?;
        let compiler = Compiler::this_program().map_err(StartError::Program)?;
        Ok(Registry::open(self.data.clone(), &self.config.data, engine, compiler).await?)
    }

    fn settings(&self) -> Settings {
        let worker = &self.config.worker;
        Settings {
            name: worker.hostname.clone(),
            queues: worker.queues.clone(),
            concurrency: worker.concurrency,
            guest_threads: worker.guest_threads,
            drain: worker.drain,
            forward: worker.forward.clone(),
            timezone: self.config.timezone.clone(),
            accept: self.config.accept_content.clone(),
            max_deliveries: worker.max_deliveries,
            repair_time: worker.repair_time,
            max_retries: Retries {
                default: worker.max_retries,
                cap: self.config.max_retries,
            },
            retry_delay: worker.retry_delay,
            result_keep: worker.result_keep,
            track_started: worker.track_started,
            result_extended: worker.result_extended,
            defaults: self.config.limits.clone(),
            ceiling: self.config.ceiling.clone(),
            aliases: self.config.aliases.clone(),
            routes: self.config.routes.clone(),
            grants: self.grants(),
        }
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

/// To how many attempts in flight a worker may grow that starts with so many.
fn most(concurrency: usize) -> u32 {
    let attempts = u32::try_from(concurrency).unwrap_or(u32::MAX);
    let largest = u32::try_from(CONCURRENCY).unwrap_or(u32::MAX);
    attempts.saturating_mul(GROWTH).min(largest).max(attempts)
}

async fn follow_signals(
    shutdown: Shutdown,
    signals: Signals,
    drain: Duration,
    metrics: Arc<Metrics>,
) {
    let said = |phase| {
        let tasks = metrics.running();
        if let Some(words) = stopping(phase, tasks, drain) {
            tracing::info!(tasks, "{words}");
        }
    };
    shutdown.listen(signals, said).await;
}

/// Says what a signal does to the tasks that run, if any does.
fn stopping(phase: Phase, tasks: i64, drain: Duration) -> Option<String> {
    if tasks == 0 {
        return None;
    }
    Some(match phase {
        Phase::Draining => format!(
            "draining for at most {}; a second signal gives running tasks back at once",
            human::span(drain)
        ),
        Phase::Cancelling => "giving running tasks back".to_owned(),
    })
}

async fn drain(shutdown: Shutdown, drain: Duration) {
    shutdown.drain(drain).await;
}

async fn finish(mut tasks: JoinSet<()>) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task beside the worker ended badly");
            }
        }
    };
    if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
        tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
