//! A worker that follows a control plane over HTTP: its modules, its orders, its tenants.
//!
//! What is told goes into the replica in the worker's own data folder
//! ([`crate::registry`]), and everything else follows that. So an outage of the control
//! plane changes nothing but that nothing changes, and a start within one neither.

mod away;
mod backoff;
mod books;
mod coming;
mod modules;
mod orders;
mod tell;
mod tenants;

use super::{App, StartError, remote};
use crate::plane::WorkerTenant;
use crate::registry::{Digest, Registry, Resolver, Store, tenants_known};
use crate::remote::{Remote, RemoteError};
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;
use away::{Away, Say};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Tenants for which a worker has places beside those that it knew at its start (64): others
/// wait for its next start.
const MORE_TENANTS: usize = 64;
/// Most tenants of a worker (1,000), as in its configuration: each has connections of its own.
const TENANTS: usize = 1_000;
/// How long the control plane is asked to wait for news (25 s): less than proxies do.
const WAIT: u64 = 25;
/// Shortest time between two rounds of what follows and of what tells (20 ms): whoever pushes
/// waits for it, and what answers at once whatever it is asked keeps no core busy.
const PACE: Duration = Duration::from_millis(20);
/// How long an answer takes beyond its wait (20 s).
const ANSWER: Duration = Duration::from_secs(20);

/// Follows a control plane. A cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Follower(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    remote: Remote,
    registry: Registry,
    tenants: watch::Sender<Arc<[WorkerTenant]>>,
    away: Mutex<Away>,
    metrics: Arc<Metrics>,
    /// The components of what is published.
    published: watch::Sender<HashSet<Digest>>,
    /// Held by whoever fetches a component.
    fetching: tokio::sync::Mutex<()>,
}

impl App {
    /// Tells whether the worker follows a control plane elsewhere.
    pub(super) fn follows(&self) -> bool {
        self.config.server.is_some() && !self.plane
    }

    /// Returns the rows and files of the worker's registry: those of the configuration, or a
    /// replica in its own folder.
    pub(super) async fn store_of_worker(&self) -> Result<Store, StartError> {
        match self.follows() {
            true => {
                let room = self.config.worker.component_cache;
                Ok(Store::file(self.data.clone()).as_replica(room))
            }
            false => self.store().await,
        }
    }

    /// Returns for how many tenants beside `default` the worker needs places.
    pub(super) async fn tenants_at_most(&self, store: &Store) -> Result<usize, StartError> {
        if !self.follows() {
            return Ok(self.config.tenants.len());
        }
        let known = tenants_known(store).await?;
        Ok(known
            .saturating_mul(2)
            .max(known + MORE_TENANTS)
            .min(TENANTS))
    }

    /// Begins to follow the control plane of the configuration, where there is one.
    ///
    /// # Errors
    /// When the data folder has things of its own, or the files of the token or the
    /// authorities cannot be used.
    pub(super) async fn follower(
        &self,
        registry: &Registry,
        metrics: &Arc<Metrics>,
        beside: &mut JoinSet<()>,
    ) -> Result<Option<Follower>, StartError> {
        let Some(server) = self.config.server.clone().filter(|_| self.follows()) else {
            return Ok(None);
        };
        registry.may_be_replica().await?;
        let opened = tokio::task::spawn_blocking(move || remote(&server)).await;
        let remote = opened.map_err(|error| RemoteError::Misconfigured {
            what: error.to_string(),
        })??;
        let known = registry.copied(remote.url()).await?;
        let tenants = match known.orders {
            Some(_) => registry.followed_tenants().await?,
            // Those of another control plane are nobody here.
            None => Arc::default(),
        };
        let follower = Follower(Arc::new(Inner {
            remote,
            registry: registry.clone(),
            tenants: watch::Sender::new(tenants),
            away: Mutex::default(),
            metrics: Arc::clone(metrics),
            published: watch::Sender::default(),
            fetching: tokio::sync::Mutex::default(),
        }));
        beside.spawn(follower.clone().modules());
        beside.spawn(follower.clone().orders());
        beside.spawn(follower.clone().coming());
        Ok(Some(follower))
    }
}

impl Follower {
    /// Waits until everything was heard once, now or before an earlier stop; `false` when the
    /// worker is to stop before.
    pub(super) async fn has_begun(&self, shutdown: &Shutdown) -> Result<bool, StartError> {
        let mut news = self.0.registry.news();
        let mut is_said = false;
        loop {
            let known = self.0.registry.copied(self.url()).await?;
            if known.modules.is_some() && known.orders.is_some() {
                return Ok(true);
            }
            if !is_said {
                tracing::info!(
                    server = self.url(),
                    "waiting for the control plane, of which nothing is known here yet"
                );
                is_said = true;
            }
            tokio::select! {
                changed = news.changed() => changed?,
                () = shutdown.stopping() => return Ok(false),
            }
        }
    }

    /// Tells the control plane of this worker until `ended`, and that it ended.
    pub(super) fn tells(
        &self,
        resolver: &Resolver,
        ended: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.clone().tell(resolver.clone(), ended.clone())
    }

    fn url(&self) -> &str {
        self.0.remote.url()
    }

    /// Notes that a part of the control plane answered.
    fn answered(&self, part: &'static str) {
        let mut away = self.away();
        let is_over = away.answered(part);
        self.0.metrics.control_plane_up(away.is_none());
        if is_over {
            tracing::info!(server = self.url(), "the control plane answers again");
        }
    }

    /// Notes that a part of the control plane did not; says so once, and once more where only
    /// a person can help.
    fn failed(&self, part: &'static str, error: &RemoteError) {
        let say = self.away().failed(part, error.passes());
        self.0.metrics.control_plane_up(false);
        match say {
            Say::Outage => {
                tracing::warn!(%error, "this worker goes on with what it knows, and asks again");
            }
            Say::Refused => {
                tracing::error!(%error, "the control plane is not followed: see to `server` and its token; this worker goes on with what it knows, and asks again");
            }
            Say::Known => {
                tracing::debug!(part, %error, "the control plane does not answer yet");
            }
        }
    }

    fn away(&self) -> MutexGuard<'_, Away> {
        self.0.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
