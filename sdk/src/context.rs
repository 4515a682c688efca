//! What a task can ask and tell while it runs.
//!
//! One API over two backends: the worker (in a component) and a recording one (in unit tests).

#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod recorder;

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

#[cfg(target_arch = "wasm32")]
pub(crate) use host::Host;
#[cfg(target_arch = "wasm32")]
use host::Host as Backend;
#[cfg(not(target_arch = "wasm32"))]
use recorder::Recorder as Backend;

use crate::{Interrupted, Interruption, Level, Line};

/// This attempt: its facts, its clock, its log and its progress.
///
/// A task takes it as its first parameter, `ctx: &Context`, when it needs it.
#[derive(Debug)]
pub struct Context {
    pub(crate) backend: Backend,
}

impl Context {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Returns the task id; every retry of a task keeps it.
    pub fn id(&self) -> String {
        self.backend.id()
    }

    /// Returns the id of the first task of the workflow that led here.
    pub fn root_id(&self) -> Option<String> {
        self.backend.root_id()
    }

    /// Returns the id of the task that sent this one.
    pub fn parent_id(&self) -> Option<String> {
        self.backend.parent_id()
    }

    /// Returns the number of retries so far: 0 in the first attempt.
    pub fn retries(&self) -> u32 {
        self.backend.retries()
    }

    /// Returns how often the broker has delivered this attempt's message, from 1.
    ///
    /// More than 1 means that an earlier delivery was lost with its worker, perhaps half done.
    pub fn deliveries(&self) -> u32 {
        self.backend.deliveries()
    }

    /// Returns the number of retries after which the task fails, where it is known.
    pub fn max_retries(&self) -> Option<u32> {
        self.backend.max_retries()
    }

    /// Returns the name of the queue the message came from.
    pub fn queue(&self) -> String {
        self.backend.queue()
    }

    /// Returns the time left until the hard time limit ends the attempt.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.backend.remaining_ms())
    }

    /// Returns the time left until the soft time limit: zero once it has passed, `None` where
    /// there is none.
    pub fn soft_remaining(&self) -> Option<Duration> {
        self.backend.soft_remaining_ms().map(Duration::from_millis)
    }

    /// Tells whether and why the attempt is asked to stop. A cheap poll: call it in loops.
    pub fn interrupted(&self) -> Option<Interruption> {
        self.backend.interrupted()
    }

    /// Returns early, by `ctx.check()?`, when the attempt is asked to stop.
    ///
    /// # Errors
    /// [`Interrupted`] with the reason.
    pub fn check(&self) -> Result<(), Interrupted> {
        stop_if(self.interrupted())
    }

    /// Sleeps without occupying a thread of the worker; parts of a millisecond count as one.
    ///
    /// In a unit test it returns at once: the test's clock jumps forward and the sleep is recorded.
    ///
    /// # Errors
    /// [`Interrupted`], before the time is over, when the attempt is asked to stop.
    pub fn sleep(&self, time: Duration) -> Result<(), Interrupted> {
        let ms = time.as_nanos().div_ceil(1_000_000);
        stop_if(self.backend.wait(u64::try_from(ms).unwrap_or(u64::MAX)))
    }

    /// Tells that `current` of `total` steps are done.
    ///
    /// The worker keeps the latest value and stores at most two a second, so call it freely.
    pub fn progress(&self, current: u64, total: u64) {
        self.backend.progress(current, Some(total), None);
    }

    /// Tells how far the attempt is, with a text for people; a `total` of `None` is unknown.
    pub fn progress_message(&self, current: u64, total: Option<u64>, message: impl Display) {
        self.backend
            .progress(current, total, Some(&message.to_string()));
    }

    /// Stores a state of the task's own, as Celery's `update_state` does.
    ///
    /// The worker ignores the names of Celery's own states, except `PROGRESS`, and drops a `meta`
    /// over 16 KiB.
    ///
    /// # Errors
    /// The serializer's, when `meta` has no JSON form: a map whose keys are not text, say.
    pub fn set_state(&self, name: &str, meta: &impl Serialize) -> Result<(), serde_json::Error> {
        self.backend.set_state(name, serde_json::to_string(meta)?);
        Ok(())
    }

    /// Appends a line with fields to the log of the attempt.
    ///
    /// The log holds at most 256 KiB and 2,000 lines; what is over is counted and dropped.
    pub fn log(&self, level: Level, message: impl Display, fields: &[(&str, &dyn Display)]) {
        if self.backend.log_enabled(level) {
            let fields = fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                .collect();
            self.backend.log(level, message.to_string(), fields);
        }
    }

    /// Starts a log line with a field; see [`Line`].
    pub fn with<'a>(&'a self, name: &'a str, value: &'a dyn Display) -> Line<'a> {
        Line::new(self).with(name, value)
    }

    /// Logs at level trace.
    pub fn trace(&self, message: impl Display) {
        self.log(Level::Trace, message, &[]);
    }

    /// Logs at level debug.
    pub fn debug(&self, message: impl Display) {
        self.log(Level::Debug, message, &[]);
    }

    /// Logs at level info.
    pub fn info(&self, message: impl Display) {
        self.log(Level::Info, message, &[]);
    }

    /// Logs at level warn.
    pub fn warn(&self, message: impl Display) {
        self.log(Level::Warn, message, &[]);
    }

    /// Logs at level error.
    pub fn error(&self, message: impl Display) {
        self.log(Level::Error, message, &[]);
    }

    /// Returns a message header that the worker chose to show: a string as it is, anything else as
    /// JSON text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.backend.header(name)
    }

    /// Returns the milliseconds since 1970-01-01 00:00 UTC.
    pub fn now_unix_ms(&self) -> u64 {
        self.backend.now_unix_ms()
    }

    /// Fills a buffer with random bytes fit for cryptography.
    ///
    /// In a unit test they come from a fixed seed, so that a test repeats itself.
    pub fn random(&self, buffer: &mut [u8]) {
        self.backend.random(buffer);
    }
}

fn stop_if(interruption: Option<Interruption>) -> Result<(), Interrupted> {
    interruption.map_or(Ok(()), |reason| Err(Interrupted(reason)))
}
