//! Metrics, in Prometheus' form.

mod names;
mod usage;

pub use usage::{Granted, Spent};

use names::Names;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use usage::Usage;

/// Most task names among the labels (1,000); others count as [`OTHER`]. Each
/// name costs a few time series for ever.
pub const TASK_LABELS: usize = 1_000;
/// Most pairs of a queue and a task among the labels (4,000); the queues of others count as
/// [`OTHER`]. Remote control adds queues of any name.
const QUEUE_LABELS: usize = 4_000;
/// The label of everything that gets none of its own.
pub const OTHER: &str = "other";
/// States that are labels.
const STATES: [&str; 13] = [
    "SUCCESS",
    "FAILURE",
    "RETRY",
    "REVOKED",
    "IGNORED",
    "RETURNED",
    "GIVEN_BACK",
    "PARKED",
    "STALE",
    "REPEATED",
    "FORWARDED",
    "LOST",
    "AWAY",
];
/// Upper bounds of the histograms, seconds: from a no-op to the longest default.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Settled {
    queue: String,
    task: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Run {
    queue: String,
    task: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    limit: String,
}

type Histograms = Family<Run, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Standing {
    wall: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Beside {
    version: &'static str,
    end: &'static str,
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    settled: Family<Settled, Counter>,
    queue_wait: Histograms,
    run: Histograms,
    in_flight: Gauge,
    refusals: Family<Refused, Counter>,
    usage: Usage,
    events_dropped: Counter,
    canary_runs: Family<Beside, Counter>,
    canaries_aborted: Counter,
    walls: Family<Standing, Gauge>,
    /// Without one where no control plane is followed.
    plane: Family<Vec<(String, String)>, Gauge>,
    tasks: Names<TASK_LABELS>,
    pairs: Names<QUEUE_LABELS>,
    fetched: Mutex<Option<Instant>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("in_flight", &self.in_flight.get())
            .finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Makes metrics that stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            registry: Registry::with_prefix("celeriac"),
            settled: Family::default(),
            queue_wait: Family::new_with_constructor(histogram),
            run: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            refusals: Family::default(),
            usage: Usage::default(),
            events_dropped: Counter::default(),
            canary_runs: Family::default(),
            canaries_aborted: Counter::default(),
            walls: Family::default(),
            plane: Family::default(),
            tasks: Names::default(),
            pairs: Names::default(),
            fetched: Mutex::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "tasks_settled",
            "Attempts that ended, by the state that was stored",
            self.settled.clone(),
        );
        registry.register(
            "task_queue_wait_seconds",
            "Time between ready and start",
            self.queue_wait.clone(),
        );
        registry.register("task_run_seconds", "Time in the sandbox", self.run.clone());
        registry.register(
            "tasks_in_flight",
            "Attempts running now",
            self.in_flight.clone(),
        );
        registry.register(
            "sandbox_refusals",
            "Attempts ended by a limit of the sandbox",
            self.refusals.clone(),
        );
        self.usage.register(registry);
        registry.register(
            "events_dropped",
            "Events that no monitor got because too many waited",
            self.events_dropped.clone(),
        );
        registry.register(
            "canary_runs",
            "Runs that ended of canaries, and of current versions beside them",
            self.canary_runs.clone(),
        );
        registry.register(
            "canaries_aborted",
            "Canaries that this worker ended because they fail or cannot be loaded",
            self.canaries_aborted.clone(),
        );
        registry.register(
            "confinement",
            "Walls around the worker: 1 stands, 0 is missing",
            self.walls.clone(),
        );
        registry.register(
            "control_plane_up",
            "The control plane that this worker follows: 1 answers, 0 is away",
            self.plane.clone(),
        );
        self
    }

    /// Sets how many events were dropped so far.
    pub fn events_dropped(&self, total: u64) {
        let known = self.events_dropped.get();
        self.events_dropped.inc_by(total.saturating_sub(known));
    }

    /// Counts a run of a canary, or of a current version beside one.
    pub fn canary_run(&self, is_canary: bool, failed: bool) {
        let beside = Beside {
            version: if is_canary { "canary" } else { "current" },
            end: if failed { "failed" } else { "well" },
        };
        self.canary_runs.get_or_create(&beside).inc();
    }

    /// Tells whether the control plane answers that this worker follows.
    pub fn control_plane_up(&self, up: bool) {
        let gauge = self.plane.get_or_create(&Vec::new());
        gauge.set(i64::from(up));
    }

    /// Sets how many canaries this worker ended so far.
    pub fn canaries_aborted(&self, total: u64) {
        let known = self.canaries_aborted.get();
        let more = total.saturating_sub(known);
        self.canaries_aborted.inc_by(more);
    }

    /// Tells whether a wall around this process stands.
    pub fn wall(&self, wall: &'static str, stands: bool) {
        self.walls
            .get_or_create(&Standing { wall })
            .set(i64::from(stands));
    }

    /// Counts the end of an attempt. `task` is the name of a task that exists,
    /// or [`OTHER`] when a message named none of ours.
    pub fn settled(
        &self,
        queue: &str,
        task: &str,
        state: &str,
        queue_wait: Duration,
        run: Duration,
    ) {
        let task = self.tasks.label(task);
        let state = STATES
            .iter()
            .find(|known| **known == state)
            .copied()
            .unwrap_or(OTHER);
        let queue = match self.pairs.has(&format!("{queue} {task}")) {
            true => queue.to_owned(),
            false => OTHER.to_owned(),
        };
        self.settled
            .get_or_create(&Settled {
                queue: queue.clone(),
                task: task.clone(),
                state,
            })
            .inc();
        let labels = Run { queue, task };
        self.queue_wait
            .get_or_create(&labels)
            .observe(queue_wait.as_secs_f64());
        self.run.get_or_create(&labels).observe(run.as_secs_f64());
    }

    /// Counts what an attempt took, see [`Metrics::settled`] for `task`.
    pub fn spent(&self, task: &str, spent: &Spent) {
        self.usage.spent(self.tasks.label(task), spent);
    }

    /// Counts what an attempt did with a grant, one of the sandbox's names.
    pub fn granted(&self, grant: &'static str, granted: &Granted) {
        self.usage.granted(grant, granted);
    }

    /// Counts an attempt that a limit ended; `limit` is one of the sandbox's names.
    pub fn refused(&self, limit: &str) {
        self.refusals
            .get_or_create(&Refused {
                limit: limit.to_owned(),
            })
            .inc();
    }

    /// Counts `n` attempts as running until the answer is dropped.
    #[must_use]
    pub fn in_flight(&self, n: i64) -> InFlight {
        self.in_flight.inc_by(n);
        InFlight {
            gauge: self.in_flight.clone(),
            n,
        }
    }

    /// Returns how many attempts run now.
    #[must_use]
    pub fn running(&self) -> i64 {
        self.in_flight.get()
    }

    /// Stamps a successful round trip to the broker.
    pub fn fetched(&self) {
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns how long ago the last successful round trip was.
    #[must_use]
    pub fn since_fetched(&self) -> Option<Duration> {
        let fetched = *self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.map(|moment| moment.elapsed())
    }

    /// Writes all metrics in the OpenMetrics text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a String fails only when a metric refuses to be encoded.
            Err(fmt::Error) => "# EOF\n".to_owned(),
        }
    }
}

/// Counts attempts as running for as long as it lives.
#[derive(Debug)]
pub struct InFlight {
    gauge: Gauge,
    n: i64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec_by(self.n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn metrics_have_the_names_that_dashboards_use() {
        let metrics = Metrics::new();
        metrics.settled("celery", "text.word_count", "SUCCESS", MS, 2 * MS);
        metrics.refused("memory");
        metrics.wall("files", true);
        let spent = Spent {
            cpu: 250 * MS,
            memory_peak_bytes: 1 << 20,
            bytes_in: 100,
            bytes_out: 7,
            host_calls: 2,
        };
        metrics.spent("text.word_count", &spent);
        metrics.spent(
            "text.word_count",
            &Spent {
                cpu: 500 * MS,
                ..spent
            },
        );
        let http = Granted {
            used: 3,
            denied: 2,
            bytes_in: 50,
            bytes_out: 5,
        };
        metrics.granted("http", &http);
        let submit = Granted {
            used: 3,
            ..Granted::default()
        };
        metrics.granted("submit", &submit);
        let guard = metrics.in_flight(1);
        let text = metrics.encode();
        for line in [
            "celeriac_tasks_settled_total{queue=\"celery\",task=\"text.word_count\",state=\"SUCCESS\"} 1",
            "celeriac_task_queue_wait_seconds_count{queue=\"celery\",task=\"text.word_count\"} 1",
            "celeriac_task_run_seconds_sum{queue=\"celery\",task=\"text.word_count\"} 0.002",
            "celeriac_tasks_in_flight 1",
            "celeriac_sandbox_refusals_total{limit=\"memory\"} 1",
            "celeriac_confinement{wall=\"files\"} 1",
            "celeriac_cpu_seconds_total{task=\"text.word_count\"} 0.75",
            "celeriac_task_memory_peak_bytes_sum{task=\"text.word_count\"} 2097152.0",
            "celeriac_task_memory_peak_bytes_bucket{le=\"1048576.0\",task=\"text.word_count\"} 2",
            "celeriac_task_bytes_total{task=\"text.word_count\",direction=\"in\"} 200",
            "celeriac_task_bytes_total{task=\"text.word_count\",direction=\"out\"} 14",
            "celeriac_task_host_calls_total{task=\"text.word_count\"} 4",
            "celeriac_grants_used_total{grant=\"submit\"} 3",
            "celeriac_grants_bytes_total{grant=\"http\",direction=\"in\"} 50",
            "celeriac_grants_bytes_total{grant=\"http\",direction=\"out\"} 5",
            "celeriac_grants_denied_total{grant=\"http\"} 2",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        for nothing in [
            "denied_total{grant=\"submit\"",
            "bytes_total{grant=\"submit\"",
        ] {
            assert!(!text.contains(nothing), "{nothing}");
        }
        assert!(text.ends_with("# EOF\n"));
        drop(guard);
        assert_eq!(metrics.running(), 0);
    }

    #[test]
    fn labels_are_bounded() {
        let metrics = Metrics::new();
        for n in 0..TASK_LABELS + 50 {
            metrics.settled("celery", &format!("m.t{n}"), "SUCCESS", MS, MS);
            metrics.spent(&format!("m.t{n}"), &Spent::default());
        }
        metrics.settled("celery", "m.t0", "MY STATE", MS, MS);
        let text = metrics.encode();
        let series = text
            .lines()
            .filter(|line| line.starts_with("celeriac_tasks_settled_total"))
            .count();
        assert_eq!(series, TASK_LABELS + 2);
        let calls = text
            .lines()
            .filter(|line| line.starts_with("celeriac_task_host_calls_total"))
            .count();
        assert_eq!(calls, TASK_LABELS + 1);
        assert!(text.contains("task=\"other\",state=\"SUCCESS\"} 50"));
        assert!(text.contains("task=\"m.t0\",state=\"other\"} 1"));
        for n in 0..QUEUE_LABELS + 50 {
            metrics.settled(&format!("q{n}"), "m.t0", "SUCCESS", MS, MS);
        }
        let text = metrics.encode();
        let queues = text
            .lines()
            .filter(|line| line.starts_with("celeriac_task_run_seconds_count"))
            .count();
        // Those of the tasks before, and one for all that came too late.
        assert_eq!(queues, QUEUE_LABELS + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_fetch_grows_older() {
        let metrics = Metrics::new();
        assert_eq!(metrics.since_fetched(), None);
        metrics.fetched();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(metrics.since_fetched(), Some(Duration::from_secs(3)));
    }
}
