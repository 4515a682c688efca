//! Step f, judge: what the guest did becomes what we decide. The decision
//! itself is pure and lives in `policy`.

use super::Attempt;
use super::once;
use crate::policy::verdict::{self, Facts, Verdict};
use crate::worker::crew::Crew;
use celeriac_sandbox::Outcome;

/// Decides.
pub(super) fn judge(crew: &Crew, attempt: &Attempt, outcome: Outcome) -> Verdict {
    if let Outcome::LimitHit(hit) = &outcome {
        crew.metrics.refused(hit.limit.name());
    }
    let facts = Facts {
        plan: &attempt.plan,
        retries: attempt.fence.retries,
        deliveries: attempt.fence.deliveries,
        max_deliveries: crew.settings.max_deliveries,
        soft: attempt.limits.soft,
        whose: &attempt.whose,
        dice: fastrand::u64(..),
    };
    let verdict = verdict::judge(outcome, &facts);
    match attempt.code.task.at_most_once {
        // Before anything is planned: a failure has followers of its own.
        true => once::verdict(verdict),
        false => verdict,
    }
}
