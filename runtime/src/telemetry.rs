//! What the process tells about itself: log lines, field names, metrics.
//!
//! Levels: error is for an operator to act on, warn is degraded but healing,
//! info is the life cycle, debug is one attempt, trace is the wire.

mod attempt;
mod edge;
mod format;
pub mod human;
mod metrics;
mod plain;

pub use attempt::{ATTEMPT_TARGET, AttemptEvent};
pub use edge::EdgeMetrics;
pub use metrics::{Granted, InFlight, Metrics, OTHER, Spent, TASK_LABELS};
pub use plain::{one_line, plain};

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, Write as _};
use std::panic::PanicHookInfo;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

/// Names of fields in spans and log lines, the same everywhere.
pub mod field {
    /// The task's id.
    pub const TASK_ID: &str = "task.id";
    /// The task's full name.
    pub const TASK_NAME: &str = "task.name";
    /// Retries so far.
    pub const TASK_ATTEMPT: &str = "task.attempt";
    /// The state that was stored.
    pub const TASK_STATE: &str = "task.state";
    /// The queue.
    pub const QUEUE: &str = "queue";
    /// The tenant.
    pub const TENANT_ID: &str = "tenant.id";
    /// Digest of the component.
    pub const COMPONENT_DIGEST: &str = "component.digest";
    /// What the guest did.
    pub const OUTCOME: &str = "outcome";
    /// What was decided.
    pub const VERDICT: &str = "verdict";
    /// How the message ended.
    pub const SETTLEMENT: &str = "settlement";
    /// Time between ready and start, milliseconds.
    pub const QUEUE_WAIT_MS: &str = "queue_wait_ms";
    /// Time in the sandbox, milliseconds.
    pub const RUN_MS: &str = "run_ms";
    /// CPU time, milliseconds.
    pub const CPU_MS: &str = "cpu_ms";
    /// Highest sum of memories and tables, bytes.
    pub const MEMORY_PEAK_BYTES: &str = "memory_peak_bytes";
    /// Bytes of the arguments, and of what grants brought.
    pub const BYTES_IN: &str = "bytes_in";
    /// Bytes of the result, and of what grants took.
    pub const BYTES_OUT: &str = "bytes_out";
    /// Calls of functions of the host.
    pub const HOST_CALLS: &str = "host_calls";
    /// Which grants were used, how often.
    pub const GRANTS_USED: &str = "grants.used";
    /// Which grants were missing, how often.
    pub const GRANTS_DENIED: &str = "grants.denied";
    /// The broker's driver.
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// The queue, in OpenTelemetry's words.
    pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    /// The message, in OpenTelemetry's words.
    pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON document each.
    Json,
}

/// What is logged.
#[derive(Debug, Clone, Copy)]
pub struct Logging {
    /// The least important level that is shown.
    pub level: tracing::Level,
    /// How lines look.
    pub format: LogFormat,
    /// Whether each settled attempt is shown whatever the level.
    pub attempts: bool,
}

/// Sends log lines of this process to standard error.
///
/// # Errors
/// When logging was set up before.
pub fn init(logging: Logging) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    std::panic::set_hook(Box::new(tell));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(logging))
        .with_writer(std::io::stderr);
    match logging.format {
        LogFormat::Json => builder
            .with_writer(|| plain::Plain(std::io::stderr()))
            .json()
            .flatten_event(true)
            .finish()
            .try_init(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder
                .event_format(format::Lines { colours })
                .finish()
                .try_init()
        }
    }
}

/// Logs a panic: a bug of ours, whose text may repeat what a stranger wrote.
fn tell(panic: &PanicHookInfo<'_>) {
    tracing::error!("a bug: {panic}");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        // Many lines, as who asked for them by RUST_BACKTRACE expects.
        let _gone = writeln!(plain::Plain(std::io::stderr()), "{trace}");
    }
}

fn filter(logging: Logging) -> EnvFilter {
    let level = logging.level.as_str().to_ascii_lowercase();
    let attempts = if logging.attempts { "debug" } else { &level };
    EnvFilter::new(format!(
        // The client of AMQP shouts what it also returns, and what the driver expects.
        "warn,lapin=off,celeriac={level},celeriac_sandbox={level},{ATTEMPT_TARGET}={attempts}"
    ))
}
