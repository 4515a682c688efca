//! A component built when `celeriac:task` 0.1 was frozen runs for ever. Its
//! source is `tests/guests/frozen`; the file itself is never built again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use celeriac_sandbox::{
    Attempt, Call, Component, Engine, EngineSettings, Grants, Interruption, Level, Limits, Outcome,
    Report, compile,
};
use serde_json::{Value, json};
use std::time::Duration;

const FROZEN: &[u8] = include_bytes!("../../../tests/fixtures/frozen-0.1.0.wasm");

fn component() -> Component {
    let artifact = compile(FROZEN).unwrap();
    Engine::new(&EngineSettings::default())
        .unwrap()
        .load(&artifact)
        .unwrap()
}

async fn run(task: &str) -> Report {
    let call = Call {
        task: task.to_owned(),
        args: Bytes::from_static(b"[1, \"\xc3\xa4\"]"),
        kwargs: Bytes::from_static(b"{\"k\": null}"),
    };
    let attempt = Attempt {
        id: "an-id".to_owned(),
        root_id: Some("a-root".to_owned()),
        parent_id: Some("a-parent".to_owned()),
        retries: 2,
        deliveries: 3,
        max_retries: Some(4),
        queue: "celery".to_owned(),
        headers: [("x-shop".to_owned(), "7".to_owned())].into(),
        log_level: Level::Debug,
        keep_progress: 10,
        ..Attempt::default()
    };
    let limits = Limits {
        soft: Some(Duration::from_secs(60)),
        ..Limits::default()
    };
    component()
        .invoke(&call, &limits, &Grants::default(), attempt)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_frozen_component_describes_itself_as_ever() {
    let tasks = component().describe().await.unwrap();
    let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "everything",
            "retry",
            "reject",
            "ignore",
            "failure",
            "interrupted"
        ]
    );
    let first = &tasks[0];
    assert_eq!(
        first.signature(),
        "everything(plain=1, *rest, named=1, **others)"
    );
    assert_eq!(first.limits.memory_bytes, Some(16 << 20));
    let retry = first.retry.as_ref().unwrap();
    assert_eq!(
        (retry.max_retries, retry.factor_milli, retry.jitter),
        (Some(2), 2_000, true)
    );
    assert_eq!(first.wants, ["http"]);
    assert_eq!(first.extra, [("hint".to_owned(), "value".to_owned())]);
}

#[tokio::test]
async fn the_frozen_component_sees_every_import_as_ever() {
    let report = run("everything").await;
    let Outcome::Returned(result) = &report.outcome else {
        panic!("{:?}", report.outcome);
    };
    let result: Value = serde_json::from_slice(result).unwrap();
    let expected = json!({
        "args": [1, "ä"], "kwargs": {"k": null}, "id": "an-id", "root": "a-root", "parent": "a-parent",
        "retries": 2, "deliveries": 3, "max_retries": 4, "queue": "celery", "header": "7", "log": true,
        "submitted": "denied", "ambient": true, "bytes": 7, "slept": true, "time": true,
        "type": "application/json",
    });
    assert_eq!(result, expected);
    // The last line is the host's: what was denied.
    let (denial, lines) = report.log.lines.split_last().unwrap();
    assert!(denial.message.starts_with("no grant to send"), "{denial:?}");
    let levels: Vec<_> = lines.iter().map(|line| line.level).collect();
    assert_eq!(
        levels,
        [Level::Debug, Level::Info, Level::Warn, Level::Error]
    );
    let states: Vec<_> = report
        .progress
        .iter()
        .map(|one| one.state.as_str())
        .collect();
    assert_eq!(states, ["PROGRESS", "PACKING"]);
    assert!(report.usage.memory_peak_bytes > 0 && report.usage.cpu > Duration::ZERO);
}

#[tokio::test]
async fn the_frozen_component_ends_in_every_way_as_ever() {
    let Outcome::Retry(retry) = run("retry").await.outcome else {
        panic!("no retry");
    };
    assert_eq!(
        (retry.countdown, retry.max_retries),
        (Some(Duration::from_millis(1_500)), Some(1))
    );
    assert_eq!(retry.reason.kind, "ConnectionError");
    let Outcome::Reject(rejection) = run("reject").await.outcome else {
        panic!("no rejection");
    };
    assert!(rejection.requeue && rejection.reason == "obsolete");
    assert_eq!(run("ignore").await.outcome, Outcome::Ignore);
    let Outcome::Failed(failure) = run("failure").await.outcome else {
        panic!("no failure");
    };
    assert_eq!(
        (failure.message.as_str(), failure.retryable),
        ("away", Some(true))
    );
    let claimed = Interruption::Shutdown;
    assert_eq!(
        run("interrupted").await.outcome,
        Outcome::Interrupted {
            claimed,
            raised: None
        }
    );
}
