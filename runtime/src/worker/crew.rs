//! What all attempts of a lane share, and what all lanes of a worker share.

use super::cells::Cells;
use super::guests::Guests;
use super::heartbeat::Leases;
use super::shares::Door;
use super::steering::Steering;
use super::{Drained, Ground, Parts, Settings, Tally, WorkerError};
use crate::broker::{Broker, Receipt, Settlement};
use crate::clock::Clock;
use crate::events::Events;
use crate::registry::Resolver;
use crate::results::shelf::Shelves;
use crate::results::{RUN, Results, Write};
use crate::shutdown::Shutdown;
use crate::task::Share;
use crate::telemetry::Metrics;
use celeriac_sandbox::Egress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all lanes of a worker share.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) guests: Guests,
    /// Where guests run, unless it is here.
    pub(super) cells: Option<Arc<Cells>>,
    /// Unlike that of every other process, whatever their names.
    incarnation: String,
    finished: AtomicU64,
    refused: AtomicU64,
    given_back: AtomicU64,
}

impl Floor {
    pub(super) fn new(ground: &Ground) -> Result<Self, WorkerError> {
        let threads = ground.guest_threads;
        let guests = Guests::start(threads)?;
        let most = u32::try_from(ground.most).unwrap_or(u32::MAX);
        let cells = ground
            .isolate
            .then(|| Cells::new(most, threads, ground.egress.clone(), guests.handle()));
        Ok(Self {
            guests,
            cells: cells.map(Arc::new),
            incarnation: uuid::Uuid::new_v4().simple().to_string(),
            finished: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            given_back: AtomicU64::new(0),
        })
    }

    pub(super) fn drained(&self) -> Drained {
        Drained {
            finished: self.finished.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            given_back: self.given_back.load(Ordering::Relaxed),
        }
    }
}

/// The lane's parts.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) floor: Arc<Floor>,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) results: Arc<dyn Results>,
    pub(super) shelves: Arc<dyn Shelves>,
    pub(super) resolver: Resolver,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tally: Arc<Tally>,
    pub(super) settings: Settings,
    /// Its own stop; that of the worker stops it, too.
    pub(super) shutdown: Shutdown,
    pub(super) leases: Leases,
    pub(super) steering: Arc<Steering>,
    pub(super) events: Events,
    pub(super) egress: Egress,
    /// Its way to places.
    pub(super) door: Door,
}

impl Crew {
    pub(super) fn new(parts: Parts, floor: Arc<Floor>, shutdown: Shutdown) -> Self {
        let door = parts.steering.pool.shares().join(parts.share.weight.get());
        let crew = Self {
            floor,
            broker: parts.broker,
            results: parts.results,
            shelves: parts.shelves,
            resolver: parts.resolver,
            clock: parts.clock,
            metrics: parts.metrics,
            tally: parts.tally,
            settings: parts.settings,
            shutdown,
            leases: Leases::default(),
            steering: parts.steering,
            events: parts.events,
            egress: parts.egress,
            door,
        };
        crew.take_share(&parts.share);
        crew
    }

    /// Takes another share of the worker from now on.
    pub(super) fn take_share(&self, share: &Share) {
        let most = share
            .quota
            .concurrency
            .map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        self.steering.meter.take_share(share);
        self.door.change(share.weight.get(), most);
    }

    /// Names whoever runs a delivery: this very process with this very copy of the message.
    pub(super) fn run_of(&self, receipt: &Receipt) -> String {
        let Receipt { message, lease } = receipt;
        let (name, process) = (&self.settings.name, &self.floor.incarnation);
        format!("{name}{RUN}{process} {message} {lease}")
    }

    /// Counts the bytes of what was stored about a task that is over. What is written on the
    /// way is in the place that its end takes.
    pub(super) fn stored(&self, write: &Write) {
        if write.is_last() && self.results.keeps() {
            self.steering.meter.kept(write.bytes(), write.keep);
        }
    }

    /// Counts an attempt that is about to be settled so.
    pub(super) fn count(&self, settlement: &Settlement) {
        let counter = if *settlement == Settlement::Requeue {
            &self.floor.given_back
        } else {
            &self.floor.finished
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that is not run.
    pub(super) fn refuse(&self) {
        self.floor.refused.fetch_add(1, Ordering::Relaxed);
    }
}
