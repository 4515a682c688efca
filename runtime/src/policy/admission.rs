//! Whether a message may be run at all: decided before an attempt is spent.

use crate::defence::{Defence, stands};
use crate::task::Exception;
use jiff::Timestamp;
use std::time::Duration;

/// Waits shorter than this stay in the worker; longer ones are the broker's.
pub const SHORT_WAIT: Duration = Duration::from_secs(1);

/// The facts about a message that its admission hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The moment it is.
    pub now: Timestamp,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// Not to run after.
    pub expires: Option<Timestamp>,
    /// Whether somebody revoked it.
    pub revoked: bool,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// How often it may be.
    pub max_deliveries: u32,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It is run.
    Run,
    /// It is too late: the task is revoked.
    Expired(Exception),
    /// Somebody revoked it.
    Revoked,
    /// It is too early: it waits in the broker.
    NotDue(Timestamp),
    /// It took its worker with it too often: dead letter, and a failure.
    Lost {
        /// What the caller sees.
        exception: Exception,
        /// Why, for the dead letter.
        reason: String,
    },
}

/// Decides.
#[must_use]
pub fn admit(facts: &Facts) -> Admission {
    if let Some(expires) = facts.expires.filter(|expires| *expires <= facts.now) {
        let text = format!("expired at {expires}");
        return Admission::Expired(Exception::new(
            "celery.exceptions",
            "TaskRevokedError",
            text,
        ));
    }
    if facts.revoked {
        return Admission::Revoked;
    }
    if facts.deliveries > facts.max_deliveries && stands(Defence::Deliveries) {
        let times = facts.max_deliveries;
        let reason = format!(
            "its worker was lost {times} times while it ran; not tried again (worker.max_deliveries = {times})"
        );
        return Admission::Lost {
            exception: Exception::new("billiard.exceptions", "WorkerLostError", reason.clone()),
            reason,
        };
    }
    match facts.eta {
        Some(eta) if eta > facts.now => Admission::NotDue(eta),
        _ => Admission::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_000 + second).unwrap()
    }

    fn word(
        eta: Option<i64>,
        expires: Option<i64>,
        revoked: bool,
        deliveries: u32,
    ) -> &'static str {
        let facts = Facts {
            now: at(0),
            eta: eta.map(at),
            expires: expires.map(at),
            revoked,
            deliveries,
            max_deliveries: 5,
        };
        match admit(&facts) {
            Admission::Run => "run",
            Admission::Expired(_) => "expired",
            Admission::Revoked => "revoked",
            Admission::NotDue(_) => "not due",
            Admission::Lost { .. } => "lost",
        }
    }

    #[test]
    fn every_combination_of_eta_expiry_revocation_and_deliveries_has_one_answer() {
        for (eta, expires, revoked, deliveries, expected) in [
            (None, None, false, 1, "run"),
            (Some(0), None, false, 1, "run"),
            (Some(1), None, false, 1, "not due"),
            (None, Some(1), false, 1, "run"),
            (None, Some(0), false, 1, "expired"),
            (Some(1), Some(0), false, 1, "expired"),
            (Some(2), Some(1), false, 1, "not due"),
            (None, None, false, 5, "run"),
            (None, None, false, 6, "lost"),
            (None, Some(0), false, 6, "expired"),
            (Some(1), None, false, 6, "lost"),
            (None, None, true, 1, "revoked"),
            (Some(1), Some(2), true, 1, "revoked"),
            (None, None, true, 6, "revoked"),
            (None, Some(0), true, 1, "expired"),
        ] {
            assert_eq!(
                word(eta, expires, revoked, deliveries),
                expected,
                "{eta:?} {expires:?} {revoked} {deliveries}"
            );
        }
    }
}
