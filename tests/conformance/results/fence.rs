//! Fences and leases: which run may write, and which may begin.

use super::{LEASE, fence, id, start, write};
use crate::stage::{ResultsStage, START};
use celeriac::clock::after;
use celeriac::results::{Begun, Written};
use celeriac::task::State;
use std::time::Duration;

const STATES: [&str; 6] = [
    "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED",
];

pub(crate) async fn every_pair_of_states_and_fences_is_stored_or_refused(stage: ResultsStage) {
    let fences = [
        fence(0, 1),
        fence(0, 2),
        fence(1, 1),
        fence(1, 2),
        fence(2, 1),
    ];
    for before in STATES {
        for after in STATES {
            for (place, next) in fences.into_iter().enumerate() {
                let name = format!("{before} {after} {place}");
                let first = write(&name, fence(1, 1), before);
                assert_eq!(
                    stage.results.write(first.clone()).await.unwrap(),
                    Written::Stored
                );
                let second = write(&name, next, after);
                let may = first.state.may_become(&second.state) && next >= fence(1, 1);
                let written = stage.results.write(second.clone()).await.unwrap();
                assert_eq!(written == Written::Stored, may, "{name}");
                let recorded = stage.results.get(&id(&name)).await.unwrap().unwrap();
                let expected = if may { second } else { first };
                assert_eq!(
                    (recorded.state, recorded.fence),
                    (expected.state, expected.fence),
                    "{name}"
                );
            }
        }
    }
}

pub(crate) async fn two_writes_at_once_are_ordered(stage: ResultsStage) {
    for i in 0..50 {
        let name = i.to_string();
        let (one, two) = tokio::join!(
            stage.results.write(write(&name, fence(0, 1), "SUCCESS")),
            stage.other.write(write(&name, fence(0, 2), "FAILURE"))
        );
        let stored = [one.unwrap(), two.unwrap()];
        let recorded = stage.results.get(&id(&name)).await.unwrap().unwrap();
        let expected = if recorded.state == State::Success {
            [Written::Stored, Written::Refused]
        } else {
            [Written::Refused, Written::Stored]
        };
        assert_eq!(stored, expected, "the first final state stays");
    }
    let (one, two) = tokio::join!(
        stage.results.write(write("same", fence(0, 1), "SUCCESS")),
        stage.results.write(write("same", fence(0, 1), "FAILURE"))
    );
    assert_ne!(one.unwrap(), two.unwrap());
}

pub(crate) async fn a_redelivery_waits_for_the_lease_and_then_takes_over(stage: ResultsStage) {
    assert_eq!(
        stage
            .results
            .begin(start(&stage, "t", fence(0, 2), "a"))
            .await
            .unwrap(),
        Begun::Run
    );
    let recorded = stage.other.get(&id("t")).await.unwrap().unwrap();
    assert_eq!(
        (recorded.state, recorded.fence, recorded.worker.as_str()),
        (State::Started, fence(0, 2), "a")
    );
    let until = after(START, LEASE);
    let held = stage
        .other
        .begin(start(&stage, "t", fence(0, 3), "b"))
        .await
        .unwrap();
    assert_eq!(held, Begun::Held { until });
    assert_eq!(
        stage
            .results
            .begin(start(&stage, "t", fence(0, 2), "a"))
            .await
            .unwrap(),
        Begun::Run,
        "asked again"
    );
    stage.clock.advance(LEASE);
    assert_eq!(
        stage
            .other
            .begin(start(&stage, "t", fence(0, 3), "b"))
            .await
            .unwrap(),
        Begun::Run
    );
    let recorded = stage.results.get(&id("t")).await.unwrap().unwrap();
    assert_eq!(
        (recorded.fence, recorded.worker.as_str()),
        (fence(0, 3), "b")
    );
}

pub(crate) async fn a_run_that_was_taken_over_cannot_write(stage: ResultsStage) {
    stage
        .results
        .begin(start(&stage, "t", fence(0, 2), "a"))
        .await
        .unwrap();
    stage.clock.advance(LEASE);
    stage
        .other
        .begin(start(&stage, "t", fence(0, 3), "b"))
        .await
        .unwrap();
    for state in ["PROGRESS", "SUCCESS"] {
        assert_eq!(
            stage
                .results
                .write(write("t", fence(0, 2), state))
                .await
                .unwrap(),
            Written::Refused
        );
    }
    assert_eq!(
        stage
            .other
            .write(write("t", fence(0, 3), "SUCCESS"))
            .await
            .unwrap(),
        Written::Stored
    );
    // A later retry of its own begins over the state of the one before.
    stage
        .results
        .write(write("r", fence(0, 1), "RETRY"))
        .await
        .unwrap();
    assert_eq!(
        stage
            .results
            .begin(start(&stage, "r", fence(1, 1), "a"))
            .await
            .unwrap(),
        Begun::Run
    );
    let recorded = stage.results.get(&id("r")).await.unwrap().unwrap();
    assert_eq!((recorded.state, recorded.exception), (State::Started, None));
}

pub(crate) async fn a_redelivery_of_a_final_task_gets_its_record(stage: ResultsStage) {
    for state in ["SUCCESS", "FAILURE", "REVOKED"] {
        stage
            .results
            .write(write(state, fence(0, 1), state))
            .await
            .unwrap();
        let begun = stage
            .other
            .begin(start(&stage, state, fence(0, 2), "b"))
            .await
            .unwrap();
        let record = stage.results.get(&id(state)).await.unwrap().unwrap();
        assert_eq!(record.state.as_str(), state);
        assert_eq!(begun, Begun::Over(Box::new(record)));
    }
}

pub(crate) async fn a_redelivery_after_a_retry_gets_when_it_is_due(stage: ResultsStage) {
    stage
        .results
        .write(write("t", fence(1, 1), "RETRY"))
        .await
        .unwrap();
    let begun = stage
        .results
        .begin(start(&stage, "t", fence(1, 2), "b"))
        .await
        .unwrap();
    assert_eq!(begun, Begun::Retried { due: Some(START) });
    assert_eq!(
        stage
            .results
            .begin(start(&stage, "t", fence(2, 1), "b"))
            .await
            .unwrap(),
        Begun::Run
    );
}

pub(crate) async fn an_older_retry_is_stale(stage: ResultsStage) {
    stage
        .results
        .begin(start(&stage, "t", fence(2, 1), "a"))
        .await
        .unwrap();
    for old in [fence(0, 9), fence(1, 5)] {
        assert_eq!(
            stage
                .results
                .begin(start(&stage, "t", old, "b"))
                .await
                .unwrap(),
            Begun::Stale
        );
    }
}

pub(crate) async fn only_the_run_that_holds_the_lease_renews_it(stage: ResultsStage) {
    let run = (id("t"), fence(0, 2));
    stage
        .results
        .begin(start(&stage, "t", fence(0, 2), "a"))
        .await
        .unwrap();
    let until = after(START, 2 * LEASE);
    let runs = vec![(id("other"), fence(0, 1)), run.clone()];
    stage.results.renew(runs, until).await.unwrap();
    stage.results.renew(Vec::new(), until).await.unwrap();
    stage
        .results
        .renew(vec![(id("t"), fence(0, 1))], after(START, 9 * LEASE))
        .await
        .unwrap();
    let held = stage
        .other
        .begin(start(&stage, "t", fence(0, 3), "b"))
        .await
        .unwrap();
    assert_eq!(held, Begun::Held { until });
    assert_eq!(
        stage.results.get(&id("other")).await.unwrap(),
        None,
        "a renewal makes no record"
    );
    // A run of days keeps its record as long as it renews.
    for _ in 0..4 {
        stage.clock.advance(Duration::from_secs(12 * 3_600));
        stage
            .results
            .renew(vec![run.clone()], after(stage.clock.now(), LEASE))
            .await
            .unwrap();
    }
    stage.results.sweep().await.unwrap();
    assert!(stage.results.get(&id("t")).await.unwrap().is_some());
    // One that was given up is swept a day after its lease.
    stage.clock.advance(LEASE + Duration::from_secs(86_400));
    assert_eq!(
        stage.results.sweep().await.unwrap(),
        u64::from(stage.sweeps)
    );
}

pub(crate) async fn of_many_that_begin_at_once_one_runs(stage: ResultsStage) {
    let begins = (0..20).map(|i| {
        let results = if i % 2 == 0 {
            &stage.results
        } else {
            &stage.other
        };
        results.begin(start(&stage, "t", fence(0, 2), &format!("worker {i}")))
    });
    let begun = futures::future::try_join_all(begins).await.unwrap();
    let runs = begun.iter().filter(|begun| **begun == Begun::Run).count();
    let held = begun
        .iter()
        .filter(|begun| matches!(begun, Begun::Held { .. }))
        .count();
    assert_eq!((runs, held), (1, 19));
}
