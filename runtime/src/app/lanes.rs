//! The tenants beside `default` that a worker serves: their stores are opened, their lanes
//! come and go, and what is wrong with one is told and tried again without the others.

use super::around::finish;
use super::stores::Files;
use super::{App, StartError, housekeeping, ledger};
use crate::clock::Clock;
use crate::config::{Config, TenantConfig};
use crate::database::Database;
use crate::registry::Resolver;
use crate::results::orders::Orders;
use crate::shutdown::Shutdown;
use crate::task::{Share, TenantName};
use crate::telemetry::Metrics;
use crate::worker::steering::Pool;
use crate::worker::{Lane, Lanes, Tally};
use celeriac_sandbox::{Egress, Secret};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Pause before stores are opened again that could not be (10 s): only a person mends them.
const AGAIN: Duration = Duration::from_secs(10);

/// What all lanes of a worker share.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) pool: Arc<Pool>,
    pub(super) resolver: Resolver,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tally: Arc<Tally>,
    pub(super) egress: Egress,
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Where what tenants use is counted.
    pub(super) orders: Arc<dyn Orders>,
    pub(super) open: Mutex<BTreeMap<TenantName, Arc<Lane>>>,
}

impl Hall {
    /// Returns the lanes of this moment.
    pub(super) fn lanes(&self) -> Vec<(TenantName, Arc<Lane>)> {
        let open = self.lock();
        open.iter()
            .map(|(name, lane)| (name.clone(), Arc::clone(lane)))
            .collect()
    }

    /// Remembers a lane.
    pub(super) fn opened(&self, name: TenantName, lane: Lane) -> Arc<Lane> {
        let lane = Arc::new(lane);
        self.lock().insert(name, Arc::clone(&lane));
        lane
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantName, Arc<Lane>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tenants beside `default`.
#[derive(Debug)]
pub(super) struct Tenants {
    config: Config,
    clock: Clock,
    data: Database,
    hall: Arc<Hall>,
    lanes: Lanes,
    served: BTreeMap<TenantName, Served>,
    /// Lanes that close: who is served from now on may have the place of one of them.
    closing: Vec<CancellationToken>,
    tasks: JoinSet<()>,
}

/// One that is served.
#[derive(Debug)]
struct Served {
    tenant: TenantConfig,
    share: watch::Sender<Share>,
    stop: Shutdown,
    /// Cancelled when its lane is closed.
    over: CancellationToken,
}

/// What is needed to serve one.
struct Service {
    name: TenantName,
    config: Config,
    clock: Clock,
    data: Database,
    hall: Arc<Hall>,
    lanes: Lanes,
    share: watch::Receiver<Share>,
    stop: Shutdown,
    /// Lanes that have to be closed first.
    before: Vec<CancellationToken>,
}

impl Tenants {
    /// Serves none yet.
    pub(super) fn new(app: &App, hall: Arc<Hall>, lanes: Lanes) -> Self {
        Self {
            config: app.config.clone(),
            clock: app.clock.clone(),
            data: app.data.clone(),
            hall,
            lanes,
            served: BTreeMap::new(),
            closing: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Serves these tenants, and no others. Another share of one holds at once; anything
    /// else that is new of it closes its lane, which ends what it runs, and opens another. It
    /// waits for nobody: a lane that closes has the time of a drain.
    pub(super) fn apply(&mut self, tenants: &BTreeMap<TenantName, TenantConfig>) {
        let changed = |name: &TenantName, served: &Served| {
            let wanted = tenants.get(name);
            wanted.is_none_or(|wanted| !is_alike(wanted, &served.tenant))
        };
        let gone: Vec<TenantName> = self
            .served
            .iter()
            .filter(|(name, served)| changed(name, served))
            .map(|(name, _)| name.clone())
            .collect();
        let gone: Vec<Served> = gone
            .iter()
            .filter_map(|name| self.served.remove(name))
            .collect();
        for served in &gone {
            served.stop.stop();
        }
        for (name, served) in &mut self.served {
            if let Some(tenant) = tenants.get(name) {
                served.tenant.share.clone_from(&tenant.share);
                served.share.send_replace(tenant.share.clone());
            }
        }
        self.closing.retain(|over| !over.is_cancelled());
        self.closing
            .extend(gone.into_iter().map(|served| served.over));
        for (name, tenant) in tenants {
            if !self.served.contains_key(name) {
                self.serve(name, tenant);
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn serve(&mut self, name: &TenantName, tenant: &TenantConfig) {
        let (share, follow) = watch::channel(tenant.share.clone());
        let (stop, over) = (self.lanes.stop(), CancellationToken::new());
        let service = Service {
            name: name.clone(),
            config: self.config.of_tenant(name, tenant),
            clock: self.clock.clone(),
            data: self.data.clone(),
            hall: Arc::clone(&self.hall),
            lanes: self.lanes.clone(),
            share: follow,
            stop: stop.clone(),
            before: self.closing.clone(),
        };
        let ended = over.clone().drop_guard();
        self.tasks.spawn(async move {
            let _ended = ended;
            service.run().await;
        });
        let served = Served {
            tenant: tenant.clone(),
            share,
            stop,
            over,
        };
        self.served.insert(name.clone(), served);
    }

    /// Waits until nobody is served any more; the worker has stopped.
    pub(super) async fn close(self) {
        finish(self.tasks).await;
    }
}

/// Tells whether two descriptions of a tenant differ in its share at most.
fn is_alike(one: &TenantConfig, other: &TenantConfig) -> bool {
    let share = Share::default();
    let bare = |tenant: &TenantConfig| TenantConfig {
        share: share.clone(),
        ..tenant.clone()
    };
    bare(one) == bare(other)
}

impl Service {
    async fn run(mut self) {
        for before in &self.before {
            tokio::select! {
                () = before.cancelled() => {}
                () = self.stop.stopping() => return,
            }
        }
        let Some(app) = self.open().await else {
            return;
        };
        let (mut parts, control) = app.parts(&self.hall, &self.stop);
        parts.share = self.share.borrow_and_update().clone();
        // A quota that was full before a start is full after it.
        ledger::known(&self.hall, &self.clock, &self.name, &parts.steering.meter).await;
        let ended = CancellationToken::new();
        let (mut served, mut beside) = (JoinSet::new(), JoinSet::new());
        app.watch(&mut served, control, &self.hall.metrics, &ended)
            .await;
        beside.spawn(housekeeping::sweep_all(Arc::clone(&app.results)));
        let lane = self.lanes.open(parts, self.stop.clone()).await;
        let lane = self.hall.opened(self.name.clone(), lane);
        tracing::info!(tenant = self.name.as_str(), "serving a tenant");
        loop {
            tokio::select! {
                () = lane.ended() => break,
                Ok(()) = self.share.changed() => lane.share(&self.share.borrow_and_update()),
            }
        }
        self.hall.lock().remove(&self.name);
        // Its places are given up with it.
        drop(lane);
        ended.cancel();
        beside.shutdown().await;
        finish(served).await;
        app.close().await;
        tracing::info!(tenant = self.name.as_str(), "serving a tenant no longer");
    }

    /// Opens the stores, again and again until they can be used or nobody wants them.
    async fn open(&self) -> Option<App> {
        loop {
            let error = tokio::select! {
                opened = self.try_open() => match opened {
                    Ok(app) => return Some(app),
                    Err(error) => error,
                },
                () = self.stop.stopping() => return None,
            };
            let tenant = self.name.as_str();
            tracing::error!(%error, tenant, "the tasks of this tenant are not run; trying again in {} s", AGAIN.as_secs());
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = self.stop.stopping() => return None,
            }
        }
    }

    async fn try_open(&self) -> Result<App, StartError> {
        let (config, clock) = (self.config.clone(), self.clock.clone());
        let stores = (self.data.clone(), Files::default());
        let app = App::over(self.name.clone(), config, clock, stores).await?;
        match app.greet().await {
            Ok(()) => Ok(app),
            Err(error) => {
                app.close().await;
                Err(error)
            }
        }
    }
}
