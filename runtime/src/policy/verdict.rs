//! What we decide about what the guest did.

use super::exception::{of_failure, of_limit, of_trap};
use super::retry::{LONGEST_DELAY, Plan};
use crate::defence::{Defence, stands};
use crate::task::Exception;
use bytes::Bytes;
use celeriac_sandbox::{Failure, Interruption, Outcome, Retry};
use std::time::Duration;

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Store the result.
    Succeed(Bytes),
    /// Store the failure.
    Fail(Exception),
    /// Publish another attempt.
    RetryAt {
        /// Time until then.
        delay: Duration,
        /// Why, for whoever looks meanwhile.
        exception: Exception,
    },
    /// Store that it was revoked.
    Revoke(Exception),
    /// Store the failure and keep the message among the dead letters.
    Reject {
        /// What the caller sees.
        exception: Exception,
        /// Why, for the dead letter.
        reason: String,
    },
    /// Give the message back, counted as a delivery.
    Return,
    /// Acknowledge and store nothing.
    Ignore,
    /// Give the message back as if nothing had been tried.
    Defer,
}

impl Verdict {
    /// Returns the word for logs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeed(_) => "succeed",
            Self::Fail(_) => "fail",
            Self::RetryAt { .. } => "retry",
            Self::Revoke(_) => "revoke",
            Self::Reject { .. } => "reject",
            Self::Return => "return",
            Self::Ignore => "ignore",
            Self::Defer => "defer",
        }
    }
}

/// The facts about an attempt that a verdict hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The task's retry plan.
    pub plan: &'a Plan,
    /// Retries so far.
    pub retries: u32,
    /// Deliveries of this message so far, this one included.
    pub deliveries: u32,
    /// Deliveries after which a message is not given back.
    pub max_deliveries: u32,
    /// Which task of which module it was, for people.
    pub whose: &'a str,
    /// A random number for the jitter of a delay.
    pub dice: u64,
}

/// Decides.
#[must_use]
pub fn judge(outcome: Outcome, facts: &Facts<'_>) -> Verdict {
    match outcome {
        Outcome::Returned(result) => Verdict::Succeed(result),
        Outcome::BadResult { reason } => Verdict::Fail(Exception::new(
            "kombu.exceptions",
            "EncodeError",
            format!(
                "the result is not one JSON value: {reason} ({})",
                facts.whose
            ),
        )),
        Outcome::Failed(failure) => failed(&failure, facts),
        Outcome::Retry(retry) => asked(&retry, facts),
        Outcome::Reject(rejection)
            if rejection.requeue
                && (facts.deliveries < facts.max_deliveries || !stands(Defence::Returns)) =>
        {
            Verdict::Return
        }
        Outcome::Reject(rejection) => Verdict::Reject {
            exception: Exception::new("celery.exceptions", "Reject", rejection.reason.clone()),
            reason: format!("rejected: {}", rejection.reason),
        },
        Outcome::Ignore => Verdict::Ignore,
        Outcome::Interrupted { claimed, raised } => interrupted(claimed, raised, facts),
        Outcome::LimitHit(hit) => repeated(of_limit(&hit, facts.whose), facts),
        Outcome::Trapped(trap) => repeated(of_trap(&trap), facts),
        Outcome::Exited { code } => Verdict::Fail(Exception::new(
            "celeriac",
            "Exited",
            format!(
                "the task called exit({code}) instead of returning a result ({})",
                facts.whose
            ),
        )),
    }
}

/// A failure is final unless the guest or the plan says that another try may help.
fn failed(failure: &Failure, facts: &Facts<'_>) -> Verdict {
    let again = failure
        .retryable
        .unwrap_or_else(|| facts.plan.covers(&failure.kind));
    let exception = of_failure(failure);
    if again && facts.retries < facts.plan.max_retries {
        later(None, exception, facts)
    } else {
        Verdict::Fail(exception)
    }
}

/// What the host noticed is final unless the plan covers its class.
fn repeated(exception: Exception, facts: &Facts<'_>) -> Verdict {
    let again = facts.plan.covers(&exception.class) && facts.retries < facts.plan.max_retries;
    if again {
        later(None, exception, facts)
    } else {
        Verdict::Fail(exception)
    }
}

fn asked(retry: &Retry, facts: &Facts<'_>) -> Verdict {
    let most = retry.max_retries.map_or(facts.plan.max_retries, |most| {
        most.min(facts.plan.max_retries)
    });
    let exception = of_failure(&retry.reason);
    if facts.retries < most {
        return later(retry.countdown, exception, facts);
    }
    let plain = retry.reason.kind == "Retry" || retry.reason.kind.is_empty();
    if !plain {
        return Verdict::Fail(exception);
    }
    let times = if most == 1 {
        "1 retry".to_owned()
    } else {
        format!("{most} retries")
    };
    Verdict::Fail(Exception {
        trace: exception.trace,
        ..Exception::new(
            "celery.exceptions",
            "MaxRetriesExceededError",
            format!("{} (gave up after {times})", exception.message),
        )
    })
}

fn later(countdown: Option<Duration>, exception: Exception, facts: &Facts<'_>) -> Verdict {
    let delay = countdown.unwrap_or_else(|| facts.plan.delay(facts.retries, facts.dice));
    Verdict::RetryAt {
        delay: delay.min(LONGEST_DELAY),
        exception,
    }
}

/// Only an interruption the host raised is believed: a guest that invents one
/// must not be run again and again.
fn interrupted(claimed: Interruption, raised: Option<Interruption>, facts: &Facts<'_>) -> Verdict {
    match raised {
        Some(Interruption::Shutdown) => Verdict::Defer,
        Some(Interruption::Cancelled) => Verdict::Revoke(Exception::new(
            "celery.exceptions",
            "TaskRevokedError",
            "terminated",
        )),
        Some(Interruption::SoftLimit) => repeated(
            Exception::new(
                "billiard.exceptions",
                "SoftTimeLimitExceeded",
                format!("soft time limit reached ({})", facts.whose),
            ),
            facts,
        ),
        None => Verdict::Fail(Exception::new(
            "builtins",
            "RuntimeError",
            format!(
                "the task says it was interrupted ({claimed}), but nothing interrupted it ({})",
                facts.whose
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
