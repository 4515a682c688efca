//! What all attempts of a worker share.

use super::cells::Cells;
use super::guests::Guests;
use super::heartbeat::Leases;
use super::steering::Steering;
use super::{Drained, Parts, Settings, WorkerError};
use crate::broker::{Broker, Receipt, Settlement};
use crate::clock::Clock;
use crate::events::Events;
use crate::registry::Resolver;
use crate::results::shelf::Shelves;
use crate::results::{RUN, Results};
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;
use celeriac_sandbox::Egress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The worker's parts, and what it counts.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) results: Arc<dyn Results>,
    pub(super) shelves: Arc<dyn Shelves>,
    pub(super) resolver: Resolver,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: Settings,
    pub(super) shutdown: Shutdown,
    pub(super) guests: Guests,
    /// Where guests run, unless it is here.
    pub(super) cells: Option<Arc<Cells>>,
    pub(super) leases: Leases,
    pub(super) steering: Arc<Steering>,
    pub(super) events: Events,
    pub(super) egress: Egress,
    /// Unlike that of every other process, whatever their names.
    incarnation: String,
    finished: AtomicU64,
    refused: AtomicU64,
    given_back: AtomicU64,
}

impl Crew {
    pub(super) fn new(parts: Parts, shutdown: Shutdown) -> Result<Self, WorkerError> {
        let threads = parts.settings.guest_threads;
        let guests = Guests::start(threads)?;
        let most = u32::try_from(parts.steering.pool.most()).unwrap_or(u32::MAX);
        let cells = parts
            .settings
            .isolate
            .then(|| Cells::new(most, threads, parts.egress.clone(), guests.handle()));
        Ok(Self {
            broker: parts.broker,
            results: parts.results,
            shelves: parts.shelves,
            resolver: parts.resolver,
            clock: parts.clock,
            metrics: parts.metrics,
            settings: parts.settings,
            shutdown,
            guests,
            cells: cells.map(Arc::new),
            leases: Leases::default(),
            steering: parts.steering,
            events: parts.events,
            egress: parts.egress,
            incarnation: uuid::Uuid::new_v4().simple().to_string(),
            finished: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
        })
    }

    /// Names whoever runs a delivery: this very process with this very copy of the message.
    pub(super) fn run_of(&self, receipt: &Receipt) -> String {
        let Receipt { message, lease } = receipt;
        let (name, process) = (&self.settings.name, &self.incarnation);
        format!("{name}{RUN}{process} {message} {lease}")
    }

    /// Counts an attempt that is about to be settled so.
    pub(super) fn count(&self, settlement: &Settlement) {
        let counter = if *settlement == Settlement::Requeue {
            &self.given_back
        } else {
            &self.finished
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that is not run.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drained(&self) -> Drained {
        Drained {
            finished: self.finished.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            given_back: self.given_back.load(Ordering::Relaxed),
        }
    }
}
