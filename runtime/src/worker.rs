//! The worker: takes messages and runs them, as many at once as it has permits.
//!
//! [`executor`] is the table of contents of the product: one attempt, from
//! delivery to acknowledgement, in ten named steps. [`consumer`] feeds it,
//! [`heartbeat`] keeps the leases of what runs.

mod consumer;
mod crew;
mod executor;
mod guests;
mod heartbeat;
mod patience;

use crate::broker::Broker;
use crate::clock::Clock;
use crate::policy::grants::Granted;
use crate::registry::Resolver;
use crate::results::Results;
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;
use celeriac_sandbox::Limits;
use crew::Crew;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a worker works with.
#[derive(Debug)]
pub struct Parts {
    /// Where messages come from and go to.
    pub broker: Arc<dyn Broker>,
    /// Where states and results go.
    pub results: Arc<dyn Results>,
    /// Which code a task is.
    pub resolver: Resolver,
    /// The clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How it works.
    pub settings: Settings,
}

/// How a worker works.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name, as Celery's `-n`.
    pub name: String,
    /// The queues it takes from.
    pub queues: Vec<String>,
    /// Most attempts in flight.
    pub concurrency: usize,
    /// Threads that run guests.
    pub guest_threads: usize,
    /// Time a stop waits for running attempts.
    pub drain: Duration,
    /// The queue where messages of tasks that are not here go on to; `None`
    /// fails them.
    pub forward: Option<String>,
    /// The zone of moments in messages that name none.
    pub timezone: TimeZone,
    /// Deliveries of one message after which it is a dead letter.
    pub max_deliveries: u32,
    /// Retries of a task that states none, and the most any task may have.
    pub max_retries: Retries,
    /// Delay before a retry where none is given.
    pub retry_delay: Duration,
    /// How long results are kept; `None` is for ever.
    pub result_keep: Option<Duration>,
    /// Whether the start of every attempt is stored as STARTED.
    pub track_started: bool,
    /// Limits of a task that asks for nothing.
    pub defaults: Limits,
    /// Most a task may have.
    pub ceiling: Limits,
    /// Other names of our tasks.
    pub aliases: BTreeMap<String, String>,
    /// Where tasks go that our tasks send, by names and patterns.
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
}

/// Works until `shutdown` says stop and what runs has ended or was given back.
///
/// # Errors
/// [`WorkerError`] when it cannot begin.
pub async fn run(parts: Parts, shutdown: Shutdown) -> Result<Drained, WorkerError> {
    let crew = Arc::new(Crew::new(parts, shutdown)?);
    let beat = heartbeat::start(&crew);
    consumer::consume(&crew).await;
    beat.stop().await;
    Ok(crew.drained())
}
