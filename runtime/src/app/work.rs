//! A worker from its start to its end: what must be right before it takes messages, and its
//! lanes.

use super::around::Around;
use super::follow::Follower;
use super::lanes::{Hall, Tenants};
use super::ledger::{self, Ledger};
use super::{App, Beside, SPARE_SLOTS, StartError, listen, secrets};
use crate::broker::BrokerError;
use crate::config::{CONCURRENCY, Config};
use crate::confine::Walls;
use crate::control::Control;
use crate::policy::limits;
use crate::registry::{ModuleInfo, Registry, Resolver};
use crate::results::ResultsError;
use crate::shutdown::{Shutdown, Signals};
use crate::task::TaskId;
use crate::telemetry::Metrics;
use crate::worker::steering::Pool;
use crate::worker::{Drained, Ground, Lanes, Parts, Retries, Settings};
use celeriac_sandbox::{Egress, EngineSettings, Pooling, Secret};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// How many times its first size the pool may grow to by remote control.
const GROWTH: u32 = 2;

/// What runs once the start is done.
#[derive(Debug)]
pub struct Started<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// The walls around this process.
    pub walls: &'a Walls,
    /// Where metrics and health are served.
    pub listen: Option<SocketAddr>,
    /// The control plane that is served too.
    pub plane: Option<&'a Beside>,
    /// The modules of this moment.
    pub modules: Vec<ModuleInfo>,
}

/// What lanes are opened over.
struct Ready {
    registry: Registry,
    metrics: Arc<Metrics>,
    egress: Egress,
    secrets: BTreeMap<String, Secret>,
    follower: Option<Follower>,
    /// Most attempts in flight, and most tenants beside `default`.
    places: (u32, usize),
    listen: Option<SocketAddr>,
}

impl App {
    /// Runs a worker until a signal stops it. `started` is called once, when it
    /// is about to take messages.
    ///
    /// # Errors
    /// When something cannot be set up, or the worker breaks.
    pub async fn work(&self, started: impl FnOnce(&Started<'_>)) -> Result<Drained, StartError> {
        let signals = Signals::new().map_err(StartError::Signals)?;
        let shutdown = Shutdown::new();
        self.greet().await?;
        let secrets = secrets::read(&self.config)?;
        let store = self.store_of_worker().await?;
        let room = self.tenants_at_most(&store).await?;
        let most = most(self.config.worker.concurrency, room);
        let registry = self.registry_with(store, &engine(most)).await?;
        let (metrics, egress) = (Arc::new(self.metrics()), self.egress()?);
        let listener = listen::bind(&self.config.worker).await?;
        let listen = listen::address(listener.as_ref());
        let mut around = Around::default();
        around.listens((&shutdown, signals), self.config.worker.drain, &metrics);
        if let Some(listener) = listener {
            let api = listen::api(Arc::clone(&metrics), registry.clone(), shutdown.clone());
            let end = around.ended.clone().cancelled_owned();
            around.served.spawn(listen::serve(api, listener, end));
        }
        let follower = self
            .follower(&registry, &metrics, &mut around.beside)
            .await?;
        if let Some(follower) = &follower
            && !follower.has_begun(&shutdown).await?
        {
            around.end().await;
            return Ok(Drained::default());
        }
        let ready = Ready {
            registry,
            metrics,
            egress,
            secrets,
            follower,
            places: (most, room),
            listen,
        };
        self.attend(ready, &shutdown, around, started).await
    }

    /// Opens the lanes, and runs them to the worker's end.
    async fn attend(
        &self,
        ready: Ready,
        shutdown: &Shutdown,
        mut around: Around,
        started: impl FnOnce(&Started<'_>),
    ) -> Result<Drained, StartError> {
        let Ready {
            registry,
            metrics,
            follower,
            places: (most, room),
            ..
        } = &ready;
        let modules = registry.modules(&self.tenant).await?;
        self.outlasts(&modules)?;
        let resolver = registry.resolver(&self.config.worker.hostname).await?;
        let plane = self.beside(registry, shutdown, &mut around.served).await?;
        around.runs_beside(&resolver, registry, (&self.results, follower.as_ref()));
        let reach = (ready.egress.clone(), ready.secrets.clone());
        let hall = self.hall(*most, resolver, metrics, reach);
        around.tells_usage(self.teller(&hall.tally, follower.as_ref()).await?);
        let (lanes, runner) = Lanes::new(&self.ground(&hall), shutdown.clone())?;
        let (parts, control) = self.parts(&hall, shutdown);
        started(&Started {
            config: &self.config,
            walls: &self.walls,
            listen: ready.listen,
            plane: plane.as_ref(),
            modules,
        });
        self.watch(&mut around.served, control, metrics, &around.ended)
            .await;
        ledger::known(&hall, &self.clock, &self.tenant, &parts.steering.meter).await;
        let own = lanes.open(parts, lanes.stop()).await;
        let own = hall.opened(self.tenant.clone(), own);
        let ledger = Ledger::new(Arc::clone(&hall), self.clock.clone());
        around.beside.spawn(ledger.run());
        let mut tenants = Tenants::new(self, hall, lanes);
        let drained = match follower {
            None => {
                tenants.apply(&self.config.tenants);
                runner.run().await
            }
            Some(follower) => tokio::select! {
                drained = runner.run() => drained,
                never = follower.serve(&self.config, *room, (&mut tenants, &own)) => match never {},
            },
        };
        drop(own);
        tenants.close().await;
        around.end().await;
        Ok(drained?)
    }

    /// Makes the queues, so that nothing is lost that is published from the start on, and
    /// asks the broker and the result backend anything: what only a person can mend fails
    /// the start; what is away may come back.
    pub(super) async fn greet(&self) -> Result<(), StartError> {
        let queues = &self.config.worker.queues;
        let mut greeted = self.broker.prepare(queues).await;
        if let (Ok(()), Some(queue)) = (&greeted, queues.first()) {
            greeted = self.broker.depth(queue).await.map(drop);
        }
        match greeted {
            Err(error @ BrokerError::Misconfigured { .. }) => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "the worker waits for its broker"),
            Ok(()) => {}
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

    fn metrics(&self) -> Metrics {
        let metrics = Metrics::new();
        for wall in self.walls.standing() {
            metrics.wall(wall.name(), true);
        }
        for (wall, _) in self.walls.missing() {
            metrics.wall(wall.name(), false);
        }
        metrics
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

    /// Returns what all lanes share.
    fn hall(
        &self,
        most: u32,
        resolver: Resolver,
        metrics: &Arc<Metrics>,
        (egress, secrets): (Egress, BTreeMap<String, Secret>),
    ) -> Arc<Hall> {
        let concurrency = self.config.worker.concurrency;
        let pool = Pool::new(concurrency, usize::try_from(most).unwrap_or(usize::MAX));
        Arc::new(Hall {
            pool: Arc::new(pool),
            resolver,
            metrics: Arc::clone(metrics),
            tally: Arc::default(),
            egress,
            secrets,
            orders: Arc::clone(&self.orders),
            open: Mutex::default(),
        })
    }

    fn ground(&self, hall: &Hall) -> Ground {
        Ground {
            guest_threads: self.config.worker.guest_threads,
            isolate: self.config.worker.isolate,
            most: hall.pool.most(),
            egress: hall.egress.clone(),
        }
    }

    /// Returns what the lane of this tenant works with, and what controls it.
    pub(super) fn parts(&self, hall: &Hall, shutdown: &Shutdown) -> (Parts, Control) {
        let steering = self.steering(Arc::clone(&hall.pool));
        let events = self.events();
        let control = self.control(&events, &steering, &hall.resolver, shutdown);
        let parts = Parts {
            broker: Arc::clone(&self.broker),
            results: Arc::clone(&self.results),
            shelves: Arc::clone(&self.shelves),
            resolver: hall.resolver.clone(),
            clock: self.clock.clone(),
            metrics: Arc::clone(&hall.metrics),
            tally: Arc::clone(&hall.tally),
            steering,
            events,
            egress: hall.egress.clone(),
            share: self.config.share.clone(),
            settings: self.settings(&hall.secrets),
        };
        (parts, control)
    }

    fn settings(&self, secrets: &BTreeMap<String, Secret>) -> Settings {
        let worker = &self.config.worker;
        Settings {
            tenant: self.tenant.clone(),
            name: worker.hostname.clone(),
            queues: worker.queues.clone(),
            drain: worker.drain,
            forward: worker.forward.clone(),
            timezone: self.config.timezone.clone(),
            accept: self.config.accept_content.clone(),
            max_deliveries: worker.max_deliveries,
            run_ahead: worker.run_ahead,
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
            grants: self.grants(secrets),
        }
    }
}

/// The engine of a worker with so many attempts in flight at most.
fn engine(most: u32) -> EngineSettings {
    EngineSettings {
        attempts: most.saturating_add(SPARE_SLOTS),
        pooling: Pooling::Auto,
    }
}

/// To how many attempts in flight a worker may grow that starts with so many. Each tenant
/// beside `default` has a place of its own.
fn most(concurrency: usize, tenants: usize) -> u32 {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (attempts, largest) = (
        number(concurrency),
        u32::try_from(CONCURRENCY).unwrap_or(u32::MAX),
    );
    let grown = attempts.saturating_mul(GROWTH).min(largest).max(attempts);
    grown.saturating_add(number(tenants))
}
