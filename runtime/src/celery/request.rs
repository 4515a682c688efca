//! The task message, protocol version 2: reading it, and writing one.
//!
//! Reading never builds what the arguments say: they stay slices of the
//! message's own bytes. Every header is hostile.

mod call;
mod headers;
mod protocol1;

pub use call::{CallError, TaskCall, replaced, retried};
pub use headers::is_reserved;

use super::message::Message;
use crate::task::{Exception, TaskId};
use bytes::Bytes;
use headers::Headers;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest task name, bytes.
const TASK_NAME_BYTES: usize = 512;

/// A call of a task, as a message asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The task id.
    pub id: TaskId,
    /// The task's name as the caller wrote it.
    pub task: String,
    /// A JSON array: the positional arguments, as they were sent.
    pub args: Bytes,
    /// A JSON object: the keyword arguments, as they were sent.
    pub kwargs: Bytes,
    /// Retries so far.
    pub retries: u32,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// Not to run after.
    pub expires: Option<Timestamp>,
    /// Id of the first task of the workflow.
    pub root_id: Option<String>,
    /// Id of the task that sent this one.
    pub parent_id: Option<String>,
    /// Id of the group it belongs to.
    pub group: Option<String>,
    /// Its place in that group.
    pub group_index: Option<i64>,
    /// The name to show instead of the task's own.
    pub shadow: Option<String>,
    /// How often a task of this id handed its work over to another.
    pub replaced_task_nesting: u64,
    /// A JSON object: what is to follow (callbacks, errbacks, chain, chord), as it was
    /// sent; empty where nothing was.
    pub embed: Bytes,
    /// The caller's own time limits.
    pub time_limit: TimeLimit,
    /// Whether no result is to be stored.
    pub ignore_result: bool,
    /// The caller's own headers, as text.
    pub headers: BTreeMap<String, String>,
}

/// Time limits a message asks for; they may lower, never raise, the task's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeLimit {
    /// The hard one.
    pub hard: Option<Duration>,
    /// The soft one.
    pub soft: Option<Duration>,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// What is wrong with it, for people.
    pub reason: String,
    /// Who waits for it, where that could be read.
    pub caller: Option<(TaskId, String)>,
    /// What the caller should see.
    pub exception: Exception,
}

impl Request {
    /// Reads a message; moments without an offset are UTC.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a protocol 2 task message with a JSON body.
    pub fn decode(message: &Message) -> Result<Self, Malformed> {
        Self::decode_in(message, &TimeZone::UTC)
    }

    /// Reads a message; moments without an offset are of a zone, unless the sender
    /// marked them as UTC.
    ///
    /// # Errors
    /// As [`Request::decode`].
    pub fn decode_in(message: &Message, zone: &TimeZone) -> Result<Self, Malformed> {
        let headers = Headers(&message.headers);
        let refused = |reason: Wrong, caller| Malformed {
            exception: Exception::new(reason.module, reason.class, reason.text.clone()),
            reason: reason.text,
            caller,
        };
        if let Some(caller) = protocol1::caller(message) {
            let reason = "the message is of task protocol 1; set task_protocol = 2 in its sender";
            return Err(refused(Wrong::decode(reason), caller));
        }
        Self::read(message, &headers, zone).map_err(|reason| refused(reason, headers.caller()))
    }

    fn read(message: &Message, headers: &Headers<'_>, zone: &TimeZone) -> Result<Self, Wrong> {
        let id = headers.id()?;
        let task = headers.task()?;
        check_type(message)?;
        let Body {
            args,
            kwargs,
            embed,
        } = body(&message.body)?;
        Ok(Self {
            id,
            task,
            args,
            kwargs,
            retries: headers.retries()?,
            eta: headers.moment("eta", zone)?,
            expires: headers.moment("expires", zone)?,
            root_id: headers.text("root_id")?,
            parent_id: headers.text("parent_id")?,
            group: headers.text("group")?,
            group_index: headers.whole("group_index")?,
            shadow: headers.text("shadow")?,
            replaced_task_nesting: headers.count("replaced_task_nesting")?,
            embed,
            time_limit: headers.time_limit()?,
            ignore_result: headers.flag("ignore_result")?,
            headers: headers.own(),
        })
    }
}

/// What is wrong with a message, with the class of exception it stands for.
struct Wrong {
    module: &'static str,
    class: &'static str,
    text: String,
}

impl Wrong {
    /// Something a worker of Celery would fail to decode.
    fn decode(text: impl Into<String>) -> Self {
        Self {
            module: "kombu.exceptions",
            class: "DecodeError",
            text: text.into(),
        }
    }

    fn content(text: impl Into<String>) -> Self {
        Self {
            module: "kombu.exceptions",
            class: "ContentDisallowed",
            text: text.into(),
        }
    }

    fn argument(text: impl Into<String>) -> Self {
        Self {
            module: "builtins",
            class: "TypeError",
            text: text.into(),
        }
    }
}

fn check_type(message: &Message) -> Result<(), Wrong> {
    let kind = message.content_type.as_str();
    if kind != "application/json" {
        return Err(Wrong::content(format!(
            "content type {kind:?} is not accepted; send application/json"
        )));
    }
    let encoding = message.content_encoding.to_ascii_lowercase();
    if !["", "utf-8", "utf8", "us-ascii", "ascii", "binary"].contains(&encoding.as_str()) {
        return Err(Wrong::content(format!(
            "content encoding {encoding:?} is not accepted; send utf-8"
        )));
    }
    match message.headers.get("compression") {
        None | Some(serde_json::Value::Null) => Ok(()),
        Some(kind) => Err(Wrong::content(format!(
            "compression {kind} is not accepted; send the body plain"
        ))),
    }
}

/// The parts of a body, each as it was sent.
struct Body {
    args: Bytes,
    kwargs: Bytes,
    embed: Bytes,
}

/// Cuts a body `[args, kwargs, embed]` into its parts.
fn body(body: &Bytes) -> Result<Body, Wrong> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Wrong::decode(format!("the body is not UTF-8: {error}")))?;
    let parts: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| no_json(text, &error))?;
    let [args, kwargs, rest @ ..] = parts.as_slice() else {
        return Err(Wrong::decode(format!(
            "the body has {} parts; it must be [args, kwargs, embed]",
            parts.len()
        )));
    };
    if parts.len() > 3 {
        return Err(Wrong::decode(format!(
            "the body has {} parts; it must be [args, kwargs, embed]",
            parts.len()
        )));
    }
    if !args.get().starts_with('[') {
        return Err(Wrong::decode(
            "the positional arguments are not a JSON array",
        ));
    }
    if !kwargs.get().starts_with('{') {
        return Err(Wrong::decode("the keyword arguments are not a JSON object"));
    }
    let embed = rest.first().map(|embed| embed.get());
    let embed = embed.filter(|embed| *embed != "null").unwrap_or_default();
    if !embed.is_empty() && !embed.starts_with('{') {
        return Err(Wrong::decode(
            "what is to follow (the third part of the body) is not a JSON object",
        ));
    }
    let part = |text: &str| body.slice_ref(text.as_bytes());
    Ok(Body {
        args: part(args.get()),
        kwargs: part(kwargs.get()),
        embed: part(embed),
    })
}

/// Says what is wrong with a body that is not JSON. Python writes `NaN` and
/// `Infinity` where JSON has no word for them: the caller should hear of that.
fn no_json(text: &str, error: &serde_json::Error) -> Wrong {
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or("");
    let near = line.get(error.column().saturating_sub(4)..).unwrap_or("");
    let near: String = near.chars().take(12).collect();
    if near.contains("NaN") || near.contains("Inf") || near.contains("aN,") {
        return Wrong::argument("NaN and Infinity are not JSON; send null or a text instead");
    }
    if text.trim_start().starts_with(['[']) {
        Wrong::decode(format!("the body is not JSON: {error}"))
    } else {
        Wrong::decode("the body is not a JSON array [args, kwargs, embed]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(body: &str) -> Message {
        let call = TaskCall::new("text.count", "[]", "{}").unwrap();
        Message {
            body: Bytes::copy_from_slice(body.as_bytes()),
            ..call.message("test@host")
        }
    }

    fn reason(message: &Message) -> String {
        Request::decode(message).unwrap_err().reason
    }

    #[test]
    fn the_arguments_are_the_bytes_that_were_sent() {
        let body = r#"[ [1,  2.50, "\u00e4"], {"b":1, "a" : {}}, {"callbacks": null}]"#;
        let request = Request::decode(&message(body)).unwrap();
        assert_eq!(request.args, r#"[1,  2.50, "\u00e4"]"#);
        assert_eq!(request.kwargs, r#"{"b":1, "a" : {}}"#);
    }

    #[test]
    fn a_body_of_another_shape_is_malformed() {
        for (body, words) in [
            ("", "not a JSON array"),
            ("{}", "not a JSON array"),
            ("[]", "0 parts"),
            ("[[]]", "1 parts"),
            ("[[],{},{},{}]", "4 parts"),
            ("[{},{},{}]", "positional arguments"),
            ("[[],[],{}]", "keyword arguments"),
            ("[[],{},[]]", "what is to follow"),
            ("[[],{},{}", "not JSON"),
            ("[[1,],{},{}]", "not JSON"),
        ] {
            let reason = reason(&message(body));
            assert!(reason.contains(words), "{body:?}: {reason}");
        }
    }

    #[test]
    fn nan_and_infinity_are_a_type_error_to_the_caller() {
        for body in [
            "[[NaN],{},{}]",
            "[[1, Infinity],{},{}]",
            "[[-Infinity],{},{}]",
            "[[],{\"a\": NaN},{}]",
        ] {
            let malformed = Request::decode(&message(body)).unwrap_err();
            assert_eq!(
                malformed.exception.class, "TypeError",
                "{body}: {}",
                malformed.reason
            );
            assert!(malformed.caller.is_some());
        }
    }

    #[test]
    fn another_content_type_encoding_or_compression_is_refused() {
        let good = message("[[],{},{}]");
        let mut bad = good.clone();
        bad.content_type = "application/x-python-serialize".to_owned();
        assert!(reason(&bad).contains("x-python-serialize"));
        let mut bad = good.clone();
        bad.content_encoding = "utf-16".to_owned();
        assert!(reason(&bad).contains("utf-16"));
        let mut bad = good;
        bad.headers
            .insert("compression".to_owned(), json!("application/x-gzip"));
        assert!(reason(&bad).contains("x-gzip"));
    }

    #[test]
    fn a_body_nested_without_end_is_read_in_bounded_stack() {
        let deep = format!("[{}{},{{}},{{}}]", "[".repeat(200_000), "]".repeat(200_000));
        assert!(Request::decode(&message(&deep)).is_ok());
    }
}
