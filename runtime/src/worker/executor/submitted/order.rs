//! One attempt's way of writing messages: whose children they are, under which
//! ids, and where they go.

use super::super::Attempt;
use super::super::follow::{self, FollowUp};
use super::super::record;
use super::super::size;
use super::super::unlock;
use super::{Planned, SUBMITS_LEFT};
use crate::broker::Outgoing;
use crate::celery::request::is_reserved;
use crate::celery::{Message, TaskCall};
use crate::clock::after;
use crate::policy::canvas::{self, CanvasError, Plan, Sender};
use crate::policy::retry::LONGEST_DELAY;
use crate::policy::route;
use crate::task::{self, Json, TaskId, TaskName, is_reserved_queue};
use crate::worker::crew::Crew;
use celeriac_sandbox::{Job, Signature, SubmitError};
use serde_json::Value;
use std::time::Duration;

/// What all messages of one attempt have in common.
#[derive(Debug)]
pub(super) struct Order<'a> {
    crew: &'a Crew,
    attempt: &'a Attempt,
    share: u32,
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
            return Err(reserved(name));
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
        let mut planned = self.planned(&call, queue);
        // With a key it is the same job in every retry.
        if self.attempt.is_again() || job.key.is_some() && self.attempt.fence.retries > 0 {
            let sent = planned.messages.iter_mut();
            sent.for_each(|sent| record::mark(&mut sent.message));
        }
        Ok(planned)
    }

    /// Plans a signature.
    pub(super) fn signature(
        &self,
        signature: &Signature,
        index: u32,
    ) -> Result<Planned, SubmitError> {
        let request = &self.attempt.request;
        let ended = follow::ended(request);
        let sender = Sender {
            seed: format!("{}:{}:submit:{index}", request.id, request.retries),
            ..ended.sender
        };
        let (id, plan) = canvas::submitted(&sender, &read(signature)?).map_err(denied)?;
        self.composed(id, plan)
    }

    /// Plans what takes over this task's work, under its id.
    pub(super) fn replacement(&self, signature: &Signature) -> Result<Planned, SubmitError> {
        let request = &self.attempt.request;
        let ended = follow::ended(request);
        // One higher, so that no redelivered predecessor outranks it.
        let retries = request.retries.saturating_add(1);
        let nesting = request.replaced_task_nesting.saturating_add(1);
        let plan = canvas::replacing(&ended, &read(signature)?, nesting, retries);
        self.composed(request.id.to_string(), plan.map_err(denied)?)
    }

    fn composed(&self, id: String, plan: Plan) -> Result<Planned, SubmitError> {
        unlock::check(self.crew, &plan).map_err(denied)?;
        size::check(&plan).map_err(|error| SubmitError::TooLarge(error.to_string()))?;
        let children = plan.children.clone();
        let rest = FollowUp::submitted(self.attempt, plan, self.share);
        for send in rest.sends() {
            self.queue(&send.task, send.options.queue.as_deref())?;
            if let Some(name) = send.options.headers.keys().find(|name| is_reserved(name)) {
                return Err(reserved(name));
            }
        }
        Ok(Planned {
            id,
            messages: Vec::new(),
            rest: Some(rest),
            children,
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
                due: call.eta.filter(|_| !self.crew.broker.profile().parks_apart),
                key: Some(format!("submit:{}", call.id)),
            }],
            rest: None,
            children: vec![canvas::leaf(call.id.as_str())],
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
        if is_reserved_queue(queue) {
            return Err(SubmitError::Denied(format!(
                "no queue can be called {queue:?}: a table of the broker's is; choose another name"
            )));
        }
        let ours = settings.aliases.get(task).map_or(task, String::as_str);
        let known = ours
            .parse::<TaskName>()
            .is_ok_and(|name| self.crew.resolver.knows(&settings.tenant, &name));
        let elsewhere = !settings.queues.iter().any(|one| one == queue);
        match known || elsewhere || settings.forward.is_some() {
            true => Ok(queue.to_owned()),
            false => Err(SubmitError::UnknownTask),
        }
    }
}

fn read(signature: &Signature) -> Result<task::Signature, SubmitError> {
    let json = Json::read(text(&signature.json)?);
    let json = json.ok_or_else(|| SubmitError::Denied("the signature is no JSON".to_owned()))?;
    task::Signature::read(&json).map_err(|error| denied(error.into()))
}

fn denied(error: CanvasError) -> SubmitError {
    SubmitError::Denied(format!("the signature: {error}"))
}

fn reserved(name: &str) -> SubmitError {
    SubmitError::Denied(format!(
        "the header {name:?} belongs to the protocol; choose another name"
    ))
}

fn text(bytes: &[u8]) -> Result<&str, SubmitError> {
    std::str::from_utf8(bytes)
        .map_err(|error| SubmitError::Denied(format!("the arguments are not UTF-8: {error}")))
}

fn call(task: &str, args: &str, kwargs: &str) -> Result<TaskCall, SubmitError> {
    TaskCall::new(task, args, kwargs).map_err(|error| SubmitError::Denied(error.to_string()))
}
