//! Writing a task message.

use super::Request;
use super::links::{Links, linked};
use crate::celery::iso;
use crate::celery::message::{Message, Properties};
use crate::task::TaskId;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest `argsrepr` and `kwargsrepr`, characters, as Celery cuts them.
const REPR: usize = 1_024;

/// A call of a task, to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCall {
    /// The task id.
    pub id: TaskId,
    /// The task's full name.
    pub task: String,
    /// A JSON array.
    pub args: String,
    /// A JSON object.
    pub kwargs: String,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// Not to run after.
    pub expires: Option<Timestamp>,
    /// 0 to 9, 9 first; `None` is the broker's default place.
    pub priority: Option<u8>,
    /// Retries so far.
    pub retries: u32,
    /// Headers of one's own.
    pub headers: BTreeMap<String, String>,
    /// How long it may run; it lowers what the worker allows, as Celery's `time_limit`.
    pub time_limit: Option<Duration>,
    /// After how long it is asked to end, as Celery's `soft_time_limit`.
    pub soft_time_limit: Option<Duration>,
    /// Stamps, by which tasks are revoked together.
    pub stamps: BTreeMap<String, String>,
    /// The queue to which states are sent, where the worker's results are replies.
    pub reply_to: Option<String>,
    /// What follows it.
    pub links: Links,
}

/// Why a call cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The positional arguments are not a JSON array.
    #[error("the positional arguments are not a JSON array: {reason}")]
    Args {
        /// What is wrong.
        reason: String,
    },
    /// What is linked is no signature.
    #[error("a link is not the JSON object of a signature: {reason}")]
    Signature {
        /// What is wrong.
        reason: String,
    },
    /// The keyword arguments are not a JSON object.
    #[error("the keyword arguments are not a JSON object: {reason}")]
    Kwargs {
        /// What is wrong.
        reason: String,
    },
}

impl TaskCall {
    /// Makes a call with a new id, no delay, no priority.
    ///
    /// # Errors
    /// [`CallError`] when the arguments are not JSON of the right kind.
    pub fn new(task: &str, args: &str, kwargs: &str) -> Result<Self, CallError> {
        check::<Vec<IgnoredAny>>(args).map_err(|reason| CallError::Args { reason })?;
        check::<BTreeMap<String, IgnoredAny>>(kwargs)
            .map_err(|reason| CallError::Kwargs { reason })?;
        Ok(Self {
            id: TaskId::random(),
            task: task.to_owned(),
            args: args.trim().to_owned(),
            kwargs: kwargs.trim().to_owned(),
            eta: None,
            expires: None,
            priority: None,
            retries: 0,
            headers: BTreeMap::new(),
            time_limit: None,
            soft_time_limit: None,
            stamps: BTreeMap::new(),
            reply_to: None,
            links: Links::default(),
        })
    }

    /// Writes the message, as Celery 5 does. `origin` names the sender.
    #[must_use]
    pub fn message(&self, origin: &str) -> Message {
        let id = self.id.as_str();
        let stamped: Vec<&String> = self.stamps.keys().collect();
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            headers.insert(name.clone(), Value::String(value.clone()));
        }
        let protocol = json!({
            "lang": "rs",
            "task": self.task,
            "id": id,
            "shadow": null,
            "eta": self.eta.map(iso),
            "expires": self.expires.map(iso),
            "group": null,
            "group_index": null,
            "retries": self.retries,
            "timelimit": self.timelimit(),
            "root_id": id,
            "parent_id": null,
            "argsrepr": shortened(&self.args),
            "kwargsrepr": shortened(&self.kwargs),
            "origin": origin,
            "ignore_result": false,
            "replaced_task_nesting": 0,
            "stamped_headers": Some(stamped).filter(|names| !names.is_empty()),
            "stamps": self.stamps,
        });
        if let Value::Object(protocol) = protocol {
            headers.extend(protocol);
        }
        let embed = self.links.embed();
        Message {
            body: Bytes::from(format!("[{}, {}, {embed}]", self.args, self.kwargs)),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers,
            properties: Properties {
                correlation_id: Some(id.to_owned()),
                priority: self.priority,
                reply_to: self.reply_to.clone(),
                ..Properties::default()
            },
        }
    }

    /// Has a signature called with the result, when it has succeeded: a JSON object with
    /// all members that Celery writes, such as [`TaskCall::signature`] returns.
    ///
    /// # Errors
    /// [`CallError::Signature`].
    pub fn link(&mut self, signature: &str) -> Result<(), CallError> {
        self.links.callbacks.push(linked(signature)?);
        Ok(())
    }

    /// Has a signature called when it has failed, with its id or with its request,
    /// exception and traceback, as Celery does.
    ///
    /// # Errors
    /// [`CallError::Signature`].
    pub fn link_error(&mut self, signature: &str) -> Result<(), CallError> {
        self.links.errbacks.push(linked(signature)?);
        Ok(())
    }

    /// Returns the signature of this call, to be linked to another. It keeps the id and
    /// the queue for replies, so that its result can be waited for; of its other options
    /// it has none.
    #[must_use]
    pub fn signature(&self) -> String {
        let (task, id) = (Value::from(self.task.as_str()), self.id.as_str());
        let (args, kwargs, mut options) = (&self.args, &self.kwargs, json!({"task_id": id}));
        if let (Some(options), Some(to)) = (options.as_object_mut(), &self.reply_to) {
            options.insert("reply_to".to_owned(), Value::from(to.as_str()));
        }
        format!(
            r#"{{"task": {task}, "args": {args}, "kwargs": {kwargs}, "options": {options}, "subtask_type": null, "immutable": false}}"#
        )
    }

    /// Both limits as Celery's header has them: the hard one first, in seconds.
    fn timelimit(&self) -> [Option<f64>; 2] {
        [self.time_limit, self.soft_time_limit].map(|limit| limit.map(|limit| limit.as_secs_f64()))
    }
}

/// Headers that tell what happened to one message on its way; a retry is a new
/// message (Celery's `Task.retry` sends none of them).
const OF_THE_WAY: [&str; 9] = [
    "redelivered",
    "x-acquired-count",
    "x-death",
    "x-delivery-count",
    "x-celeriac-again",
    "x-celeriac-deliveries",
    "x-celeriac-died-at",
    "x-celeriac-key",
    "x-celeriac-reason",
];

/// Returns the message of the next retry: the same call, one retry later. As with
/// Celery, a task without a parent becomes its own.
#[must_use]
pub fn retried(message: &Message, retries: u32, due: Timestamp) -> Message {
    let mut next = message.clone();
    for name in OF_THE_WAY {
        next.headers.remove(name);
    }
    next.headers.retain(|name, _| {
        !name.starts_with("x-first-death-") && !name.starts_with("x-last-death-")
    });
    let id = next.headers.get("id").filter(|id| id.is_string()).cloned();
    if let Some(id) = id {
        let parent = next.headers.entry("parent_id").or_insert(Value::Null);
        if parent.is_null() {
            *parent = id;
        }
    }
    next.headers
        .insert("retries".to_owned(), Value::from(retries));
    next.headers
        .insert("eta".to_owned(), Value::String(iso(due)));
    next
}

/// Returns the message of the task that takes over a task's work: another call
/// under the same id, with all that waits for it. It counts as one retry more, so
/// that no later delivery of the message it follows from can outrank it.
#[must_use]
pub fn replaced(message: &Message, request: &Request, call: &TaskCall) -> Message {
    let retries = request.retries.saturating_add(1);
    let mut next = retried(message, retries, Timestamp::UNIX_EPOCH);
    let nesting = request.replaced_task_nesting.saturating_add(1);
    for (name, value) in [
        ("task", Value::from(call.task.as_str())),
        ("id", Value::from(request.id.as_str())),
        ("parent_id", Value::from(request.id.as_str())),
        ("eta", Value::Null),
        ("shadow", Value::Null),
        ("timelimit", json!(call.timelimit())),
        ("argsrepr", Value::from(shortened(&call.args))),
        ("kwargsrepr", Value::from(shortened(&call.kwargs))),
        ("replaced_task_nesting", Value::from(nesting)),
    ] {
        next.headers.insert(name.to_owned(), value);
    }
    let embed = std::str::from_utf8(&request.embed).unwrap_or_default();
    let embed = if embed.is_empty() { "null" } else { embed };
    next.body = Bytes::from(format!("[{}, {}, {embed}]", call.args, call.kwargs));
    next
}

fn check<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<(), String> {
    serde_json::from_str::<T>(text)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(REPR).collect();
    if short.len() < text.len() {
        short.truncate(
            short
                .char_indices()
                .nth(REPR - 3)
                .map_or(short.len(), |(at, _)| at),
        );
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut call = TaskCall::new("text.count", r#"["ä", 1]"#, r#"{"k": null}"#).unwrap();
        call.eta = Some("2030-01-02T03:04:05.25Z".parse().unwrap());
        call.headers.insert("x-shop".to_owned(), "7".to_owned());
        let request = Request::decode(&call.message("gen1@host")).unwrap();
        assert_eq!(request.id, call.id);
        assert_eq!(
            (request.args, request.kwargs),
            (call.args.into(), call.kwargs.into())
        );
        assert_eq!(request.eta, call.eta);
        assert_eq!(request.headers.len(), 1);
    }

    #[test]
    fn arguments_must_be_an_array_and_an_object() {
        assert!(matches!(
            TaskCall::new("t", "{}", "{}"),
            Err(CallError::Args { .. })
        ));
        assert!(matches!(
            TaskCall::new("t", "[", "{}"),
            Err(CallError::Args { .. })
        ));
        assert!(matches!(
            TaskCall::new("t", "[]", "[]"),
            Err(CallError::Kwargs { .. })
        ));
    }

    #[test]
    fn limits_stamps_and_links_are_written_as_celery_writes_them() {
        let mut call = TaskCall::new("t", "[1]", "{}").unwrap();
        let next = TaskCall::new("u", "[1.10]", r#"{"k": 2}"#).unwrap();
        call.time_limit = Some(Duration::from_millis(1_500));
        call.stamps.insert("batch".to_owned(), "b7".to_owned());
        call.reply_to = Some("mine".to_owned());
        call.link(&next.signature()).unwrap();
        call.link_error(&next.signature()).unwrap();
        let message = call.message("me");
        assert_eq!(message.headers["timelimit"], json!([1.5, null]));
        assert_eq!(message.headers["stamps"], json!({"batch": "b7"}));
        assert_eq!(message.headers["stamped_headers"], json!(["batch"]));
        assert_eq!(message.properties.reply_to.as_deref(), Some("mine"));
        let embed = Request::decode(&message).unwrap().embed;
        let embed = std::str::from_utf8(&embed).unwrap();
        let link = format!("[{}]", next.signature());
        assert_eq!(
            embed,
            format!(r#"{{"callbacks":{link},"errbacks":{link},"chain":null,"chord":null}}"#)
        );
        assert!(link.contains("[1.10]") && link.contains(next.id.as_str()));
        for wrong in ["", "[]", "{}", r#"{"task": 1}"#, r#"{"task": "t"}"#] {
            let refused = call.link(wrong).unwrap_err();
            assert!(matches!(refused, CallError::Signature { .. }), "{wrong}");
        }
    }

    #[test]
    fn a_retry_keeps_everything_but_retries_and_eta() {
        let message = TaskCall::new("t", "[1]", "{}").unwrap().message("me");
        let due = "2030-01-02T03:04:05Z".parse().unwrap();
        let next = retried(&message, 3, due);
        let request = Request::decode(&next).unwrap();
        assert_eq!((request.retries, request.eta), (3, Some(due)));
        assert_eq!(next.body, message.body);
        assert_eq!(next.properties, message.properties);
    }

    #[test]
    fn a_retry_forgets_the_way_of_its_predecessor_and_keeps_other_headers() {
        let mut message = TaskCall::new("t", "[1]", "{}").unwrap().message("me");
        let before = retried(&message, 1, Timestamp::UNIX_EPOCH);
        for name in OF_THE_WAY {
            message.headers.insert(name.to_owned(), json!(2));
        }
        message
            .headers
            .insert("x-first-death-queue".to_owned(), json!("q"));
        assert_eq!(retried(&message, 1, Timestamp::UNIX_EPOCH), before);
        message.headers.insert("x-shop".to_owned(), json!("7"));
        let next = retried(&message, 1, Timestamp::UNIX_EPOCH);
        assert_eq!(next.headers.get("x-shop"), Some(&json!("7")));
    }

    #[test]
    fn a_replacement_keeps_the_id_and_all_that_waits_for_it() {
        let mut message = TaskCall::new("t", "[1]", "{}").unwrap().message("me");
        message.headers.insert("group".to_owned(), json!("g"));
        let embed = r#"{"callbacks": null, "chord": {"task": "b", "args": [1.10]}}"#;
        message.body = format!("[[1], {{}}, {embed}]").into();
        let before = Request::decode(&message).unwrap();
        let call = TaskCall::new("u", "[2]", r#"{"k": 1.0}"#).unwrap();
        let after = Request::decode(&replaced(&message, &before, &call)).unwrap();
        assert_eq!(
            (after.id, after.parent_id),
            (before.id.clone(), Some(before.id.to_string()))
        );
        assert_eq!(
            (after.task.as_str(), after.args, after.kwargs),
            ("u", "[2]".into(), r#"{"k": 1.0}"#.into())
        );
        assert_eq!(
            (after.embed, after.group),
            (embed.into(), Some("g".to_owned()))
        );
        assert_eq!(
            (after.retries, after.replaced_task_nesting, after.eta),
            (1, 1, None)
        );
    }

    #[test]
    fn a_moment_is_written_as_python_writes_it() {
        let whole = "2030-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(iso(whole), "2030-01-02T03:04:05+00:00");
        let fraction = "2030-01-02T03:04:05.25Z".parse().unwrap();
        assert!(iso(fraction).starts_with("2030-01-02T03:04:05.25"));
    }

    #[test]
    fn a_long_representation_is_cut() {
        assert_eq!(shortened(&"x".repeat(2_000)).chars().count(), REPR);
        assert_eq!(shortened("[1]"), "[1]");
    }
}
