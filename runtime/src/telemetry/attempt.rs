//! The one log event of an attempt, at its end.

use super::field;
use std::time::Duration;

/// Target of the events about attempts.
pub const ATTEMPT_TARGET: &str = "celeriac::attempt";

/// Everything that is told about one attempt. Payloads are never among it.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEvent<'a> {
    /// The task's id.
    pub id: &'a str,
    /// The task's full name as the caller wrote it.
    pub task: &'a str,
    /// Retries so far.
    pub retries: u32,
    /// The queue.
    pub queue: &'a str,
    /// The tenant.
    pub tenant: &'a str,
    /// Digest of the component; empty when none ran.
    pub digest: &'a str,
    /// The state that was stored, or the word for what happened instead.
    pub state: &'a str,
    /// What the guest did.
    pub outcome: &'a str,
    /// What was decided.
    pub verdict: &'a str,
    /// How the message ended.
    pub settlement: &'a str,
    /// Time between ready and start.
    pub queue_wait: Duration,
    /// Time in the sandbox.
    pub run: Duration,
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
    /// Which grants were used, how often, as in `submit:3 http:1`.
    pub grants_used: &'a str,
    /// Which grants were missing, how often, likewise.
    pub grants_denied: &'a str,
}

/// Logs an event at a level, which the macros of `tracing` want to know beforehand.
macro_rules! told {
    ($event:expr, $level:ident) => {{
        let event = $event;
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        tracing::$level!(
            target: ATTEMPT_TARGET,
            // `field::QUEUE`: the macro takes no constant in the first place.
            queue = event.queue,
            { field::TASK_ID } = event.id,
            { field::TASK_NAME } = event.task,
            { field::TASK_ATTEMPT } = event.retries,
            { field::TASK_STATE } = event.state,
            { field::TENANT_ID } = event.tenant,
            { field::COMPONENT_DIGEST } = event.digest,
            { field::OUTCOME } = event.outcome,
            { field::VERDICT } = event.verdict,
            { field::SETTLEMENT } = event.settlement,
            { field::QUEUE_WAIT_MS } = ms(event.queue_wait),
            { field::RUN_MS } = ms(event.run),
            { field::CPU_MS } = ms(event.cpu),
            { field::MEMORY_PEAK_BYTES } = event.memory_peak_bytes,
            { field::BYTES_IN } = event.bytes_in,
            { field::BYTES_OUT } = event.bytes_out,
            { field::HOST_CALLS } = event.host_calls,
            { field::GRANTS_USED } = event.grants_used,
            { field::GRANTS_DENIED } = event.grants_denied,
        );
    }};
}

impl AttemptEvent<'_> {
    /// Logs it, at level debug: a failing task is never an operator's error. One that wanted
    /// what it is not granted is told at level info: somebody may be trying doors.
    pub fn emit(&self) {
        match self.grants_denied {
            "" => told!(self, debug),
            _ => told!(self, info),
        }
    }
}
