//! What a verdict means for the record, the follow-ups and the message.

use super::Attempt;
use crate::broker::{Delivery, Outgoing, Settlement};
use crate::celery::request::retried;
use crate::celery::{Message, Request};
use crate::clock::after;
use crate::policy::verdict::Verdict;
use crate::results::{Extended, Reply, RunUsage, Write};
use crate::task::{Exception, State, TaskId, UsedGrant, UsedGrants};
use crate::worker::crew::Crew;
use celeriac_sandbox::{Capability, Report, Usage, Uses};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// Most stamps of a message that are told of with its result.
const STAMPS: usize = 100;

/// Everything that follows from a verdict, in the order it is done.
#[derive(Debug)]
pub(super) struct End {
    pub(super) write: Option<Write>,
    pub(super) follow_up: Vec<Outgoing>,
    pub(super) settlement: Settlement,
}

impl End {
    /// Tells whether another attempt is to come.
    pub(super) fn tries_again(&self) -> bool {
        let write = self.write.as_ref();
        write.is_some_and(|write| write.state == State::Retry)
    }
}

/// Works out what follows.
pub(super) fn of(
    crew: &Crew,
    attempt: &Attempt,
    verdict: Verdict,
    report: &Report,
    children: String,
) -> End {
    let told = |state: State| {
        Some(Write {
            usage: usage(attempt, &report.usage),
            log: log(report),
            ..write(crew, attempt, state)
        })
    };
    let failed = |state: State, exception: Exception| {
        told(state).map(|write| Write {
            exception: Some(exception),
            ..write
        })
    };
    let acked = |write: Option<Write>| End {
        write: write.filter(|_| !attempt.request.ignore_result),
        follow_up: Vec::new(),
        settlement: Settlement::Ack,
    };
    match verdict {
        Verdict::Succeed(result) => acked(told(State::Success).map(|write| Write {
            result: Some(result),
            children,
            ..write
        })),
        Verdict::Fail(exception) => acked(failed(State::Failure, exception)),
        Verdict::Revoke(exception) => acked(failed(State::Revoked, exception)),
        Verdict::RetryAt { delay, exception } => {
            let due = after(crew.clock.now(), delay);
            let write = failed(State::Retry, exception).map(|write| Write {
                due: Some(due),
                ..write
            });
            End {
                // A retry is recorded even where no result is wanted: the
                // record is what makes a redelivery of this message harmless.
                write,
                follow_up: vec![retry(attempt, due)],
                settlement: Settlement::Ack,
            }
        }
        Verdict::Reject { exception, reason } => End {
            settlement: Settlement::DeadLetter { reason },
            ..acked(failed(State::Failure, exception))
        },
        Verdict::Ignore => acked(None),
        Verdict::Return => End {
            settlement: Settlement::Return,
            ..acked(None)
        },
        Verdict::Defer => End {
            settlement: Settlement::Requeue,
            ..acked(None)
        },
    }
}

/// A write about this run, with nothing but its state.
pub(super) fn write(crew: &Crew, attempt: &Attempt, state: State) -> Write {
    Write {
        id: attempt.request.id.clone(),
        task: attempt.request.task.clone(),
        fence: attempt.fence,
        state,
        result: None,
        exception: None,
        due: None,
        worker: crew.settings.name.clone(),
        usage: RunUsage {
            queue_wait_ms: millis(attempt.queue_wait()),
            ..RunUsage::default()
        },
        log: None,
        keep: crew.settings.result_keep,
        reply: reply(&attempt.delivery.message, &attempt.request),
        children: String::new(),
        extended: extended(crew, &attempt.delivery, &attempt.request),
    }
}

/// What `result_extended` adds to what is written about a call.
pub(super) fn extended(crew: &Crew, delivery: &Delivery, request: &Request) -> Option<Extended> {
    crew.settings.result_extended.then(|| Extended {
        name: request.task.clone(),
        args: request.args.clone(),
        kwargs: request.kwargs.clone(),
        worker: crew.settings.name.clone(),
        retries: request.retries,
        queue: delivery.queue.clone(),
        stamps: stamps(&delivery.message),
    })
}

/// The stamps of a message: those that its header `stamped_headers` names.
fn stamps(message: &Message) -> Map<String, Value> {
    let (Some(names), Some(stamps)) = (
        message
            .headers
            .get("stamped_headers")
            .and_then(Value::as_array),
        message.headers.get("stamps").and_then(Value::as_object),
    ) else {
        return Map::new();
    };
    let names = names.iter().filter_map(Value::as_str).take(STAMPS);
    names
        .filter_map(|name| Some((name.to_owned(), stamps.get(name)?.clone())))
        .collect()
}

/// Where the task of a message belongs.
pub(super) fn reply(message: &Message, request: &Request) -> Reply {
    Reply {
        group: request.group.clone(),
        parent: request.parent_id.clone(),
        ..reply_to(message)
    }
}

/// Who waits for a message of which nothing else could be read.
pub(super) fn reply_to(message: &Message) -> Reply {
    Reply {
        to: message.properties.reply_to.clone(),
        correlation: message.properties.correlation_id.clone(),
        ..Reply::default()
    }
}

fn retry(attempt: &Attempt, due: Timestamp) -> Outgoing {
    retry_of(
        &attempt.delivery,
        &attempt.request.id,
        attempt.fence.retries,
        due,
    )
}

/// The message of the retry after number `retries`. Its key makes publishing it
/// twice harmless.
pub(super) fn retry_of(
    delivery: &crate::broker::Delivery,
    id: &TaskId,
    retries: u32,
    due: Timestamp,
) -> Outgoing {
    let next = retries.saturating_add(1);
    Outgoing {
        queue: delivery.queue.clone(),
        message: retried(&delivery.message, next, due),
        due: Some(due),
        key: Some(format!("retry:{id}:{next}")),
    }
}

/// What a run took, as it is kept with its result.
pub(super) fn usage(attempt: &Attempt, usage: &Usage) -> RunUsage {
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    RunUsage {
        queue_wait_ms: millis(attempt.queue_wait()),
        run_us: micros(usage.wall),
        cpu_us: micros(usage.cpu),
        memory_peak_bytes: usage.memory_peak_bytes,
        bytes_in: usage.bytes_in,
        bytes_out: usage.bytes_out,
        host_calls: usage.host_calls,
        uses: used(&usage.uses),
    }
}

fn used(uses: &Uses) -> UsedGrants {
    let of = |capability| {
        let used = uses.of(capability);
        (!used.is_none()).then_some(UsedGrant {
            calls: used.calls,
            denied: used.denied,
            bytes_in: used.bytes_in,
            bytes_out: used.bytes_out,
        })
    };
    UsedGrants {
        submit: of(Capability::Submit),
        http: of(Capability::Http),
        config: of(Capability::Config),
        secrets: of(Capability::Secrets),
        key_value: of(Capability::KeyValue),
        scratch: of(Capability::Scratch),
    }
}

fn log(report: &Report) -> Option<String> {
    let log = &report.log;
    let is_empty = log.lines.is_empty() && log.dropped_lines == 0;
    if is_empty {
        None
    } else {
        serde_json::to_string(log).ok()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Attempt {
    /// Time between ready and start.
    pub(super) fn queue_wait(&self) -> Duration {
        let wait = self.started.duration_since(self.delivery.ready_at);
        Duration::try_from(wait).unwrap_or(Duration::ZERO)
    }
}
