//! Tools for unit tests of tasks, on the author's own machine.
//!
//! ```
//! use celeriac_sdk::prelude::*;
//!
//! fn poll(ctx: &Context) -> Result<(), TaskError> {
//!     loop {
//!         ctx.sleep(Duration::from_secs(5))?;
//!     }
//! }
//!
//! let ctx = Context::test().soft_time_limit(Duration::from_secs(12)).build();
//! assert!(poll(&ctx).is_err());
//! assert_eq!(ctx.recording().sleeps.len(), 3);
//! ```
//!
//! Not part of a component: this module does not exist on `wasm32`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::context::recorder::{Recorder, Script};
use crate::task::{Call, Task};
use crate::{Context, Interruption, Level, TaskError, When};

pub use crate::bindings::exports::celeriac::task::manifest::TaskInfo;

/// The time limit of an attempt where a test sets none: the worker's default.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(300);

/// 2026-01-01 00:00 UTC, the moment at which a test's attempt starts, in milliseconds.
const DEFAULT_START_UNIX_MS: u64 = 1_767_225_600_000;

/// What a task told its stand-in worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// Lines of the log, in order.
    pub log: Vec<LogLine>,
    /// Every progress update; a worker would keep the latest.
    pub progress: Vec<Progress>,
    /// States of the task's own, with their meta.
    pub states: Vec<(String, serde_json::Value)>,
    /// The time slept, sleep by sleep.
    pub sleeps: Vec<Duration>,
    /// What was to be sent, in order, on success or at once.
    pub submitted: Vec<Submitted>,
    /// What was to take over the task's own work, as Celery's signature.
    pub replacement: Option<serde_json::Value>,
    /// What is in the key-value store.
    pub kept: BTreeMap<String, Vec<u8>>,
}

/// Something a task sent, or will send on success.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The id the task was told.
    pub id: String,
    /// Celery's signature document of it: `task`, `args`, `kwargs`, `options` and so on.
    pub signature: serde_json::Value,
    /// When it is sent.
    pub when: When,
}

impl Submitted {
    /// Returns the name of the task: `celery.chain` and the like where it is several.
    pub fn task(&self) -> &str {
        self.signature
            .get("task")
            .and_then(|task| task.as_str())
            .unwrap_or_default()
    }
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its fields, in the order they were added.
    pub fields: Vec<(String, String)>,
}

/// One progress update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub current: u64,
    /// Steps there are, if known.
    pub total: Option<u64>,
    /// A text for people.
    pub message: Option<String>,
}

/// Sets what a task sees of its attempt; made by [`Context::test`].
#[derive(Debug, Clone)]
#[must_use = "`build` makes the context"]
pub struct TestContext {
    script: Script,
}

impl Context {
    /// Starts a context for a unit test: first attempt, 300 s to go, no interruption.
    pub fn test() -> TestContext {
        TestContext {
            script: Script {
                id: "00000000-0000-4000-8000-000000000000".to_owned(),
                root_id: None,
                parent_id: None,
                retries: 0,
                deliveries: 1,
                max_retries: Some(3),
                queue: "celery".to_owned(),
                time_limit: DEFAULT_TIME_LIMIT,
                soft_time_limit: None,
                interruption: None,
                headers: BTreeMap::new(),
                started_unix_ms: DEFAULT_START_UNIX_MS,
                least_level: Level::Trace,
                seed: 0,
                values: BTreeMap::new(),
                secrets: BTreeMap::new(),
                kept: BTreeMap::new(),
            },
        }
    }

    /// Returns what the task has told so far.
    pub fn recording(&self) -> Recording {
        self.backend().recording()
    }
}

impl TestContext {
    /// Makes the context.
    #[must_use]
    pub fn build(self) -> Context {
        Context::new(Recorder::new(self.script))
    }

    /// Sets the task id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.script.id = id.into();
        self
    }

    /// Sets the id of the workflow's first task.
    pub fn root_id(mut self, id: impl Into<String>) -> Self {
        self.script.root_id = Some(id.into());
        self
    }

    /// Sets the id of the task that sent this one.
    pub fn parent_id(mut self, id: impl Into<String>) -> Self {
        self.script.parent_id = Some(id.into());
        self
    }

    /// Sets the number of retries so far.
    pub fn retries(mut self, retries: u32) -> Self {
        self.script.retries = retries;
        self
    }

    /// Sets how often the message was delivered, from 1.
    pub fn deliveries(mut self, deliveries: u32) -> Self {
        self.script.deliveries = deliveries;
        self
    }

    /// Sets the number of retries after which the task fails; `None` is unknown.
    pub fn max_retries(mut self, max: impl Into<Option<u32>>) -> Self {
        self.script.max_retries = max.into();
        self
    }

    /// Sets the name of the queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.script.queue = name.into();
        self
    }

    /// Sets the hard time limit. Only sleeps spend it, and nothing ends the task when it is over.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.script.time_limit = limit;
        self
    }

    /// Sets the soft time limit: once sleeps have spent it, the attempt is asked to stop.
    pub fn soft_time_limit(mut self, limit: Duration) -> Self {
        self.script.soft_time_limit = Some(limit);
        self
    }

    /// Asks the attempt to stop after `polls` polls (`interrupted`, `check`, `sleep`) that find nothing.
    pub fn interrupt_after(mut self, polls: u32, reason: Interruption) -> Self {
        self.script.interruption = Some((polls, reason));
        self
    }

    /// Adds a message header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.script.headers.insert(name.into(), value.into());
        self
    }

    /// Sets the moment the attempt starts, in milliseconds since 1970; sleeps move it on.
    pub fn now_unix_ms(mut self, ms: u64) -> Self {
        self.script.started_unix_ms = ms;
        self
    }

    /// Drops log lines below a level, as a worker may.
    pub fn least_level(mut self, level: Level) -> Self {
        self.script.least_level = level;
        self
    }

    /// Grants a configuration value.
    pub fn value(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.script.values.insert(name.into(), value.into());
        self
    }

    /// Grants a secret.
    pub fn secret(mut self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.script.secrets.insert(name.into(), secret.into());
        self
    }

    /// Puts a value into the key-value store.
    pub fn kept(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.script.kept.insert(key.into(), value.into());
        self
    }

    /// Sets the seed of [`Context::random`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.script.seed = seed;
        self
    }
}

/// Calls a task as a worker does, with a JSON array and a JSON object, and returns its JSON result.
///
/// The type parameter has the function's name: `call::<word_count>(&ctx, r#"["a b"]"#, "{}")`.
///
/// # Errors
/// What the task ended with, or the `TypeError` of arguments that do not fit its signature.
pub fn call<T: Task>(
    ctx: &Context,
    args: &str,
    kwargs: &str,
) -> Result<serde_json::Value, TaskError> {
    let result = T::run(
        ctx,
        Call {
            args: args.into(),
            kwargs: kwargs.into(),
        },
    )?;
    Ok(serde_json::from_slice(&result)?)
}

/// Returns what a component with this task says about it.
pub fn describe<T: Task>() -> TaskInfo {
    T::DEFINITION.describe()
}
