//! The task message: reading it, of protocol 2 or 1, and writing one of protocol 2.
//!
//! Reading never builds what the arguments say: they stay slices of the
//! message's own bytes. Every header is hostile.

mod body;
mod call;
mod headers;
mod links;
mod protocol1;
mod sent;

pub use call::{CallError, TaskCall, replaced, retried};
pub use headers::is_reserved;
pub use links::Links;
pub use sent::Sent;

use super::body::{Accept, BodyError, json};
use super::message::Message;
use crate::task::{Exception, TaskId};
use body::Body;
use bytes::Bytes;
use headers::Headers;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest task name, bytes.
const TASK_NAME_BYTES: usize = 512;

/// Our header of a message that was perhaps sent before.
pub const AGAIN: &str = "x-celeriac-again";

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
    /// Whether it was perhaps sent before: its sender did not know.
    pub again: bool,
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
    /// Reads a message: JSON alone is accepted, and moments without an offset are UTC.
    ///
    /// # Errors
    /// As [`Request::decode_in`].
    pub fn decode(message: &Message) -> Result<Self, Malformed> {
        Self::decode_in(message, &TimeZone::UTC, &Accept::default())
    }

    /// Reads a message in a format that is accepted; moments without an offset are of
    /// a zone, unless the sender marked them as UTC.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a task message, or its body not of that format.
    pub fn decode_in(
        message: &Message,
        zone: &TimeZone,
        accept: &Accept,
    ) -> Result<Self, Malformed> {
        let mut headers = Cow::Borrowed(&message.headers);
        let body = json(message, accept).map_err(Wrong::from);
        let body = body.and_then(|text| match protocol1::read(&text, &message.headers)? {
            Some((merged, body)) => {
                headers = Cow::Owned(merged);
                body::check(body)
            }
            None => body::cut(&text),
        });
        let headers = Headers(&headers);
        // Without a word in the headers, the body is what would have told.
        let read = match (body, protocol1::caller(message)) {
            (Err(wrong), Some(_)) => Err(wrong),
            (body, _) => Self::read(&headers, zone, body),
        };
        let caller = || headers.caller().or_else(|| protocol1::caller(message));
        read.map_err(|wrong| wrong.malformed(caller()))
    }

    /// Reads the headers of a message whose body is in its parts already.
    fn of(message: &Message, body: Body) -> Result<Self, Malformed> {
        let headers = Headers(&message.headers);
        let read = Self::read(&headers, &TimeZone::UTC, Ok(body));
        read.map_err(|wrong| wrong.malformed(headers.caller()))
    }

    fn read(
        headers: &Headers<'_>,
        zone: &TimeZone,
        body: Result<Body, Wrong>,
    ) -> Result<Self, Wrong> {
        let id = headers.id()?;
        let task = headers.task()?;
        let Body {
            args,
            kwargs,
            embed,
        } = body?;
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
            again: headers.flag(AGAIN)?,
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

    fn malformed(self, caller: Option<(TaskId, String)>) -> Malformed {
        Malformed {
            exception: Exception::new(self.module, self.class, self.text.clone()),
            reason: self.text,
            caller,
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

impl From<BodyError> for Wrong {
    fn from(error: BodyError) -> Self {
        let (module, class) = match error {
            BodyError::NotAccepted { .. } => ("kombu.exceptions", "ContentDisallowed"),
            BodyError::Malformed { .. } => ("kombu.exceptions", "DecodeError"),
            BodyError::NoJson { .. } => ("builtins", "TypeError"),
            BodyError::TooLarge { .. } => ("celeriac", "LimitExceeded"),
        };
        Self {
            module,
            class,
            text: error.to_string(),
        }
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
