//! What is told of a task, made of its record.

use crate::plane::{GrantUse, Raised, RunCost, TaskRecord, TaskStatus};
use crate::results::{Record, RunUsage};
use crate::task::{Exception, State, TaskId};
use serde_json::value::RawValue;

/// The state of a task of which nothing is stored.
pub(super) const PENDING: &str = "PENDING";

/// Makes the status of a task.
pub(super) fn status(id: &TaskId, record: Option<&Record>) -> TaskStatus {
    TaskStatus {
        id: id.to_string(),
        state: record
            .map_or(PENDING, |record| record.state.as_str())
            .to_owned(),
        ended: record.is_some_and(|record| record.state.is_final()),
        known: record.map(known),
    }
}

fn known(record: &Record) -> TaskRecord {
    let failed = matches!(record.state, State::Failure | State::Revoked);
    let exception = record.exception.clone();
    let exception = exception.or_else(|| failed.then(|| record.failure()));
    TaskRecord {
        task: record.task.clone(),
        result: record.result.as_deref().and_then(json),
        exception: exception.map(raised),
        retries: record.fence.retries,
        deliveries: record.fence.deliveries,
        due: record.due.map(|due| due.to_string()),
        worker: record.worker_name().to_owned(),
        usage: cost(&record.usage),
        log: record.log.as_deref().and_then(|log| json(log.as_bytes())),
        written_at: record.written_at.to_string(),
    }
}

/// The very text that was stored; `None` where it is no JSON.
pub(super) fn json(text: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(text).ok()
}

fn raised(exception: Exception) -> Raised {
    Raised {
        class: exception.class,
        module: exception.module,
        message: exception.message,
        trace: exception.trace,
    }
}

fn cost(usage: &RunUsage) -> RunCost {
    let uses = usage.uses.iter().map(|(name, used)| {
        let used = GrantUse {
            calls: used.calls,
            denied: used.denied,
            bytes_in: used.bytes_in,
            bytes_out: used.bytes_out,
        };
        (name.to_owned(), used)
    });
    RunCost {
        queue_wait_ms: usage.queue_wait_ms,
        run_us: usage.run_us,
        cpu_us: usage.cpu_us,
        memory_peak_bytes: usage.memory_peak_bytes,
        bytes_in: usage.bytes_in,
        bytes_out: usage.bytes_out,
        host_calls: usage.host_calls,
        uses: uses.collect(),
    }
}
