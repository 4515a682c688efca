//! Calling tasks: what is sent, and what is told of a task.
//!
//! Arguments, results and what tasks tell of their progress are JSON of somebody else's:
//! the text that came is the text that goes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Longest wait for a task in one request, seconds.
pub const WAIT_SECONDS: u64 = 60;

/// A call of a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The task, `MODULE.TASK`.
    #[schema(example = "images.thumbnail")]
    pub task: String,
    /// Positional arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    pub args: Option<Box<RawValue>>,
    /// Keyword arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>)]
    pub kwargs: Option<Box<RawValue>>,
    /// A queue of the tenant; that of the task unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "celery")]
    pub queue: Option<String>,
    /// Not before so many seconds have passed; not beside `eta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 10.5)]
    pub countdown_seconds: Option<f64>,
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2030-01-31T14:05:00Z")]
    pub eta: Option<String>,
    /// Not after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2030-01-31T15:05:00Z")]
    pub expires: Option<String>,
    /// 0 to 9, 9 is first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 9)]
    pub priority: Option<u8>,
    /// Headers of the message for the task to read, at most 20: their names begin with `x-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
}

/// A task that was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Called {
    /// Its id.
    #[schema(example = "5f0a2d4e-9c31-8b7a-8a55-1f6d0c3be7a2")]
    pub id: String,
    /// `PENDING`: it waits in its queue, as far as is known here.
    #[schema(example = "PENDING")]
    pub state: String,
    /// The queue.
    #[serde(default)]
    #[schema(required = true, example = "celery")]
    pub queue: String,
    /// Where more is told of it.
    pub links: CallLinks,
}

/// Paths of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallLinks {
    /// Its state and result; `?wait=SECONDS` waits for them.
    #[serde(rename = "self")]
    pub itself: String,
    /// What happens to it, as it happens.
    pub events: String,
    /// Ends it.
    pub revoke: String,
}

impl Called {
    /// Makes the answer to a call.
    #[must_use]
    pub fn new(tenant: &str, id: &str, queue: &str) -> Self {
        // Ids of ours are UUIDs, which need no escapes.
        let itself = format!("/v1/tenants/{tenant}/tasks/{id}");
        Self {
            id: id.to_owned(),
            state: "PENDING".to_owned(),
            queue: queue.to_owned(),
            links: CallLinks {
                events: format!("{itself}/events"),
                revoke: format!("{itself}/revoke"),
                itself,
            },
        }
    }
}

/// What is known of a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(from = "Told")]
pub struct TaskStatus {
    /// Its id.
    pub id: String,
    /// `PENDING`, `STARTED`, `RETRY`, `SUCCESS`, `FAILURE`, `REVOKED`, or a word of the
    /// task's own, such as `PROGRESS`.
    #[schema(example = "SUCCESS")]
    pub state: String,
    /// Whether nothing more will happen to it.
    pub ended: bool,
    /// What is stored, once something is.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub known: Option<TaskRecord>,
}

/// A status as it is read: texts of JSON come out as they were only where nothing is
/// flattened.
#[derive(Deserialize)]
struct Told {
    id: String,
    state: String,
    ended: bool,
    task: Option<String>,
    result: Option<Box<RawValue>>,
    exception: Option<Raised>,
    #[serde(default)]
    retries: u32,
    #[serde(default)]
    deliveries: u32,
    due: Option<String>,
    #[serde(default)]
    worker: String,
    #[serde(default)]
    usage: RunCost,
    log: Option<Box<RawValue>>,
    #[serde(default)]
    written_at: String,
}

impl From<Told> for TaskStatus {
    fn from(told: Told) -> Self {
        let record = |task| TaskRecord {
            task,
            result: told.result,
            exception: told.exception,
            retries: told.retries,
            deliveries: told.deliveries,
            due: told.due,
            worker: told.worker,
            usage: told.usage,
            log: told.log,
            written_at: told.written_at,
        };
        Self {
            id: told.id,
            state: told.state,
            ended: told.ended,
            known: told.task.map(record),
        }
    }
}

/// What is stored of a task. Nothing is, and none of this is told, while its state is
/// `PENDING`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TaskRecord {
    /// Its full name; empty where it was revoked before anybody knew.
    #[schema(required = false)]
    pub task: String,
    /// The result of `SUCCESS`, what a task told of its progress, else null.
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// What it failed with.
    pub exception: Option<Raised>,
    /// Retries so far.
    #[schema(required = false)]
    pub retries: u32,
    /// Deliveries of this retry's message; more than one means that a worker was lost.
    #[schema(required = false)]
    pub deliveries: u32,
    /// When the next retry is due.
    pub due: Option<String>,
    /// The worker that wrote last.
    #[schema(required = false)]
    pub worker: String,
    /// What the last run used.
    #[schema(required = false)]
    pub usage: RunCost,
    /// The log of the last attempt: `lines`, `dropped_lines` and `dropped_bytes`.
    #[schema(value_type = Option<serde_json::Value>)]
    pub log: Option<Box<RawValue>>,
    /// When the last write happened.
    #[schema(required = false)]
    pub written_at: String,
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Raised {
    /// Its class.
    #[schema(example = "ValueError")]
    pub class: String,
    /// The module of its class.
    #[schema(example = "builtins")]
    pub module: String,
    /// Its text.
    pub message: String,
    /// A trace, for people.
    pub trace: Option<String>,
}

/// What a run used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RunCost {
    /// Time between ready and start, milliseconds.
    pub queue_wait_ms: u64,
    /// Time in the sandbox, microseconds.
    pub run_us: u64,
    /// CPU time, microseconds.
    pub cpu_us: u64,
    /// Highest sum of memories and tables, bytes.
    pub memory_peak_bytes: u64,
    /// Bytes of the arguments, and of what grants brought.
    pub bytes_in: u64,
    /// Bytes of the result, and of what grants took.
    pub bytes_out: u64,
    /// Calls of functions of the host.
    pub host_calls: u64,
    /// What it did with its grants, by their names.
    pub uses: BTreeMap<String, GrantUse>,
}

/// How a grant was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GrantUse {
    /// Times it was used.
    pub calls: u64,
    /// Times it was missing.
    pub denied: u64,
    /// Bytes that came in by it.
    pub bytes_in: u64,
    /// Bytes that went out by it.
    pub bytes_out: u64,
}

/// How a task shall be revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RevokeRequest {
    /// Whether a run under way is ended too.
    pub terminate: bool,
}

/// What revoking a task meant at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskRevoked {
    /// The id of the task.
    pub id: String,
    /// `REVOKED`, or the state of a task that runs or was over before; null where no
    /// states are kept.
    pub state: Option<String>,
    /// Whether a run under way is ended too.
    pub terminate: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_their_digits_and_unknown_members_are_refused() {
        let text = r#"{"task":"a.b","args":[1.10, 123456789012345678901]}"#;
        let call: CallRequest = serde_json::from_str(text).unwrap();
        assert_eq!(call.args.unwrap().get(), "[1.10, 123456789012345678901]");
        for wrong in [
            r#"{"task":"a.b","reply_to":"x"}"#,
            r#"{"task":"a.b","id":"x"}"#,
        ] {
            assert!(
                serde_json::from_str::<CallRequest>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_status_is_read_as_it_is_written() {
        let pending = r#"{"id":"7","state":"PENDING","ended":false}"#;
        let read: TaskStatus = serde_json::from_str(pending).unwrap();
        assert!(read.known.is_none());
        assert_eq!(serde_json::to_string(&read).unwrap(), pending);
    }
}
