//! What attempts took, by task and by grant.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Upper bounds of the peaks of memory, bytes: from one page of a guest to what a slot of
/// the sandbox has.
const MEMORY: [f64; 7] = [
    65_536.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
];

/// What an attempt took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// CPU time.
    pub cpu: Duration,
    /// Highest sum of memories and tables, bytes.
    pub memory_peak_bytes: u64,
    /// Bytes of the arguments, and of what grants brought.
    pub bytes_in: u64,
    /// Bytes of the result, and of what grants took.
    pub bytes_out: u64,
    /// Calls of functions of the host.
    pub host_calls: u64,
}

/// What an attempt did with one grant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Granted {
    /// Times it was used.
    pub used: u64,
    /// Times it was missing.
    pub denied: u64,
    /// Bytes that came in by it.
    pub bytes_in: u64,
    /// Bytes that went out by it.
    pub bytes_out: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Task {
    task: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskBytes {
    task: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Grant {
    grant: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GrantBytes {
    grant: &'static str,
    direction: &'static str,
}

/// The metrics of what attempts took.
pub(super) struct Usage {
    cpu: Family<Task, Counter<f64, AtomicU64>>,
    memory_peak: Family<Task, Histogram, fn() -> Histogram>,
    bytes: Family<TaskBytes, Counter>,
    host_calls: Family<Task, Counter>,
    grants_used: Family<Grant, Counter>,
    grants_denied: Family<Grant, Counter>,
    grants_bytes: Family<GrantBytes, Counter>,
}

impl Default for Usage {
    fn default() -> Self {
        let peaks: fn() -> Histogram = || Histogram::new(MEMORY);
        Self {
            cpu: Family::default(),
            memory_peak: Family::new_with_constructor(peaks),
            bytes: Family::default(),
            host_calls: Family::default(),
            grants_used: Family::default(),
            grants_denied: Family::default(),
            grants_bytes: Family::default(),
        }
    }
}

impl Usage {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "cpu_seconds",
            "CPU time of attempts in the sandbox",
            self.cpu.clone(),
        );
        registry.register(
            "task_memory_peak_bytes",
            "Highest sum of memories and tables of an attempt",
            self.memory_peak.clone(),
        );
        registry.register(
            "task_bytes",
            "Bytes of arguments and results, with what grants brought and took",
            self.bytes.clone(),
        );
        registry.register(
            "task_host_calls",
            "Calls of functions of the host",
            self.host_calls.clone(),
        );
        registry.register(
            "grants_used",
            "Uses of what tasks are granted",
            self.grants_used.clone(),
        );
        registry.register(
            "grants_denied",
            "Wishes of tasks that no grant covers",
            self.grants_denied.clone(),
        );
        registry.register(
            "grants_bytes",
            "Bytes that grants brought and took",
            self.grants_bytes.clone(),
        );
    }

    /// Counts what an attempt of a task took; there are only so many labels.
    pub(super) fn spent(&self, task: String, spent: &Spent) {
        let label = Task { task: task.clone() };
        let cpu = spent.cpu.as_secs_f64();
        self.cpu.get_or_create(&label).inc_by(cpu);
        self.host_calls
            .get_or_create(&label)
            .inc_by(spent.host_calls);
        self.memory_peak
            .get_or_create(&label)
            .observe(bytes(spent.memory_peak_bytes));
        for (direction, bytes) in [("in", spent.bytes_in), ("out", spent.bytes_out)] {
            let task = task.clone();
            self.bytes
                .get_or_create(&TaskBytes { task, direction })
                .inc_by(bytes);
        }
    }

    /// Counts what an attempt did with a grant.
    pub(super) fn granted(&self, grant: &'static str, granted: &Granted) {
        let times = [
            (&self.grants_used, granted.used),
            (&self.grants_denied, granted.denied),
        ];
        for (family, times) in times {
            if times > 0 {
                family.get_or_create(&Grant { grant }).inc_by(times);
            }
        }
        for (direction, bytes) in [("in", granted.bytes_in), ("out", granted.bytes_out)] {
            if bytes > 0 {
                self.grants_bytes
                    .get_or_create(&GrantBytes { grant, direction })
                    .inc_by(bytes);
            }
        }
    }
}

/// A number of bytes for a histogram: no guest has a memory of more than 4 GiB.
fn bytes(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
