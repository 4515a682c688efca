//! The end of an attempt in the contract's terms.

use std::time::Duration;

use crate::bindings::celeriac::task::types as wire;
use crate::{Disposition, Failure, TaskError};

impl From<TaskError> for wire::OutcomeError {
    fn from(error: TaskError) -> Self {
        match error.into_disposition() {
            Disposition::Retry(retry) => Self::Retry(wire::Retry {
                countdown_ms: retry.after.map(whole_ms),
                max_retries: retry.max_retries,
                reason: retry.reason.into(),
            }),
            Disposition::Reject(rejection) => Self::Reject(wire::Rejection {
                requeue: rejection.requeue,
                reason: rejection.reason,
            }),
            Disposition::Ignore => Self::Ignore,
            Disposition::Failure(failure) => Self::Failure(failure.into()),
            Disposition::Interrupted(reason) => Self::Interrupted(reason.into()),
        }
    }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        let Failure {
            kind,
            message,
            trace,
            retryable,
        } = failure;
        Self {
            kind,
            message,
            trace,
            retryable,
        }
    }
}

/// Rounds up: a retry must not come before its time.
fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interruption;

    #[test]
    fn every_ending_has_its_case_in_the_contract() {
        let wire = wire::OutcomeError::from(
            TaskError::retry("busy")
                .after(Duration::from_micros(1500))
                .max_retries(2),
        );
        let wire::OutcomeError::Retry(retry) = wire else {
            panic!("not a retry: {wire:?}")
        };
        assert_eq!(
            (
                retry.countdown_ms,
                retry.max_retries,
                retry.reason.message.as_str()
            ),
            (Some(2), Some(2), "busy")
        );

        let wire = wire::OutcomeError::from(TaskError::reject("poison").requeue());
        let wire::OutcomeError::Reject(rejection) = wire else {
            panic!("not a rejection: {wire:?}")
        };
        assert_eq!(
            (rejection.requeue, rejection.reason.as_str()),
            (true, "poison")
        );

        let wire = wire::OutcomeError::from(TaskError::fail("KeyError", "x").retryable(true));
        let wire::OutcomeError::Failure(failure) = wire else {
            panic!("not a failure: {wire:?}")
        };
        assert_eq!(
            (failure.kind.as_str(), failure.retryable),
            ("KeyError", Some(true))
        );

        assert!(matches!(
            TaskError::ignore().into(),
            wire::OutcomeError::Ignore
        ));
        let wire = TaskError::interrupted(Interruption::Cancelled).into();
        assert!(matches!(
            wire,
            wire::OutcomeError::Interrupted(wire::Interruption::Cancelled)
        ));
    }
}
