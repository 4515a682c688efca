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

impl AttemptEvent<'_> {
    /// Logs it, at level debug: a failing task is never an operator's error.
    pub fn emit(&self) {
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        tracing::debug!(
            target: ATTEMPT_TARGET,
            // `field::QUEUE`: the macro takes no constant in the first place.
            queue = self.queue,
            { field::TASK_ID } = self.id,
            { field::TASK_NAME } = self.task,
            { field::TASK_ATTEMPT } = self.retries,
            { field::TASK_STATE } = self.state,
            { field::TENANT_ID } = self.tenant,
            { field::COMPONENT_DIGEST } = self.digest,
            { field::OUTCOME } = self.outcome,
            { field::VERDICT } = self.verdict,
            { field::SETTLEMENT } = self.settlement,
            { field::QUEUE_WAIT_MS } = ms(self.queue_wait),
            { field::RUN_MS } = ms(self.run),
            { field::CPU_MS } = ms(self.cpu),
            { field::MEMORY_PEAK_BYTES } = self.memory_peak_bytes,
            { field::BYTES_IN } = self.bytes_in,
            { field::BYTES_OUT } = self.bytes_out,
            { field::HOST_CALLS } = self.host_calls,
            { field::GRANTS_USED } = self.grants_used,
            { field::GRANTS_DENIED } = self.grants_denied,
        );
    }
}
