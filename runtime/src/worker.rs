//! The worker: takes messages and runs them, as many at once as it has permits.
//!
//! [`executor`] is the table of contents of the product: one attempt, from
//! delivery to acknowledgement, in ten named steps. [`consumer`] feeds it,
//! [`heartbeat`] keeps the leases of what runs.

mod builtins;
pub mod cells;
mod consumer;
mod crew;
mod executor;
mod guests;
mod heartbeat;
mod holds;
mod lanes;
pub mod meter;
mod patience;
pub mod rates;
pub mod revocations;
pub mod roll;
mod shares;
pub mod steering;
mod usage;

pub use lanes::{Lane, Lanes, Runner};
pub use usage::Tally;

use crate::broker::Broker;
use crate::clock::Clock;
use crate::events::Events;
use crate::policy::grants::Granted;
use crate::registry::Resolver;
use crate::results::shelf::Shelves;
use crate::results::{Results, ResultsError};
use crate::task::{Accept, Share, TenantName};
use crate::telemetry::Metrics;
use celeriac_sandbox::{Egress, Limits};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steering::Steering;

/// What all lanes of a worker stand on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Threads that run guests.
    pub guest_threads: usize,
    /// Whether the guests of each module run in a process of their own.
    pub isolate: bool,
    /// Most attempts that may ever be in flight.
    pub most: usize,
    /// How is sent what tasks send by HTTP.
    pub egress: Egress,
}

/// What one lane of a worker, that of one tenant, works with.
#[derive(Debug)]
pub struct Parts {
    /// Where messages come from and go to.
    pub broker: Arc<dyn Broker>,
    /// Where states and results go.
    pub results: Arc<dyn Results>,
    /// Where modules keep what outlasts an attempt.
    pub shelves: Arc<dyn Shelves>,
    /// Which code a task is.
    pub resolver: Resolver,
    /// The clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What tenants used.
    pub tally: Arc<Tally>,
    /// What it is told from outside while it works.
    pub steering: Arc<Steering>,
    /// Where it tells what happens.
    pub events: Events,
    /// How is sent what tasks send by HTTP.
    pub egress: Egress,
    /// What its tenant gets of the worker.
    pub share: Share,
    /// How it works.
    pub settings: Settings,
}

/// How a lane works.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name, as Celery's `-n`.
    pub name: String,
    /// Whose tasks it runs.
    pub tenant: TenantName,
    /// The queues it takes from.
    pub queues: Vec<String>,
    /// Time a stop waits for running attempts.
    pub drain: Duration,
    /// The queue where messages of tasks that are not here go on to; `None`
    /// fails them.
    pub forward: Option<String>,
    /// The zone of moments in messages that name none.
    pub timezone: TimeZone,
    /// The formats of bodies that are read.
    pub accept: Accept,
    /// Deliveries of one message after which it is a dead letter.
    pub max_deliveries: u32,
    /// Tasks that run ahead under one message, at most.
    pub run_ahead: u32,
    /// How long messages wait for somebody to mend code that cannot be loaded.
    pub repair_time: Duration,
    /// Retries of a task that states none, and the most any task may have.
    pub max_retries: Retries,
    /// Delay before a retry where none is given.
    pub retry_delay: Duration,
    /// How long results are kept; `None` is for ever.
    pub result_keep: Option<Duration>,
    /// Whether the start of every attempt is stored as STARTED.
    pub track_started: bool,
    /// Whether results also tell which call they answer.
    pub result_extended: bool,
    /// Limits of a task that asks for nothing.
    pub defaults: Limits,
    /// Most a task may have.
    pub ceiling: Limits,
    /// Other names of our tasks.
    pub aliases: BTreeMap<String, String>,
    /// The queues of the tasks that follow from others, by name or pattern.
    pub routes: BTreeMap<String, String>,
    /// What tasks may reach.
    pub grants: Granted,
}

/// How many retries tasks have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Where a task states none.
    pub default: u32,
    /// At most, whatever a task states.
    pub cap: u32,
}

/// What a worker had done when it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Attempts that ended by themselves.
    pub finished: u64,
    /// Messages that were not run: unreadable, expired, of a task that is not
    /// here, delivered too often.
    pub refused: u64,
    /// Messages given back because the drain was over.
    pub given_back: u64,
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The threads for guests do not start.
    #[error(
        "the threads that run tasks do not start: {source}; lower [worker] guest_threads or raise the limit of threads (ulimit -u)"
    )]
    Threads {
        /// The cause.
        source: std::io::Error,
    },
    /// Nobody can tell which tasks are revoked.
    #[error("the revoked tasks cannot be read: {source}")]
    Orders {
        /// The cause.
        #[source]
        source: ResultsError,
    },
}
