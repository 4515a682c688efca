//! How an attempt ends without a result.

mod source;

use std::fmt;
use std::time::Duration;

use crate::{Interruption, duration};

/// The kind of a retry's reason where none is given: a class that a Python caller knows.
const RETRY_KIND: &str = "RuntimeError";

/// The end of an attempt without a result: a failure, a wish for a retry, a refusal of the message.
///
/// `?` turns any standard error into a failure whose kind is the name of the error's type.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskError {
    /// Boxed, so that the `Result` of every function on the way stays small.
    disposition: Box<Disposition>,
}

/// What is to become of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Run it again later.
    Retry(Retry),
    /// Refuse the message.
    Reject(Rejection),
    /// Acknowledge the message and store nothing.
    Ignore,
    /// The attempt failed.
    Failure(Failure),
    /// The task saw that it is asked to stop, and stopped.
    Interrupted(Interruption),
}

/// A wish for another attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Time until then; `None` takes the task's backoff.
    pub after: Option<Duration>,
    /// Retries after which to give up; it may lower what the task's policy allows, never raise it.
    pub max_retries: Option<u32>,
    /// Why, and what the caller sees when no retry is left.
    pub reason: Failure,
}

/// A refusal of the message itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Whether the broker gets it back, a bounded number of times, rather than the dead letters.
    pub requeue: bool,
    /// Why, for people.
    pub reason: String,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A class for programs: `ValueError` and a few more of Python's builtins reach a Python caller
    /// as that class.
    pub kind: String,
    /// One text for people. Kind, message and trace together hold at most 64 KiB.
    pub message: String,
    /// The errors behind it, for people.
    pub trace: Option<String>,
    /// Whether another attempt may help; `None` leaves it to the task's policy.
    pub retryable: Option<bool>,
}

impl TaskError {
    /// Fails the attempt, with a class for programs and a text for people.
    pub fn fail(kind: impl Into<String>, message: impl fmt::Display) -> Self {
        Failure {
            kind: kind.into(),
            message: message.to_string(),
            trace: None,
            retryable: None,
        }
        .into()
    }

    /// Asks for another attempt.
    ///
    /// ```
    /// # use celeriac_sdk::TaskError;
    /// TaskError::retry("storage busy").after("30s").max_retries(5).kind("ConnectionError");
    /// ```
    pub fn retry(reason: impl fmt::Display) -> Self {
        let reason = Failure {
            kind: RETRY_KIND.to_owned(),
            message: reason.to_string(),
            trace: None,
            retryable: None,
        };
        Disposition::Retry(Retry {
            after: None,
            max_retries: None,
            reason,
        })
        .into()
    }

    /// Refuses the message for ever: it moves to the dead letters.
    pub fn reject(reason: impl fmt::Display) -> Self {
        Disposition::Reject(Rejection {
            requeue: false,
            reason: reason.to_string(),
        })
        .into()
    }

    /// Ends the attempt without storing anything; the message is acknowledged.
    pub fn ignore() -> Self {
        Disposition::Ignore.into()
    }

    /// Ends the attempt because it is asked to stop. [`Context::check`](crate::Context::check) makes
    /// it by itself; without an interruption raised by the worker it counts as a failure.
    pub fn interrupted(reason: Interruption) -> Self {
        Disposition::Interrupted(reason).into()
    }

    /// Sets the time until the retry; nothing but a retry has one.
    ///
    /// A text that is no duration turns the retry into a failure that says so.
    #[must_use]
    pub fn after(mut self, delay: impl Into<Delay>) -> Self {
        if let Disposition::Retry(retry) = &mut *self.disposition {
            match delay.into() {
                Delay(Ok(delay)) => retry.after = Some(delay),
                Delay(Err(text)) => return Self::bad_delay(&text, &retry.reason),
            }
        }
        self
    }

    /// Lowers the number of retries after which to give up; nothing but a retry has one.
    #[must_use]
    pub fn max_retries(mut self, max: u32) -> Self {
        if let Disposition::Retry(retry) = &mut *self.disposition {
            retry.max_retries = Some(max);
        }
        self
    }

    /// Sets the class of a failure, or of a retry's reason.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        match &mut *self.disposition {
            Disposition::Retry(retry) => retry.reason.kind = kind.into(),
            Disposition::Failure(failure) => failure.kind = kind.into(),
            Disposition::Reject(_) | Disposition::Ignore | Disposition::Interrupted(_) => {}
        }
        self
    }

    /// Says whether another attempt may help, over the task's policy; only a failure can.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        if let Disposition::Failure(failure) = &mut *self.disposition {
            failure.retryable = Some(retryable);
        }
        self
    }

    /// Gives a rejected message back to the broker, a bounded number of times.
    #[must_use]
    pub fn requeue(mut self) -> Self {
        if let Disposition::Reject(rejection) = &mut *self.disposition {
            rejection.requeue = true;
        }
        self
    }

    /// Returns what is to become of the attempt, for tests and for wrappers.
    pub fn disposition(&self) -> &Disposition {
        &self.disposition
    }

    /// Gives up the error for what is to become of the attempt.
    pub fn into_disposition(self) -> Disposition {
        *self.disposition
    }

    fn bad_delay(text: &str, reason: &Failure) -> Self {
        let Failure { kind, message, .. } = reason;
        Self::fail(
            "ValueError",
            format_args!(
                "{text:?} is not a delay: write {}, or give a Duration (the task asked for a retry: {kind}: {message})",
                duration::FORMS
            ),
        )
    }
}

/// A delay as [`TaskError::after`] and [`Job::countdown`](crate::Job::countdown) take it: a [`Duration`] or a text such as `"30s"`.
#[derive(Debug, Clone)]
pub struct Delay(Result<Duration, String>);

impl Delay {
    /// The time, or what is wrong with the text.
    pub(crate) fn into_result(self) -> Result<Duration, String> {
        self.0.map_err(|text| {
            format!(
                "{text:?} is not a delay: write {}, or give a Duration",
                duration::FORMS
            )
        })
    }
}

impl From<Duration> for Delay {
    fn from(delay: Duration) -> Self {
        Self(Ok(delay))
    }
}

impl From<&str> for Delay {
    fn from(text: &str) -> Self {
        Self(duration::parse(text).ok_or_else(|| text.to_owned()))
    }
}

impl From<Disposition> for TaskError {
    fn from(disposition: Disposition) -> Self {
        Self {
            disposition: Box::new(disposition),
        }
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        Disposition::Failure(failure).into()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.disposition {
            Disposition::Retry(Retry { after, reason, .. }) => {
                f.write_str("retry")?;
                if let Some(after) = after {
                    write!(f, " in {after:?}")?;
                }
                write!(f, " after {reason}")
            }
            Disposition::Reject(Rejection {
                requeue: true,
                reason,
            }) => write!(f, "requeue: {reason}"),
            Disposition::Reject(Rejection {
                requeue: false,
                reason,
            }) => write!(f, "reject: {reason}"),
            Disposition::Ignore => f.write_str("ignore"),
            Disposition::Failure(failure) => failure.fmt(f),
            Disposition::Interrupted(reason) => write!(f, "interrupted: {reason}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disposition.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(error: TaskError) -> Retry {
        let disposition = error.into_disposition();
        let Disposition::Retry(retry) = disposition else {
            panic!("not a retry: {disposition:?}");
        };
        retry
    }

    #[test]
    fn a_retry_carries_delay_maximum_and_kind() {
        let retry = retry(
            TaskError::retry("storage busy")
                .after("30s")
                .max_retries(5)
                .kind("ConnectionError"),
        );
        assert_eq!(retry.after, Some(Duration::from_secs(30)));
        assert_eq!(retry.max_retries, Some(5));
        assert_eq!(retry.reason.to_string(), "ConnectionError: storage busy");
    }

    #[test]
    fn a_retry_without_settings_leaves_them_to_the_policy() {
        let retry = retry(TaskError::retry("busy"));
        assert_eq!(
            (retry.after, retry.max_retries, retry.reason.kind.as_str()),
            (None, None, "RuntimeError")
        );
        let error = TaskError::retry("busy").after(Duration::from_millis(1500));
        assert_eq!(error.to_string(), "retry in 1.5s after RuntimeError: busy");
    }

    #[test]
    fn a_delay_that_is_none_becomes_a_failure_that_lists_the_forms() {
        let error = TaskError::retry("busy").after("soon").max_retries(2);
        assert_eq!(
            error.to_string(),
            r#"ValueError: "soon" is not a delay: write "500ms", "30s", "10m", "2h" or "1d", or give a Duration (the task asked for a retry: RuntimeError: busy)"#
        );
    }

    #[test]
    fn settings_of_another_ending_change_nothing() {
        assert_eq!(
            TaskError::ignore()
                .after("30s")
                .max_retries(1)
                .kind("X")
                .requeue()
                .retryable(true),
            TaskError::ignore()
        );
        assert_eq!(
            TaskError::reject("obsolete").requeue().to_string(),
            "requeue: obsolete"
        );
        assert_eq!(
            TaskError::reject("obsolete").after("bad").to_string(),
            "reject: obsolete"
        );
    }
}
