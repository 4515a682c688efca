//! Storing, reading, expiry.

use super::{fence, id, write};
use crate::stage::{ResultsStage, START};
use celeriac::results::{Record, Write, Written};
use std::time::Duration;

fn expected(write: &Write) -> Record {
    let Write {
        id,
        task,
        fence,
        state,
        result,
        exception,
        due,
        worker,
        usage,
        log,
        keep: _,
        reply: _,
        children: _,
        extended: _,
    } = write.clone();
    Record {
        id,
        task,
        fence,
        state,
        result,
        exception,
        due,
        worker,
        usage,
        log,
        written_at: START,
    }
}

pub(crate) async fn stores_every_field_and_reads_it_back(stage: ResultsStage) {
    for state in [
        "STARTED",
        "PROGRESS",
        "halfway ä",
        "RETRY",
        "SUCCESS",
        "FAILURE",
        "REVOKED",
    ] {
        let write = write(state, fence(2, 3), state);
        assert_eq!(
            stage.results.write(write.clone()).await.unwrap(),
            Written::Stored
        );
        let read = stage.other.get(&id(state)).await.unwrap();
        assert_eq!(read, Some(expected(&write)), "{state}");
    }
    let bare = Write {
        result: None,
        exception: None,
        due: None,
        log: None,
        ..write("bare", fence(0, 1), "SUCCESS")
    };
    stage.results.write(bare.clone()).await.unwrap();
    assert_eq!(
        stage.results.get(&id("bare")).await.unwrap(),
        Some(expected(&bare))
    );
}

pub(crate) async fn nothing_stored_is_nothing(stage: ResultsStage) {
    assert_eq!(stage.results.get(&id("unknown")).await.unwrap(), None);
    assert_eq!(stage.results.sweep().await.unwrap(), 0);
}

pub(crate) async fn a_record_ends_with_its_time(stage: ResultsStage) {
    let short = Write {
        keep: Some(Duration::from_secs(10)),
        ..write("t", fence(1, 1), "SUCCESS")
    };
    stage.results.write(short).await.unwrap();
    stage
        .clock
        .advance(Duration::from_secs(10) - Duration::from_millis(1));
    assert!(stage.results.get(&id("t")).await.unwrap().is_some());
    assert_eq!(stage.results.sweep().await.unwrap(), 0);
    stage.clock.advance(Duration::from_millis(1));
    assert_eq!(
        stage.results.get(&id("t")).await.unwrap(),
        None,
        "gone even before it is swept"
    );
    // What is over no longer stands in the way of a new task with the same id.
    let again = write("t", fence(0, 1), "SUCCESS");
    assert_eq!(stage.results.write(again).await.unwrap(), Written::Stored);
    stage.clock.advance(Duration::from_secs(86_400));
    let swept = u64::from(stage.sweeps);
    assert_eq!(stage.results.sweep().await.unwrap(), swept);
    assert_eq!(stage.results.sweep().await.unwrap(), 0);
}

pub(crate) async fn a_record_without_a_time_is_kept(stage: ResultsStage) {
    let forever = Write {
        keep: None,
        ..write("t", fence(0, 1), "SUCCESS")
    };
    stage.results.write(forever).await.unwrap();
    stage.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    assert_eq!(stage.results.sweep().await.unwrap(), 0);
    assert!(stage.results.get(&id("t")).await.unwrap().is_some());
}

pub(crate) async fn a_sweep_removes_at_most_ten_thousand(stage: ResultsStage) {
    let writes = (0..10_001).map(|i| {
        stage
            .results
            .write(write(&i.to_string(), fence(0, 1), "SUCCESS"))
    });
    let written = futures::future::try_join_all(writes).await.unwrap();
    assert!(written.iter().all(|written| *written == Written::Stored));
    stage.clock.advance(Duration::from_secs(86_400));
    let (first, second) = if stage.sweeps { (10_000, 1) } else { (0, 0) };
    assert_eq!(stage.results.sweep().await.unwrap(), first);
    assert_eq!(stage.results.sweep().await.unwrap(), second);
}
