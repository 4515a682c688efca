//! Telling monitors what becomes of a task, beside the ten steps: nothing waits
//! for it, and nothing depends on it.

use crate::broker::{Delivery, Outgoing};
use crate::celery::event::{self, Event};
use crate::celery::{Request, iso, repr};
use crate::events::Events;
use crate::policy::verdict::Verdict;
use crate::task::Exception;
use crate::worker::crew::Crew;
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest traceback that is told, characters.
const TRACEBACK: usize = 4_096;
/// Longest text that a message brings along for monitors, characters.
const REPR: usize = 1_024;
/// What Celery sends to end a task.
const SIGTERM: i32 = 15;

/// What is told of the end of an attempt.
#[derive(Debug, Default)]
pub(super) struct Ending {
    result: Option<Bytes>,
    exception: Option<Exception>,
    rejected: bool,
}

impl Ending {
    pub(super) fn of(verdict: &Verdict) -> Self {
        let (result, exception, rejected) = match verdict {
            Verdict::Succeed(result) => (Some(result.clone()), None, false),
            Verdict::Fail(exception)
            | Verdict::Revoke(exception)
            | Verdict::RetryAt { exception, .. } => (None, Some(exception.clone()), false),
            Verdict::Reject { exception, .. } => (None, Some(exception.clone()), true),
            Verdict::Ignore | Verdict::Return | Verdict::Defer => (None, None, false),
        };
        Self {
            result,
            exception,
            rejected,
        }
    }

    pub(super) fn refused(exception: &Exception) -> Self {
        Self {
            exception: Some(exception.clone()),
            ..Self::default()
        }
    }

    /// Tells the end of a task that ended so; `ran` says how long, if it did.
    pub(super) fn tell(&self, events: &Events, id: &str, state: &str, ran: Option<Duration>) {
        match state {
            "SUCCESS" => events.task(|| {
                let result = self.result.as_deref().unwrap_or(b"null");
                let runtime = ran.unwrap_or_default().as_secs_f64();
                let own = json!({"uuid": id, "result": repr::value(result), "runtime": runtime});
                Event::new("task-succeeded", own)
            }),
            "FAILURE" => {
                events.task(|| Event::new("task-failed", self.failure(id)));
                if self.rejected {
                    events.task(|| rejected(id, false));
                }
            }
            "RETRY" => events.task(|| Event::new("task-retried", self.failure(id))),
            "REVOKED" => events.task(|| {
                let words = self.exception.as_ref().map(|told| told.message.as_str());
                let expired = words.is_some_and(|words| words.starts_with("expired"));
                let signum = ran.map(|_| SIGTERM);
                let own = json!({"uuid": id, "terminated": ran.is_some(), "signum": signum,
                    "expired": expired});
                Event::new("task-revoked", own)
            }),
            "RETURNED" | "GIVEN_BACK" => events.task(|| rejected(id, true)),
            _ => {}
        }
    }

    fn failure(&self, id: &str) -> Value {
        let Some(exception) = &self.exception else {
            return json!({"uuid": id, "exception": "None"});
        };
        let trace = exception.trace.as_deref().unwrap_or_default();
        let trace: String = trace.chars().take(TRACEBACK).collect();
        json!({
            "uuid": id,
            "exception": repr::exception(&exception.class, &exception.message),
            "traceback": trace,
        })
    }
}

fn rejected(id: &str, requeue: bool) -> Event {
    Event::new("task-rejected", json!({"uuid": id, "requeue": requeue}))
}

/// Tells that a message came that is to run now. One that waits for its time, its rate
/// or its code does so in the broker, where no worker has it; it is told of when it runs.
pub(super) fn received(crew: &Crew, delivery: &Delivery, request: &Request) {
    crew.events.task(|| {
        let header = |name: &str| {
            let text = delivery.message.headers.get(name).and_then(Value::as_str);
            text.map(|text| text.chars().take(REPR).collect::<String>())
        };
        Event::new(
            "task-received",
            json!({
                "uuid": request.id.as_str(),
                "name": request.shadow.as_ref().unwrap_or(&request.task),
                "args": header("argsrepr").unwrap_or_else(|| repr::tuple(&request.args)),
                "kwargs": header("kwargsrepr").unwrap_or_else(|| repr::value(&request.kwargs)),
                "root_id": request.root_id,
                "parent_id": request.parent_id,
                "retries": request.retries,
                "eta": request.eta.map(iso),
                "expires": request.expires.map(iso),
            }),
        )
    });
}

/// Tells of messages that were sent, where that is wanted.
pub(super) fn sent(crew: &Crew, messages: &[Outgoing]) {
    for sent in messages {
        let told = || event::sent(&sent.message, &sent.queue);
        crew.events.sent(told);
    }
}

/// Tells that its guest starts.
pub(super) fn started(crew: &Crew, request: &Request) {
    crew.events
        .task(|| Event::new("task-started", json!({"uuid": request.id.as_str()})));
}
