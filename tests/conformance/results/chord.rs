//! Bringing the parts of a chord together.

use super::id;
use crate::stage::ResultsStage;
use celeriac::results::chord::{Ending, Expect, JOINED_BYTES, JoinPart, Joined};
use celeriac::results::{Exception, Results};
use celeriac::task::Json;
use std::time::Duration;

const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

fn expect(group: &str, size: u64, again: bool) -> Expect {
    Expect {
        group: group.to_owned(),
        size,
        structure: None,
        again,
        keep: DAY,
    }
}

fn part(group: &str, index: i64, value: &str) -> JoinPart {
    JoinPart {
        group: group.to_owned(),
        index: Some(index),
        id: format!("{group}-{index}"),
        end: Ending::Returned(Json::read(value).unwrap()),
        keep: DAY,
    }
}

async fn join(results: &dyn Results, part: JoinPart) -> Joined {
    results.join(part).await.unwrap()
}

/// The results of a chord that is complete.
fn values(joined: Joined) -> Vec<String> {
    let Joined::Complete { parts, .. } = joined else {
        panic!("{joined:?}");
    };
    let value = |(_, end)| match end {
        Ending::Returned(value) => value.to_string(),
        Ending::Failed { exception, .. } => exception.message,
    };
    parts.into_iter().map(value).collect()
}

pub(crate) async fn the_last_part_of_a_chord_gets_all_in_their_order(stage: ResultsStage) {
    stage.results.expect(expect("g", 3, false)).await.unwrap();
    for (index, value) in [(2, "12345678901234567890123"), (0, "1.00")] {
        let joined = join(&*stage.other, part("g", index, value)).await;
        assert_eq!(joined, Joined::Waiting);
    }
    let joined = join(&*stage.results, part("g", 1, r#"{"b":1, "a":2}"#)).await;
    let all = ["1.00", r#"{"b":1, "a":2}"#, "12345678901234567890123"];
    assert_eq!(values(joined), all);
}

pub(crate) async fn a_part_counts_once_however_often_it_is_told(stage: ResultsStage) {
    stage.results.expect(expect("g", 2, false)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            join(&*stage.results, part("g", 0, "1")).await,
            Joined::Waiting
        );
    }
    assert_eq!(
        values(join(&*stage.results, part("g", 1, "2")).await),
        ["1", "2"]
    );
}

pub(crate) async fn a_chord_may_be_announced_after_its_parts(stage: ResultsStage) {
    assert_eq!(
        join(&*stage.results, part("g", 0, "1")).await,
        Joined::Waiting
    );
    assert_eq!(
        join(&*stage.results, part("g", 1, "2")).await,
        Joined::Waiting
    );
    stage.results.expect(expect("g", 3, false)).await.unwrap();
    assert_eq!(
        values(join(&*stage.results, part("g", 2, "3")).await),
        ["1", "2", "3"]
    );
}

pub(crate) async fn only_one_sends_the_body_until_it_had_time_to(stage: ResultsStage) {
    stage.results.expect(expect("g", 2, false)).await.unwrap();
    join(&*stage.results, part("g", 0, "1")).await;
    values(join(&*stage.results, part("g", 1, "2")).await);
    // The same part again is a worker that died in between; another one waits.
    values(join(&*stage.other, part("g", 1, "2")).await);
    let held = join(&*stage.other, part("g", 0, "1")).await;
    assert!(
        matches!(held, Joined::Held { until } if until > stage.clock.now()),
        "{held:?}"
    );
    stage.results.joined("g").await.unwrap();
    for index in [0, 1] {
        let late = join(&*stage.other, part("g", index, "9")).await;
        assert_eq!(late, Joined::Waiting, "its body was sent");
    }
}

pub(crate) async fn a_chord_that_is_announced_again_keeps_what_it_has(stage: ResultsStage) {
    stage.results.expect(expect("g", 2, false)).await.unwrap();
    join(&*stage.results, part("g", 0, "1")).await;
    stage.results.expect(expect("g", 2, true)).await.unwrap();
    values(join(&*stage.results, part("g", 1, "2")).await);
    stage.results.joined("g").await.unwrap();
    stage.results.expect(expect("g", 2, true)).await.unwrap();
    for index in [0, 1] {
        let late = join(&*stage.results, part("g", index, "9")).await;
        assert_eq!(late, Joined::Waiting);
    }
}

pub(crate) async fn a_failed_part_tells_what_it_failed_with(stage: ResultsStage) {
    stage.results.expect(expect("g", 1, false)).await.unwrap();
    let exception = Exception::new("builtins", "ValueError", "ä \"quoted\"");
    let failed = JoinPart {
        index: None,
        end: Ending::Failed {
            state: "REVOKED".to_owned(),
            exception: exception.clone(),
        },
        ..part("g", 0, "null")
    };
    let Joined::Complete { parts, .. } = join(&*stage.results, failed).await else {
        panic!("complete");
    };
    let state = "REVOKED".to_owned();
    assert_eq!(
        parts,
        [("g-0".to_owned(), Ending::Failed { state, exception })]
    );
    assert_eq!(id("g-0").as_str(), parts[0].0);
}

pub(crate) async fn the_structure_of_a_chord_is_kept(stage: ResultsStage) {
    let structure = Json::read(r#"[["g", null], [[["g-0", null], null]]]"#);
    let expect = Expect {
        structure: structure.clone(),
        ..expect("g", 1, false)
    };
    stage.results.expect(expect).await.unwrap();
    let joined = join(&*stage.results, part("g", 0, "1")).await;
    let Joined::Complete {
        structure: found, ..
    } = joined
    else {
        panic!("{joined:?}");
    };
    assert_eq!(found, structure);
}

pub(crate) async fn results_that_no_message_would_hold_are_not_brought_together(
    stage: ResultsStage,
) {
    let size = 5;
    stage
        .results
        .expect(expect("g", size, false))
        .await
        .unwrap();
    let bytes = usize::try_from(JOINED_BYTES / (size - 1)).unwrap();
    let large = format!("\"{}\"", "x".repeat(bytes));
    for index in 0..4 {
        assert_eq!(
            join(&*stage.results, part("g", index, &large)).await,
            Joined::Waiting
        );
    }
    assert_eq!(
        join(&*stage.results, part("g", 4, &large)).await,
        Joined::TooLarge
    );
}

pub(crate) async fn of_many_parts_at_once_one_is_the_last(stage: ResultsStage) {
    const PARTS: i64 = 200;
    stage
        .results
        .expect(expect("g", PARTS.unsigned_abs(), false))
        .await
        .unwrap();
    let all = (0..PARTS).map(|index| {
        let results = match index % 2 {
            0 => &stage.results,
            _ => &stage.other,
        };
        join(&**results, part("g", index, &index.to_string()))
    });
    let all = futures::future::join_all(all).await;
    let complete: Vec<Joined> = all
        .into_iter()
        .filter(|joined| *joined != Joined::Waiting)
        .collect();
    assert_eq!(complete.len(), 1);
    let expected: Vec<String> = (0..PARTS).map(|index| index.to_string()).collect();
    assert_eq!(values(complete.into_iter().next().unwrap()), expected);
}
