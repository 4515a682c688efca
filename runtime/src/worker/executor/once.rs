//! Tasks that run at most once: their message is acknowledged before the guest starts,
//! so it cannot be given back. What would be tried again has failed, and its caller and
//! all that waits for it hear so.

use super::Attempt;
use super::leave::Left;
use crate::broker::{BrokerError, Settlement};
use crate::policy::verdict::Verdict;
use crate::task::Exception;
use crate::worker::crew::Crew;
use crate::worker::patience::insist;

/// The worker stopped while the guest ran.
pub(super) const STOPPED: &str = "its worker stopped while it ran";
/// The host could not run the guest to its end.
pub(super) const BROKEN: &str = "its worker could not run it to its end, see the worker's log";
/// The guest wanted the message back in its queue.
const RETURNED: &str = "it gave its message back";
/// Nobody knows whether the message is still there.
const UNHEARD: &str = "the broker did not answer when its message was to be acknowledged, before \
    it started";

/// Acknowledges before the guest starts. After a try whose answer was lost, the message
/// may be gone: then the task is not run.
pub(super) async fn acknowledge(crew: &Crew, attempt: &Attempt) -> Result<(), Left> {
    let mut tries = 0_u32;
    let (broker, delivery) = (&crew.broker, &attempt.delivery);
    let settled = insist(&crew.shutdown, || {
        tries = tries.saturating_add(1);
        async {
            broker.settle(delivery, Settlement::Ack).await?;
            broker.confirm(delivery).await
        }
    });
    match settled.await {
        Ok(()) => Ok(()),
        Err(BrokerError::LeaseLost { .. }) if tries <= 1 => Err(Left::Lost),
        Err(error @ (BrokerError::Misconfigured { .. } | BrokerError::TooLarge { .. }))
            if tries <= 1 =>
        {
            Err(error.into())
        }
        Err(error) => {
            tracing::warn!(%error, task = attempt.request.task, "an at_most_once task is not run: its message may be gone");
            Err(Left::dropped(attempt, UNHEARD))
        }
    }
}

/// What a verdict means where the message cannot be given back.
pub(super) fn verdict(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Defer => Verdict::Fail(lost(STOPPED)),
        Verdict::Return => Verdict::Fail(lost(RETURNED)),
        Verdict::Succeed(_)
        | Verdict::Fail(_)
        | Verdict::RetryAt { .. }
        | Verdict::Revoke(_)
        | Verdict::Reject { .. }
        | Verdict::Ignore => verdict,
    }
}

/// What such a task fails with when it does not come to its end.
pub(super) fn lost(why: &str) -> Exception {
    let text = format!("{why}; an at_most_once task is not run again");
    Exception::new("billiard.exceptions", "WorkerLostError", text)
}
