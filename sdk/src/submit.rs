//! Sending other tasks from a task.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::canvas::Signature;
use crate::error::Delay;
use crate::{Context, TaskError};

/// When something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// With the result, and only if the attempt succeeds.
    OnSuccess,
}

/// Why something is not sent.
///
/// As a [`TaskError`], by `?`, it is a failure of the kind `SubmitError`; one that another attempt
/// may mend says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// The operator has not granted it; the text names the line that would.
    Denied(String),
    /// There is no such task.
    UnknownTask,
    /// This attempt, or the workflow it belongs to, has sent enough.
    QuotaExceeded,
    /// The arguments or something else are over the worker's limit of size.
    TooLarge,
    /// The broker cannot be reached; the text says why.
    Unavailable(String),
    /// It cannot be written as JSON, or a time is none; the text says what.
    Invalid(String),
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "not sent: {reason}"),
            Self::UnknownTask => f.write_str("not sent: the worker knows no such task"),
            Self::QuotaExceeded => f.write_str(
                "not sent: one attempt sends at most 100 tasks, and a task and all that follow from it 10000 (fixed; \
                 the log of the attempt says which)",
            ),
            Self::TooLarge => f.write_str(
                "not sent: it is too large (the log of the attempt names the limit, its value and what raises it)",
            ),
            Self::Unavailable(reason) => write!(f, "not sent: {reason}"),
            Self::Invalid(reason) => write!(f, "not sent: {reason}"),
        }
    }
}

impl std::error::Error for SubmitError {}

/// A call of another task, in the making.
///
/// ```
/// use celeriac_sdk::prelude::*;
///
/// #[task]
/// fn order(ctx: &Context, number: u64) -> Result<(), TaskError> {
///     // At once: it is on its way even if this attempt fails later.
///     Job::new("stock.reserve").arg(number).key("reserve").submit(ctx)?;
///     // With the result: only if this attempt succeeds.
///     Job::new("mail.send")
///         .arg("orders@example.com")
///         .kwarg("subject", format!("order {number}"))
///         .countdown("30s")
///         .on_success(ctx)?;
///     Ok(())
/// }
///
/// let ctx = Context::test().build();
/// order(&ctx, 17)?;
/// let sent = ctx.recording().submitted;
/// assert_eq!(sent[0].task(), "stock.reserve");
/// assert_eq!(sent[1].signature["kwargs"]["subject"], "order 17");
/// # Ok::<(), TaskError>(())
/// ```
///
/// The worker's operator grants which tasks a module may send; see [`SubmitError::Denied`].
#[derive(Debug, Clone)]
#[must_use = "a job is sent by `submit` or `on_success`"]
pub struct Job {
    pub(crate) task: String,
    pub(crate) args: Vec<String>,
    pub(crate) kwargs: Vec<(String, String)>,
    pub(crate) queue: Option<String>,
    pub(crate) countdown_ms: Option<u64>,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) priority: Option<u8>,
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) wrong: Option<String>,
}

impl Job {
    /// Starts a call of a task by its full name, `MODULE.TASK` or a name of a Python task.
    pub fn new(task: impl Into<String>) -> Self {
        Self {
            task: task.into(),
            args: Vec::new(),
            kwargs: Vec::new(),
            queue: None,
            countdown_ms: None,
            expires_ms: None,
            priority: None,
            key: None,
            headers: Vec::new(),
            wrong: None,
        }
    }

    /// Adds a positional argument.
    pub fn arg(mut self, value: impl Serialize) -> Self {
        if let Some(json) = self.json(&value) {
            self.args.push(json);
        }
        self
    }

    /// Adds a keyword argument; a later one of the same name takes its place.
    pub fn kwarg(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Some(json) = self.json(&value) {
            let name = name.into();
            self.kwargs.retain(|(known, _)| *known != name);
            self.kwargs.push((name, json));
        }
        self
    }

    /// Sends it to a queue; without, the worker's routes choose one.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Lets it run not before a time has passed: `"30s"` or a [`Duration`].
    pub fn countdown(mut self, time: impl Into<Delay>) -> Self {
        self.countdown_ms = self.ms(time.into());
        self
    }

    /// Lets it run not after a time has passed: `"1h"` or a [`Duration`].
    pub fn expires(mut self, time: impl Into<Delay>) -> Self {
        self.expires_ms = self.ms(time.into());
        self
    }

    /// Sets its priority, 0 to 9; 9 is first.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets a header that the task can read with [`Context::header`].
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Names it, so that it is sent once: by all attempts of this task together.
    ///
    /// Without a key, a retry that sends it again sends another task; an attempt that is repeated
    /// because its worker was lost does not.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends it at once, and returns its task id.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(self, ctx: &Context) -> Result<String, SubmitError> {
        ctx.hand_in(self, When::Now)
    }

    /// Sends it with the result, only if this attempt succeeds, and returns its task id.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn on_success(self, ctx: &Context) -> Result<String, SubmitError> {
        ctx.hand_in(self, When::OnSuccess)
    }

    /// Adds a task to be sent, with the result before its own arguments, when this one succeeds.
    pub fn link(self, callback: impl Into<Signature>) -> Signature {
        Signature::from(self).link(callback)
    }

    /// Adds a task to be sent, with the id of the failed one, when this one fails.
    pub fn link_error(self, errback: impl Into<Signature>) -> Signature {
        Signature::from(self).link_error(errback)
    }

    /// Keeps the result of the task before it in a chain or a link out of its arguments.
    pub fn immutable(self) -> Signature {
        Signature::from(self).immutable()
    }

    /// Hands this task's work over to it; see [`Signature::replace`].
    pub fn replace(self, ctx: &Context) -> TaskError {
        Signature::from(self).replace(ctx)
    }

    /// Its positional arguments as a JSON array.
    pub(crate) fn args_json(&self) -> String {
        format!("[{}]", self.args.join(","))
    }

    /// Its keyword arguments as a JSON object.
    pub(crate) fn kwargs_json(&self) -> String {
        let pair = |(name, value): &(String, String)| {
            format!("{}:{value}", serde_json::Value::from(name.as_str()))
        };
        let pairs: Vec<String> = self.kwargs.iter().map(pair).collect();
        format!("{{{}}}", pairs.join(","))
    }

    fn json(&mut self, value: &impl Serialize) -> Option<String> {
        serde_json::to_string(value)
            .map_err(|error| self.refuse(format!("an argument of {}: {error}", self.task)))
            .ok()
    }

    fn ms(&mut self, time: Delay) -> Option<u64> {
        let time: Result<Duration, String> = time.into_result();
        match time {
            Ok(time) => {
                Some(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
            }
            Err(reason) => {
                self.refuse(reason);
                None
            }
        }
    }

    fn refuse(&mut self, reason: String) {
        self.wrong.get_or_insert(reason);
    }
}

impl Context {
    /// Sends a call of a task at once, and returns its id: `ctx.submit("images.resize", ("a.png", 64))`.
    ///
    /// `args` is a tuple, an array or a list: the positional arguments. [`Job`] has more to say.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&self, task: &str, args: impl Serialize) -> Result<String, SubmitError> {
        let invalid =
            |reason: String| SubmitError::Invalid(format!("the arguments of {task}: {reason}"));
        let args = serde_json::to_string(&args).map_err(|error| invalid(error.to_string()))?;
        let inner = match args.as_str() {
            "null" => "",
            text => text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'))
                .ok_or_else(|| invalid("a tuple or a list is wanted".to_owned()))?,
        };
        let mut job = Job::new(task);
        if !inner.is_empty() {
            job.args.push(inner.to_owned());
        }
        job.submit(self)
    }

    fn hand_in(&self, job: Job, when: When) -> Result<String, SubmitError> {
        match job.wrong {
            Some(reason) => Err(SubmitError::Invalid(reason)),
            None => self.backend.submit(&job, when),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_a_job_was_told_is_in_its_message() {
        let ctx = Context::test().build();
        let id = Job::new("images.resize")
            .arg("a.png")
            .arg(64)
            .kwarg("fit", "old")
            .kwarg("fit", ["crop", "ä\""])
            .queue("images")
            .countdown("30s")
            .expires(Duration::from_micros(1_500))
            .priority(9)
            .header("x-shop", "7")
            .on_success(&ctx)
            .unwrap();
        let sent = ctx.recording().submitted.remove(0);
        assert_eq!((sent.id, sent.when), (id, When::OnSuccess));
        assert_eq!(
            sent.signature,
            json!({
                "task": "images.resize", "args": ["a.png", 64], "kwargs": {"fit": ["crop", "ä\""]},
                "options": {
                    "queue": "images", "countdown": 30.0, "expires": 0.002, "priority": 9,
                    "headers": {"x-shop": "7"},
                },
                "subtask_type": null, "immutable": false,
            })
        );
    }

    #[test]
    fn the_short_form_takes_a_tuple_a_list_or_nothing() {
        let ctx = Context::test().build();
        ctx.submit("a.b", ("x", 1)).unwrap();
        ctx.submit("a.b", [1, 2]).unwrap();
        ctx.submit("a.b", ()).unwrap();
        let sent = ctx.recording().submitted;
        let args: Vec<_> = sent
            .iter()
            .map(|one| one.signature["args"].clone())
            .collect();
        assert_eq!(args, [json!(["x", 1]), json!([1, 2]), json!([])]);
        assert!(matches!(ctx.submit("a.b", 1), Err(SubmitError::Invalid(_))));
    }

    #[test]
    fn what_cannot_be_written_is_told_when_it_is_sent() {
        let ctx = Context::test().build();
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        for job in [
            Job::new("a.b").arg(&map),
            Job::new("a.b").kwarg("k", &map),
            Job::new("a.b").countdown("soon"),
            Job::new("a.b").expires("30"),
        ] {
            assert!(matches!(job.submit(&ctx), Err(SubmitError::Invalid(_))));
        }
        assert!(ctx.recording().submitted.is_empty());
    }

    #[test]
    fn a_broker_that_is_away_is_a_reason_to_try_again() {
        let error = TaskError::from(SubmitError::Unavailable("away".to_owned()));
        let crate::Disposition::Failure(failure) = error.into_disposition() else {
            panic!("not a failure");
        };
        assert_eq!(
            (failure.kind.as_str(), failure.retryable),
            ("SubmitError", Some(true))
        );
        let error = TaskError::from(SubmitError::UnknownTask);
        let crate::Disposition::Failure(failure) = error.into_disposition() else {
            panic!("not a failure");
        };
        assert_eq!(failure.retryable, None);
    }
}
