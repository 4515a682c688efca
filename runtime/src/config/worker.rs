//! The section `[worker]`.

use super::confine::{self, Confine};
use super::error::ConfigError;
use super::hostname;
use super::reader::Reader;
use crate::task::RateScope;
use std::net::SocketAddr;
use std::time::Duration;

/// Most attempts in flight (4,000): what was measured with waiting tasks.
pub const CONCURRENCY: u64 = 4_000;
/// Most threads that run guests (256): more than any machine's cores helps nobody.
const GUEST_THREADS: u64 = 256;
/// Most queues of one worker (100): each is part of every fetch.
const QUEUES: usize = 100;
/// Longest queue name, bytes, as AMQP allows.
const QUEUE_BYTES: usize = 255;
/// Most deliveries before a message is dead (100).
const DELIVERIES: u64 = 100;
/// Most tasks that can run ahead under one message (1,000): so many ends are looked up after
/// a death.
const AHEAD: u64 = 1_000;
/// Most retries that can be allowed (1,000).
pub(super) const RETRIES: u64 = 1_000;
/// Longest span of any setting (365 days): a longer one is a slip of the pen.
pub(super) const A_YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Room for components that are fetched, and for what is compiled of them (10 GiB): hundreds
/// of large ones.
const COMPONENT_CACHE: u64 = 10 << 30;
/// Least room (64 MiB): of less not even one large component could be kept.
const LEAST_CACHE: u64 = 64 << 20;
/// Most room (1 PiB): more is a slip of the pen.
const MOST_CACHE: u64 = 1 << 50;
/// Where metrics and health are served unless said otherwise.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9464);

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// `NAME@HOST`.
    pub hostname: String,
    /// Queues it takes messages from.
    pub queues: Vec<String>,
    /// Attempts in flight.
    pub concurrency: usize,
    /// Threads that run guests.
    pub guest_threads: usize,
    /// Whether the guests of each module run in a process of their own.
    pub isolate: bool,
    /// How long a stop waits for running attempts.
    pub drain: Duration,
    /// How long a message stays with a worker that gives no sign of life.
    pub lease: Duration,
    /// How long a RabbitMQ server lets a message be held (its `consumer_timeout`);
    /// `None` is for ever.
    pub consumer_timeout: Option<Duration>,
    /// Where metrics and health are served; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether `listen` was chosen by a person; else a taken port is no error.
    pub listen_is_chosen: bool,
    /// The queue where messages of tasks that are not here go on to; `None`
    /// fails them.
    pub forward: Option<String>,
    /// Deliveries after which a message is dead.
    pub max_deliveries: u32,
    /// How long messages wait for code that only a push can mend.
    pub repair_time: Duration,
    /// Tasks that may run ahead under one message: what follows it, and what follows that.
    pub run_ahead: u32,
    /// Retries where the task names no number.
    pub max_retries: u32,
    /// Delay before a retry where the task names none.
    pub retry_delay: Duration,
    /// Bytes of components and artifacts that a worker keeps which follows a control plane.
    pub component_cache: u64,
    /// How long results are kept; `None` is for ever.
    pub result_keep: Option<Duration>,
    /// How long a revocation is kept.
    pub revoke_keep: Duration,
    /// Whose starts a rate is about.
    pub rate_limit_scope: RateScope,
    /// Whether the start of each attempt is stored as STARTED.
    pub track_started: bool,
    /// Whether documents of results also tell which call they answer.
    pub result_extended: bool,
    /// Whether results in Celery's tables are pickles, which every release reads.
    pub pickled_results: bool,
    /// Whether events of tasks are told from the start.
    pub task_events: bool,
    /// Whether it puts walls around itself.
    pub confine: Confine,
    /// The user it becomes when root starts it, by name or number.
    pub user: Option<String>,
}

impl WorkerConfig {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, ConfigError> {
        const SECOND: Duration = Duration::from_secs(1);
        const ZERO: Duration = Duration::ZERO;
        let machine = hostname::machine();
        let default_name = hostname::expand("celeriac@%h", &machine)
            .unwrap_or_else(|_| "celeriac@localhost".to_owned());
        let hostname = reader.text(
            "worker.hostname",
            default_name,
            |text| hostname::expand(text, &machine),
            Clone::clone,
        )?;
        let queues = read_queues(reader, "worker.queues")?;
        let forward = forward(reader, &queues)?;
        let concurrency = count(reader.number("worker.concurrency", 64, 1..=CONCURRENCY)?);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let guest_threads = count(reader.number(
            "worker.guest_threads",
            cores.min(GUEST_THREADS),
            1..=GUEST_THREADS,
        )?);
        let drain = reader.duration("worker.drain", 30 * SECOND, ZERO..=A_YEAR)?;
        let lease = reader.duration("worker.lease", 30 * SECOND, SECOND..=3_600 * SECOND)?;
        let listen = reader.text(
            "worker.listen",
            Some(SocketAddr::from(LISTEN)),
            listen,
            |listen| listen.map_or_else(|| "off".to_owned(), |address| address.to_string()),
        )?;
        Ok(Self {
            hostname,
            queues,
            concurrency,
            guest_threads,
            isolate: reader.flag("worker.isolate", false)?,
            drain,
            lease,
            listen,
            forward,
            consumer_timeout: reader.maybe_duration(
                "worker.consumer_timeout",
                Some(1_800 * SECOND),
                SECOND..=A_YEAR,
                "forever",
            )?,
            listen_is_chosen: reader.source("worker.listen") != super::Source::Default,
            max_deliveries: small(reader.number("worker.max_deliveries", 5, 1..=DELIVERIES)?),
            run_ahead: small(reader.number("worker.run_ahead", 100, 0..=AHEAD)?),
            repair_time: reader.duration("worker.repair_time", 600 * SECOND, ZERO..=A_YEAR)?,
            max_retries: small(reader.number("worker.max_retries", 3, 0..=RETRIES)?),
            retry_delay: reader.duration("worker.retry_delay", 180 * SECOND, ZERO..=A_YEAR)?,
            component_cache: reader.bytes(
                "worker.component_cache",
                COMPONENT_CACHE,
                LEAST_CACHE..=MOST_CACHE,
            )?,
            result_keep: reader.maybe_duration(
                "worker.result_keep",
                Some(86_400 * SECOND),
                SECOND..=10 * A_YEAR,
                "forever",
            )?,
            revoke_keep: revoke_keep(reader)?,
            rate_limit_scope: rate_limit_scope(reader)?,
            track_started: reader.flag("worker.track_started", false)?,
            result_extended: reader.flag("worker.result_extended", false)?,
            pickled_results: reader.flag("worker.pickled_results", true)?,
            task_events: reader.flag("worker.task_events", false)?,
            confine: Confine::read(reader)?,
            user: confine::user(reader)?,
        })
    }
}

/// Where messages of tasks that are not here go on to, if they do.
fn forward(reader: &mut Reader, queues: &[String]) -> Result<Option<String>, ConfigError> {
    let forward = reader.text("worker.unknown_task", None, unknown_task, |forward| {
        forward
            .as_ref()
            .map_or_else(|| "fail".to_owned(), |queue| format!("forward:{queue}"))
    })?;
    if let Some(queue) = forward.as_ref().filter(|queue| queues.contains(queue)) {
        return Err(ConfigError::Wrong {
            key: "worker.unknown_task".to_owned(),
            value: format!("\"forward:{queue}\""),
            reason: "this worker takes messages from that queue: it would hand them to itself"
                .to_owned(),
            source_place: reader.source("worker.unknown_task"),
        });
    }
    Ok(forward)
}

/// Reads queues to take from.
pub(super) fn read_queues(reader: &mut Reader, key: &str) -> Result<Vec<String>, ConfigError> {
    let (queues, source_place) = reader.list(key, &["celery"])?;
    if queues.is_empty() || queues.len() > QUEUES {
        return Err(ConfigError::OutOfRange {
            key: key.to_owned(),
            value: format!("a list of {}", queues.len()),
            bound: format!("1 to {QUEUES} queues are allowed"),
            source_place,
        });
    }
    match queues.iter().find_map(|queue| check_queue(queue).err()) {
        Some(reason) => Err(ConfigError::Wrong {
            key: key.to_owned(),
            value: format!("{queues:?}"),
            reason,
            source_place,
        }),
        None => Ok(queues),
    }
}

/// Checks the name of a queue.
///
/// # Errors
/// When it is empty, too long, holds control characters or commas, or is kept
/// for dead letters; the text says which.
pub fn check_queue(queue: &str) -> Result<(), String> {
    if queue.is_empty()
        || queue.len() > QUEUE_BYTES
        || queue.chars().any(|c| c.is_control() || c == ',')
    {
        return Err(format!(
            "a queue's name has 1 to {QUEUE_BYTES} bytes, no commas and no control characters"
        ));
    }
    Ok(())
}

fn revoke_keep(reader: &mut Reader) -> Result<Duration, ConfigError> {
    const DAY: Duration = Duration::from_secs(86_400);
    reader.duration("worker.revoke_keep", DAY, Duration::from_secs(1)..=A_YEAR)
}

fn rate_limit_scope(reader: &mut Reader) -> Result<RateScope, ConfigError> {
    let word = |scope: &RateScope| match scope {
        RateScope::Worker => "worker".to_owned(),
        RateScope::Cluster => "cluster".to_owned(),
    };
    let read = |text: &str| {
        let all = [RateScope::Worker, RateScope::Cluster];
        let known = all.into_iter().find(|scope| word(scope) == text);
        known.ok_or_else(|| "\"worker\" or \"cluster\" is wanted".to_owned())
    };
    reader.text("worker.rate_limit_scope", RateScope::default(), read, word)
}

fn unknown_task(text: &str) -> Result<Option<String>, String> {
    match text.split_once(':') {
        None if text == "fail" => Ok(None),
        Some(("forward", queue)) => check_queue(queue).map(|()| Some(queue.to_owned())),
        _ => Err("\"fail\" or \"forward:QUEUE\" is wanted".to_owned()),
    }
}

fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        "an address and a port are wanted, such as \"127.0.0.1:9464\", or \"off\"".to_owned()
    })
}

/// Narrows a number that its bounds already keep far below the limit.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
