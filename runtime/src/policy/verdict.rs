//! What we decide about what the guest did.

use super::exception::{of_failure, of_limit, of_soft_limit, of_trap};
use super::retry::{LONGEST_DELAY, Plan};
use crate::defence::{Defence, stands};
use crate::task::Exception;
use bytes::Bytes;
use celeriac_sandbox::{Failure, Interruption, Outcome, Rejection, Retry};
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
    /// The soft time limit of the attempt.
    pub soft: Option<Duration>,
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
        Outcome::Reject(rejection) => rejected(&rejection, facts),
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
    once_more(again, of_failure(failure), facts)
}

/// What the host noticed is final unless the plan covers its class.
fn repeated(exception: Exception, facts: &Facts<'_>) -> Verdict {
    once_more(facts.plan.covers(&exception.class), exception, facts)
}

/// Repeats what another try may mend while there are retries left, and says so where
/// there are none.
fn once_more(again: bool, exception: Exception, facts: &Facts<'_>) -> Verdict {
    match (again, facts.retries < facts.plan.max_retries) {
        (true, true) => later(None, exception, facts),
        (true, false) => Verdict::Fail(noted(exception, &gave_up(facts.plan.max_retries, facts))),
        (false, _) => Verdict::Fail(exception),
    }
}

/// A dead letter; one that its task would have given back says why it was not.
fn rejected(rejection: &Rejection, facts: &Facts<'_>) -> Verdict {
    let exception = Exception::new("celery.exceptions", "Reject", rejection.reason.clone());
    let reason = format!("rejected: {}", rejection.reason);
    if !rejection.requeue {
        return Verdict::Reject { exception, reason };
    }
    let note = format!(
        "not given back again after {} deliveries: worker.max_deliveries = {}",
        facts.deliveries, facts.max_deliveries
    );
    Verdict::Reject {
        reason: format!("{reason} ({note})"),
        exception: noted(exception, &note),
    }
}

/// Says how often it was tried again, and what raises that.
fn gave_up(most: u32, facts: &Facts<'_>) -> String {
    let times = match most {
        1 => "1 retry".to_owned(),
        most => format!("{most} retries"),
    };
    match most < facts.plan.max_retries {
        true => format!("gave up after {times}, as many as the task asked for"),
        false => format!(
            "gave up after {times}; #[task(max_retries = …)] or worker.max_retries raises it, at most to tenants.default.max_retries"
        ),
    }
}

/// Adds a line to the trace: the class and the text stay what callers know.
fn noted(exception: Exception, note: &str) -> Exception {
    let trace = exception.trace.as_deref().map(|trace| format!("{trace}\n"));
    Exception {
        trace: Some(trace.unwrap_or_default() + note),
        ..exception
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
    let note = gave_up(most, facts);
    if !plain {
        return Verdict::Fail(noted(exception, &note));
    }
    Verdict::Fail(Exception {
        trace: exception.trace,
        ..Exception::new(
            "celery.exceptions",
            "MaxRetriesExceededError",
            format!("{} ({note})", exception.message),
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
        Some(Interruption::SoftLimit) => repeated(of_soft_limit(facts.soft, facts.whose), facts),
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
