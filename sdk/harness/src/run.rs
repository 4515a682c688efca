//! What a run did.

use crate::report::account;
use crate::submitted::Submitted;
use celeriac_sandbox::{
    Failure, Interruption, Limit, LimitHit, Limits, Line, Outcome, Progress, Rejection, Report,
    Retry, Trap, Usage,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// One finished run of a task.
///
/// The methods that name an ending ([`result`](Self::result),
/// [`failure`](Self::failure), …) panic with an account of the run when it ended
/// otherwise; [`outcome`](Self::outcome) never panics.
#[derive(Debug)]
pub struct Run {
    name: String,
    limits: Limits,
    report: Report,
    submitted: Vec<Submitted>,
    kept: BTreeMap<String, Vec<u8>>,
}

impl Run {
    pub(crate) fn new(
        name: String,
        limits: Limits,
        report: Report,
        (submitted, kept): (Vec<Submitted>, BTreeMap<String, Vec<u8>>),
    ) -> Self {
        Self {
            name,
            limits,
            report,
            submitted,
            kept,
        }
    }

    /// Returns the result.
    ///
    /// # Panics
    /// When the run has none.
    #[track_caller]
    #[must_use]
    pub fn result(&self) -> Value {
        self.json()
    }

    /// Returns the result as a type of the test's own.
    ///
    /// # Panics
    /// When the run has none, or it does not fit the type.
    #[track_caller]
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        let Outcome::Returned(bytes) = &self.report.outcome else {
            self.wrong("a result");
        };
        match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(error) => self.wrong(&format!("a result of another type ({error})")),
        }
    }

    /// Returns the failure the task reported.
    ///
    /// # Panics
    /// When it reported none.
    #[track_caller]
    #[must_use]
    pub fn failure(&self) -> &Failure {
        let Outcome::Failed(failure) = &self.report.outcome else {
            self.wrong("a failure");
        };
        failure
    }

    /// Returns the task's wish for another attempt.
    ///
    /// # Panics
    /// When it did not ask for one.
    #[track_caller]
    #[must_use]
    pub fn retry(&self) -> &Retry {
        let Outcome::Retry(retry) = &self.report.outcome else {
            self.wrong("a retry");
        };
        retry
    }

    /// Returns why the task refused its message.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        let Outcome::Reject(rejection) = &self.report.outcome else {
            self.wrong("a rejection");
        };
        rejection
    }

    /// Returns the interruption that the task noticed and the host had raised.
    ///
    /// # Panics
    /// When it noticed none, or claims one that nobody raised.
    #[track_caller]
    #[must_use]
    pub fn interruption(&self) -> Interruption {
        let Outcome::Interrupted {
            raised: Some(raised),
            ..
        } = &self.report.outcome
        else {
            self.wrong("an interruption");
        };
        *raised
    }

    /// Returns the trap that ended the run.
    ///
    /// # Panics
    /// When none did.
    #[track_caller]
    #[must_use]
    pub fn trap(&self) -> &Trap {
        let Outcome::Trapped(trap) = &self.report.outcome else {
            self.wrong("a trap");
        };
        trap
    }

    /// Returns which limit ended the run.
    ///
    /// # Panics
    /// When none did.
    #[track_caller]
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit_hit().limit
    }

    /// Returns which limit ended the run, its value and what was wanted.
    ///
    /// # Panics
    /// When none did.
    #[track_caller]
    #[must_use]
    pub fn limit_hit(&self) -> &LimitHit {
        let Outcome::LimitHit(hit) = &self.report.outcome else {
            self.wrong("a limit");
        };
        hit
    }

    /// Returns how the run ended, whatever that is.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.report.outcome
    }

    /// Returns the messages of the log, standard output and error included.
    #[must_use]
    pub fn log(&self) -> Vec<&str> {
        self.report
            .log
            .lines
            .iter()
            .map(|line| line.message.as_str())
            .collect()
    }

    /// Returns the log with levels and fields.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.report.log.lines
    }

    /// Returns how many lines of the log found no room.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.report.log.dropped_lines
    }

    /// Returns the progress and the states the task told, at most the first 1,000.
    #[must_use]
    pub fn progress(&self) -> &[Progress] {
        &self.report.progress
    }

    /// Returns what the task sent, or would send on success, in order.
    ///
    /// A worker sends the latter only if the run ended with a result.
    #[must_use]
    pub fn submitted(&self) -> &[Submitted] {
        &self.submitted
    }

    /// Returns the signature of what was to take over the task's own work.
    ///
    /// A worker lets it do so only if the run ended by "ignore".
    #[must_use]
    pub fn replacement(&self) -> Option<Value> {
        let signature = self.report.submitted.replacement.as_ref()?;
        serde_json::from_slice(&signature.json).ok()
    }

    /// Returns what is in the key-value store at the end.
    #[must_use]
    pub fn kept(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.kept
    }

    /// Returns the most memory the run had at once: the sum of all its linear
    /// memories and tables, bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.report.usage.memory_peak_bytes
    }

    /// Returns the CPU time of the run, instantiation included.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.report.usage.cpu
    }

    /// Returns the time from start to end.
    #[must_use]
    pub fn wall(&self) -> Duration {
        self.report.usage.wall
    }

    /// Returns all that the run took: times, memory, bytes in and out, calls of the host,
    /// and what it did with its grants.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.report.usage
    }

    /// Returns the limits the run had.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "a test learns of another ending by a panic at its own line"
    )]
    fn wrong(&self, wanted: &str) -> ! {
        panic!("{}", account(&self.name, wanted, &self.report));
    }
}
