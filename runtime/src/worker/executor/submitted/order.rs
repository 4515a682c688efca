//! One attempt's way of writing messages: whose children they are, under which
//! ids, and where they go.

use super::super::Attempt;
use super::{Planned, SUBMITS_LEFT};
use crate::broker::Outgoing;
use crate::celery::request::{is_reserved, replaced};
use crate::celery::{Message, TaskCall};
use crate::clock::after;
use crate::policy::retry::LONGEST_DELAY;
use crate::policy::route;
use crate::task::{TaskId, TaskName};
use crate::worker::crew::Crew;
use celeriac_sandbox::{Job, Signature, SubmitError};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// What all messages of one attempt have in common.
#[derive(Debug)]
pub(super) struct Order<'a> {
    crew: &'a Crew,
    attempt: &'a Attempt,
    share: u32,
}

/// The options of a signature that are heeded.
const OPTIONS: [&str; 4] = ["queue", "countdown", "expires", "priority"];

/// A signature of one task and nothing around it.
#[derive(Deserialize)]
struct Plain<'a> {
    #[serde(borrow)]
    task: Cow<'a, str>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kwargs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    options: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow, default)]
    subtask_type: Option<Cow<'a, str>>,
}

impl<'a> Order<'a> {
    /// Messages of children that may themselves send `share` tasks each.
    pub(super) fn new(crew: &'a Crew, attempt: &'a Attempt, share: u32) -> Self {
        Self {
            crew,
            attempt,
            share,
        }
    }

    /// Plans one job.
    pub(super) fn job(&self, job: &Job, index: u32) -> Result<Planned, SubmitError> {
        let queue = self.queue(&job.task, job.queue.as_deref())?;
        if let Some(name) = job.headers.keys().find(|name| is_reserved(name)) {
            return Err(SubmitError::Denied(format!(
                "the header {name:?} belongs to the protocol; choose another name"
            )));
        }
        let (args, kwargs) = (text(&job.args)?, text(&job.kwargs)?);
        let mut call = call(&job.task, args, kwargs)?;
        let now = self.crew.clock.now();
        let then = |span: Duration| after(now, span.min(LONGEST_DELAY));
        call.id = self.id(job, index);
        call.eta = job.countdown.filter(|span| !span.is_zero()).map(then);
        call.expires = job.expires.map(then);
        call.priority = job.priority;
        call.headers.clone_from(&job.headers);
        Ok(self.planned(&call, queue))
    }

    /// Plans a signature.
    pub(super) fn signature(
        &self,
        signature: &Signature,
        index: u32,
    ) -> Result<Planned, SubmitError> {
        let plain = plain(signature)?;
        let job = Job {
            task: plain.task.clone().into_owned(),
            args: part(plain.args, "[]"),
            kwargs: part(plain.kwargs, "{}"),
            queue: option(&plain, "queue")?,
            countdown: seconds(&plain, "countdown")?,
            expires: seconds(&plain, "expires")?,
            priority: option(&plain, "priority")?,
            ..Job::default()
        };
        self.job(&job, index)
    }

    /// Plans what takes over this task's work, under its id.
    pub(super) fn replacement(&self, signature: &Signature) -> Result<Planned, SubmitError> {
        let plain = plain(signature)?;
        let queue = self.queue(&plain.task, option::<String>(&plain, "queue")?.as_deref())?;
        let (args, kwargs) = (part(plain.args, "[]"), part(plain.kwargs, "{}"));
        let call = call(&plain.task, text(&args)?, text(&kwargs)?)?;
        let request = &self.attempt.request;
        let mut message = replaced(&self.attempt.delivery.message, request, &call);
        self.budget(&mut message);
        Ok(Planned {
            id: request.id.to_string(),
            messages: vec![Outgoing {
                queue,
                message,
                due: None,
                key: Some(format!("replace:{}:{}", request.id, request.retries)),
            }],
        })
    }

    fn planned(&self, call: &TaskCall, queue: String) -> Planned {
        let request = &self.attempt.request;
        let mut message = call.message(&self.crew.settings.name);
        let id = request.id.as_str();
        let root = request.root_id.as_deref().unwrap_or(id);
        for (name, value) in [("root_id", root), ("parent_id", id)] {
            let value = Value::String(value.to_owned());
            message.headers.insert(name.to_owned(), value);
        }
        self.budget(&mut message);
        Planned {
            id: call.id.to_string(),
            messages: vec![Outgoing {
                queue,
                message,
                due: call.eta,
                key: Some(format!("submit:{}", call.id)),
            }],
        }
    }

    fn budget(&self, message: &mut Message) {
        let share = Value::from(self.share);
        message.headers.insert(SUBMITS_LEFT.to_owned(), share);
    }

    /// The same for the same job of a repeated attempt; with a key, for every
    /// attempt of the task.
    fn id(&self, job: &Job, index: u32) -> TaskId {
        let request = &self.attempt.request;
        let (id, retries) = (request.id.as_str(), request.retries.to_string());
        let index = index.to_string();
        match &job.key {
            Some(key) => TaskId::derived(&[b"key", id.as_bytes(), key.as_bytes()]),
            None => TaskId::derived(&[
                b"index",
                id.as_bytes(),
                retries.as_bytes(),
                index.as_bytes(),
                job.task.as_bytes(),
                &job.args,
                &job.kwargs,
            ]),
        }
    }

    /// Where a task goes. One that we do not know is only sent to a queue that
    /// others take from.
    fn queue(&self, task: &str, named: Option<&str>) -> Result<String, SubmitError> {
        let settings = &self.crew.settings;
        let queue = named.unwrap_or_else(|| route::queue(&settings.routes, task));
        let ours = settings.aliases.get(task).map_or(task, String::as_str);
        let known = ours
            .parse::<TaskName>()
            .is_ok_and(|name| self.crew.resolver.knows(&name));
        let elsewhere = !settings.queues.iter().any(|one| one == queue);
        match known || elsewhere || settings.forward.is_some() {
            true => Ok(queue.to_owned()),
            false => Err(SubmitError::UnknownTask),
        }
    }
}

fn plain(signature: &Signature) -> Result<Plain<'_>, SubmitError> {
    let wrong = |reason: String| SubmitError::Denied(format!("the signature: {reason}"));
    let plain: Plain<'_> =
        serde_json::from_slice(&signature.json).map_err(|error| wrong(error.to_string()))?;
    let set = plain.options.iter().flatten();
    let mut set = set.filter(|(_, value)| !matches!(value.get(), "null" | "[]" | "{}"));
    let unheard = set.find(|(name, _)| !OPTIONS.contains(&name.as_ref()));
    if let Some((name, _)) = unheard {
        let reason = format!("this worker sends no signatures with the option {name:?}");
        return Err(SubmitError::Unavailable(reason));
    }
    if let Some(kind) = &plain.subtask_type {
        let reason = format!("this worker sends signatures of single tasks, no {kind}");
        return Err(SubmitError::Unavailable(reason));
    }
    Ok(plain)
}

fn part(raw: Option<&RawValue>, none: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(raw.map_or(none, RawValue::get).as_bytes())
}

fn option<T: for<'de> Deserialize<'de>>(
    plain: &Plain<'_>,
    name: &str,
) -> Result<Option<T>, SubmitError> {
    let Some(raw) = plain.options.as_ref().and_then(|options| options.get(name)) else {
        return Ok(None);
    };
    serde_json::from_str(raw.get())
        .map_err(|error| SubmitError::Denied(format!("the signature's option {name}: {error}")))
}

fn seconds(plain: &Plain<'_>, name: &str) -> Result<Option<Duration>, SubmitError> {
    let wrong = || SubmitError::Denied(format!("the signature's option {name} is no time"));
    let Some(seconds) = option::<f64>(plain, name)? else {
        return Ok(None);
    };
    let span = Duration::try_from_secs_f64(seconds.max(0.0));
    span.map(Some).map_err(|_| wrong())
}

fn text(bytes: &[u8]) -> Result<&str, SubmitError> {
    std::str::from_utf8(bytes)
        .map_err(|error| SubmitError::Denied(format!("the arguments are not UTF-8: {error}")))
}

fn call(task: &str, args: &str, kwargs: &str) -> Result<TaskCall, SubmitError> {
    TaskCall::new(task, args, kwargs).map_err(|error| SubmitError::Denied(error.to_string()))
}
