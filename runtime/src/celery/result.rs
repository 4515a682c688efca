//! Celery's result document: what a client finds where results are kept.
//!
//! The member `celeriac` holds what only we know; clients pass over it. It comes
//! second, so that the state and it can be read without reading the result.

use crate::task::Exception;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Longest text made of an exception's arguments, characters.
const MESSAGE: usize = 64 << 10;

/// A result document, to be written.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The task id.
    pub task_id: &'a str,
    /// The state.
    pub status: &'a str,
    /// JSON: the result, or the meta of a custom state.
    pub result: Option<&'a str>,
    /// What a failed, retried or revoked task failed with; goes before `result`.
    pub exception: Option<&'a Exception>,
    /// When the task was over, if it is.
    pub date_done: Option<Timestamp>,
    /// The group it belongs to.
    pub group_id: Option<&'a str>,
    /// The task that sent it.
    pub parent_id: Option<&'a str>,
    /// JSON: the tasks it sent, an array of Celery's tuples; empty where it sent none.
    pub children: &'a str,
    /// What `result_extended` adds.
    pub extended: Option<&'a Extended>,
    /// JSON: what only we know.
    pub celeriac: &'a str,
}

/// What Celery's `result_extended` adds to a document: which call it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// The task's name.
    pub name: String,
    /// A JSON array: the positional arguments.
    pub args: Bytes,
    /// A JSON object: the keyword arguments.
    pub kwargs: Bytes,
    /// The worker.
    pub worker: String,
    /// Retries so far.
    pub retries: u32,
    /// The queue, or the routing key that led to it.
    pub queue: String,
    /// The stamps: names, and what stands in each.
    pub stamps: Map<String, Value>,
}

/// Members of a document that no stamp may take the place of.
const MEMBERS: [&str; 16] = [
    "status",
    "celeriac",
    "result",
    "traceback",
    "children",
    "date_done",
    "group_id",
    "parent_id",
    "name",
    "args",
    "kwargs",
    "worker",
    "retries",
    "queue",
    "stamped_headers",
    "task_id",
];

impl Extended {
    /// Returns the positional arguments as text.
    #[must_use]
    pub fn args(&self) -> &str {
        std::str::from_utf8(&self.args).unwrap_or("null")
    }

    /// Returns the keyword arguments as text.
    #[must_use]
    pub fn kwargs(&self) -> &str {
        std::str::from_utf8(&self.kwargs).unwrap_or("null")
    }

    fn members(&self, text: &mut String) {
        text.push_str(&format!(
            r#", "name": {}, "args": {}, "kwargs": {}, "worker": {}, "retries": {}, "queue": {}"#,
            json!(self.name),
            self.args(),
            self.kwargs(),
            json!(self.worker),
            self.retries,
            json!(self.queue),
        ));
        let stamps = self
            .stamps
            .iter()
            .filter(|(name, _)| !MEMBERS.contains(&name.as_str()));
        let names: Vec<&str> = stamps.clone().map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            text.push_str(&format!(r#", "stamped_headers": {}"#, json!(names)));
        }
        for (name, stamp) in stamps {
            text.push_str(&format!(", {}: {stamp}", json!(name)));
        }
    }
}

impl Document<'_> {
    /// Returns what stands in `result`: the exception if there is one, else the result.
    #[must_use]
    pub fn outcome(&self) -> String {
        let exception = self.exception.map(thrown);
        exception.unwrap_or_else(|| self.result.unwrap_or("null").to_owned())
    }

    /// Writes the document as Celery does.
    #[must_use]
    pub fn text(&self) -> String {
        let result = self.outcome();
        let traceback = self
            .exception
            .and_then(|exception| exception.trace.as_deref());
        let mut text = format!(
            r#"{{"status": {}, "celeriac": {}, "result": {result}, "traceback": {}, "children": {}, "date_done": {}"#,
            json!(self.status),
            self.celeriac,
            json!(traceback),
            if self.children.is_empty() {
                "[]"
            } else {
                self.children
            },
            json!(self.date_done.map(super::iso)),
        );
        for (name, value) in [("group_id", self.group_id), ("parent_id", self.parent_id)] {
            if let Some(value) = value {
                text.push_str(&format!(r#", "{name}": {}"#, json!(value)));
            }
        }
        if let Some(extended) = self.extended {
            extended.members(&mut text);
        }
        text.push_str(&format!(r#", "task_id": {}}}"#, json!(self.task_id)));
        text
    }
}

/// Writes an exception as Celery does.
#[must_use]
pub fn thrown(exception: &Exception) -> String {
    let document = json!({
        "exc_type": exception.class,
        "exc_message": [exception.message],
        "exc_module": exception.module,
    });
    document.to_string()
}

/// A result document as it was found, by whomever it was written.
#[derive(Debug, Deserialize)]
pub struct Found {
    /// The state.
    pub status: String,
    /// JSON.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    /// The text of a traceback.
    #[serde(default)]
    pub traceback: Option<String>,
    /// What only we know; a document of a Python worker has none.
    #[serde(default)]
    pub celeriac: Option<Box<RawValue>>,
}

/// An exception as Celery writes it.
#[derive(Deserialize)]
struct Thrown {
    exc_type: String,
    #[serde(default)]
    exc_message: Value,
    #[serde(default)]
    exc_module: Option<String>,
}

impl Found {
    /// Reads a document; `None` when it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Reads the result as an exception, if it is one.
    #[must_use]
    pub fn exception(&self) -> Option<Exception> {
        Self::thrown(self.result.as_deref()?, self.traceback.clone())
    }

    /// Reads an exception as Celery writes it; `None` when it is none.
    #[must_use]
    pub fn thrown(value: &RawValue, trace: Option<String>) -> Option<Exception> {
        let thrown: Thrown = serde_json::from_str(value.get()).ok()?;
        let message = match thrown.exc_message.as_array() {
            Some(arguments) => arguments.iter().map(plain).collect::<Vec<_>>().join(", "),
            None => plain(&thrown.exc_message),
        };
        Some(Exception {
            class: thrown.exc_type,
            module: thrown.exc_module.unwrap_or_default(),
            message: message.chars().take(MESSAGE).collect(),
            trace,
        })
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Timestamp = Timestamp::constant(1_790_000_000, 562_224_000);

    fn document<'a>() -> Document<'a> {
        Document {
            task_id: "t",
            status: "SUCCESS",
            result: Some("5"),
            exception: None,
            date_done: Some(DONE),
            group_id: None,
            parent_id: None,
            children: "",
            extended: None,
            celeriac: "{}",
        }
    }

    /// The members that Celery itself writes, as in the capture
    /// `worker_redis_not_extended`.
    #[test]
    fn a_success_has_the_members_that_celery_writes() {
        let mut value: Value = serde_json::from_str(&document().text()).unwrap();
        value.as_object_mut().unwrap().remove("celeriac");
        assert_eq!(
            value,
            json!({
                "status": "SUCCESS", "result": 5, "traceback": null, "children": [],
                "date_done": "2026-09-21T14:13:20.562224+00:00", "task_id": "t",
            })
        );
    }

    /// As in the capture `backend_filesystem`.
    #[test]
    fn an_extended_document_tells_which_call_it_answers() {
        let extended = Extended {
            name: "m.add".to_owned(),
            args: "[1, 2.50]".into(),
            kwargs: "{}".into(),
            worker: "w@h".to_owned(),
            retries: 2,
            queue: "celery".to_owned(),
            stamps: json!({"st": "v", "status": "a stamp of a bad name"})
                .as_object()
                .unwrap()
                .clone(),
        };
        let text = Document {
            extended: Some(&extended),
            ..document()
        }
        .text();
        assert!(text.contains(r#""args": [1, 2.50]"#), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        for (member, expected) in [
            ("status", json!("SUCCESS")),
            ("name", json!("m.add")),
            ("kwargs", json!({})),
            ("worker", json!("w@h")),
            ("retries", json!(2)),
            ("queue", json!("celery")),
            ("stamped_headers", json!(["st"])),
            ("st", json!("v")),
        ] {
            assert_eq!(value[member], expected, "{member}");
        }
    }

    #[test]
    fn a_failure_is_what_a_client_raises_again() {
        let exception = Exception {
            trace: Some("Traceback".to_owned()),
            ..Exception::new("builtins", "ValueError", "ä \"boom\"")
        };
        let text = Document {
            status: "FAILURE",
            exception: Some(&exception),
            group_id: Some("g"),
            parent_id: Some("p"),
            ..document()
        }
        .text();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["result"],
            json!({"exc_type": "ValueError", "exc_message": ["ä \"boom\""], "exc_module": "builtins"})
        );
        assert_eq!(
            (&value["traceback"], &value["group_id"], &value["parent_id"]),
            (&json!("Traceback"), &json!("g"), &json!("p"))
        );
        assert_eq!(Found::read(&text).unwrap().exception(), Some(exception));
    }

    #[test]
    fn exceptions_of_python_workers_are_read_whatever_their_arguments_are() {
        for (arguments, message) in [
            (r#"["boom"]"#, "boom"),
            (r#"["a", 1, null]"#, "a, 1, "),
            (r#""text""#, "text"),
            ("[]", ""),
            ("[[1]]", "[1]"),
        ] {
            let text = format!(
                r#"{{"status": "FAILURE", "result": {{"exc_type": "E", "exc_message": {arguments}}}, "task_id": "t"}}"#
            );
            let exception = Found::read(&text).unwrap().exception().unwrap();
            assert_eq!(exception.message, message, "{arguments}");
        }
    }

    #[test]
    fn what_is_no_document_is_none() {
        let deep = format!(
            r#"{{"status": "SUCCESS", "result": {}}}"#,
            "[".repeat(100_000)
        );
        for text in ["", "[]", "{}", "null", r#"{"status": 1}"#, &deep] {
            assert!(Found::read(text).is_none(), "{text:.40}");
        }
    }
}
