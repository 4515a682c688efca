//! The answer to the start of a run: a pure function of what is recorded.

use super::{Begun, Record, Start};
use crate::task::State;
use jiff::Timestamp;

/// A record, and until when its run is believed alive.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recorded {
    pub(super) record: Record,
    pub(super) lease_until: Option<Timestamp>,
}

/// Decides. [`Begun::Run`] means that the run takes the record over.
pub(super) fn decide(recorded: Option<&Recorded>, start: &Start, now: Timestamp) -> Begun {
    let Some(Recorded {
        record,
        lease_until,
    }) = recorded
    else {
        return Begun::Run;
    };
    if record.fence.retries > start.fence.retries {
        return Begun::Stale;
    }
    if record.is_last() {
        return Begun::Over(Box::new(record.clone()));
    }
    if record.fence.retries < start.fence.retries {
        return Begun::Run;
    }
    if record.state == State::Retry {
        return Begun::Retried { due: record.due };
    }
    // The same attempt. A caller that repeats its own begin, because it did not
    // hear the answer, is let in; everybody else waits for the lease.
    let ours = record.fence == start.fence && record.worker == start.worker;
    match lease_until {
        Some(until) if *until > now && !ours => Begun::Held { until: *until },
        _ => Begun::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::super::RunUsage;
    use super::*;
    use crate::task::{Fence, TaskId};

    const NOW: Timestamp = Timestamp::constant(1_000, 0);
    const LATER: Timestamp = Timestamp::constant(1_030, 0);
    const EARLIER: Timestamp = Timestamp::constant(970, 0);

    fn fence(retries: u32, deliveries: u32) -> Fence {
        Fence {
            retries,
            deliveries,
        }
    }

    fn recorded(
        state: &str,
        fence: Fence,
        worker: &str,
        lease_until: Option<Timestamp>,
    ) -> Recorded {
        let record = Record {
            id: TaskId::parse("t").unwrap(),
            task: "m.t".to_owned(),
            fence,
            state: State::from_word(state),
            result: None,
            exception: None,
            due: (state == "RETRY").then_some(LATER),
            worker: worker.to_owned(),
            usage: RunUsage::default(),
            log: None,
            written_at: EARLIER,
        };
        Recorded {
            record,
            lease_until,
        }
    }

    /// What one answer is called in the table.
    fn word(begun: &Begun) -> &'static str {
        match begun {
            Begun::Run => "run",
            Begun::Over(_) => "over",
            Begun::Retried { due } => {
                assert_eq!(*due, Some(LATER));
                "retried"
            }
            Begun::Stale => "stale",
            Begun::Held { until } => {
                assert_eq!(*until, LATER);
                "held"
            }
        }
    }

    #[test]
    fn nothing_recorded_is_a_run() {
        let start = start(fence(0, 2));
        assert_eq!(decide(None, &start, NOW), Begun::Run);
    }

    fn start(fence: Fence) -> Start {
        let id = TaskId::parse("t").unwrap();
        Start {
            id,
            task: "m.t".to_owned(),
            fence,
            worker: "us".to_owned(),
            lease_until: LATER,
        }
    }

    /// Every state, with the recorded fence below, beside and above ours (1, 2),
    /// and the lease of another worker alive, lapsed or never taken.
    #[test]
    fn every_state_fence_and_lease_has_its_answer() {
        let fences = [
            fence(0, 9),
            fence(1, 1),
            fence(1, 2),
            fence(1, 3),
            fence(2, 1),
        ];
        let leases = [Some(LATER), Some(EARLIER), Some(NOW), None];
        for state in [
            "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED",
        ] {
            for (place, recorded_fence) in fences.iter().enumerate() {
                for lease in leases {
                    let expected = match (state, place) {
                        (_, 4) => "stale",
                        ("SUCCESS" | "FAILURE" | "REVOKED", _) => "over",
                        (_, 0) => "run",
                        ("RETRY", _) => "retried",
                        _ if lease == Some(LATER) => "held",
                        _ => "run",
                    };
                    let recorded = recorded(state, *recorded_fence, "them", lease);
                    let begun = decide(Some(&recorded), &start(fence(1, 2)), NOW);
                    assert_eq!(
                        word(&begun),
                        expected,
                        "{state} {recorded_fence:?} {lease:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_worker_that_repeats_its_own_begin_is_let_in() {
        let ours = recorded("STARTED", fence(1, 2), "us", Some(LATER));
        assert_eq!(decide(Some(&ours), &start(fence(1, 2)), NOW), Begun::Run);
        assert_eq!(word(&decide(Some(&ours), &start(fence(1, 3)), NOW)), "held");
    }
}
