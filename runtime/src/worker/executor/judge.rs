//! Step f, judge: what the guest did becomes what we decide. The decision
//! itself is pure and lives in `policy`.

use super::Attempt;
use super::once;
use crate::policy::canary;
use crate::policy::verdict::{self, Facts, Verdict};
use crate::registry::Side;
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

/// Counts how the run ended, where a canary runs beside the current version.
pub(super) fn count(crew: &Crew, attempt: &Attempt, outcome: &Outcome, verdict: &Verdict) {
    let Some(failed) = canary::ended_badly(outcome, verdict) else {
        return;
    };
    if let Some(side) = crew.resolver.ended(&attempt.code, failed) {
        crew.metrics.canary_run(side == Side::Canary, failed);
    }
}
