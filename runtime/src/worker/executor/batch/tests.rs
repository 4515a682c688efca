use super::*;
use celeriac_sandbox::{Interrupt, Interruption, Line};
use futures::FutureExt as _;
use std::sync::Mutex;

fn request(task: &str, kwargs: &str) -> Request {
    let call = crate::celery::TaskCall::new(task, "[]", kwargs).unwrap();
    Request::decode(&call.message("test@host")).unwrap()
}

fn batch(task: &str, kwargs: &str) -> Result<Batch, String> {
    let read = Batch::read(&request(task, kwargs)).unwrap();
    read.map_err(|exception| exception.message)
}

fn mapped(items: &str) -> Batch {
    let kwargs = format!(r#"{{"task": {{"task": "a.b"}}, "it": {items}}}"#);
    batch("celery.map", &kwargs).unwrap()
}

/// A report as that of one call.
fn report(outcome: Outcome) -> Report {
    Report {
        outcome,
        ..Whole::new(Limits::default()).report
    }
}

/// Answers calls with reports, and keeps what was called.
async fn run(
    batch: &Batch,
    limits: &Limits,
    facts: Attempt,
    answer: impl Fn(&str, &Limits) -> Report,
) -> (Report, Vec<String>) {
    let called = Mutex::new(Vec::new());
    let each = |call: Call, limits: Limits, _| {
        let args = String::from_utf8(call.args.to_vec()).unwrap();
        let report = answer(&args, &limits);
        called.lock().unwrap().push(args);
        async move {
            if !report.usage.wall.is_zero() {
                tokio::time::advance(report.usage.wall).await;
            }
            Ok(report)
        }
        .boxed()
    };
    let whole = batch.run("b".to_owned(), limits.clone(), facts, each).await;
    (whole.unwrap(), called.into_inner().unwrap())
}

fn returned(text: &str) -> Report {
    report(Outcome::Returned(Bytes::copy_from_slice(text.as_bytes())))
}

#[test]
fn a_map_gives_each_item_and_a_starmap_spreads_it() {
    let kwargs =
        r#"{"task": {"task": "a.b", "args": [9], "subtask_type": null}, "it": [[1, 2.50], [3]]}"#;
    let calls = |task| batch(task, kwargs).unwrap().calls;
    let read = |text: &str| Json::read(text).unwrap();
    assert_eq!(calls("celery.map"), [read("[[1, 2.50]]"), read("[[3]]")]);
    assert_eq!(calls("celery.starmap"), [read("[1, 2.50]"), read("[3]")]);
    assert_eq!(batch("celery.map", kwargs).unwrap().task, "a.b");
    assert_eq!(Batch::read(&request("a.b", kwargs)), None);
}

#[test]
fn what_is_no_map_is_refused_with_a_reason() {
    let chain = r#"{"task": {"task": "celery.chain", "subtask_type": "chain"}, "it": []}"#;
    for (kwargs, words) in [
        ("{}", "task"),
        (r#"{"task": {"task": "a.b"}}"#, "it"),
        (r#"{"task": 1, "it": []}"#, "signature"),
        (r#"{"task": {"task": "a.b"}, "it": {"a": 1}}"#, "list"),
        (r#"{"task": {"task": "a.b"}, "it": [[], 2]}"#, "item 1"),
        (chain, "not celery.chain"),
    ] {
        let reason = batch("celery.starmap", kwargs).unwrap_err();
        assert!(reason.contains(words), "{kwargs}: {reason}");
        assert!(reason.starts_with("celery.starmap() "), "{reason}");
    }
}

#[test]
fn a_message_has_no_more_than_a_hundred_thousand_calls() {
    let kwargs = |count: usize| {
        let items = vec!["1"; count].join(",");
        format!(r#"{{"task": {{"task": "a.b"}}, "it": [{items}]}}"#)
    };
    let most = batch("celery.map", &kwargs(CALLS)).unwrap();
    assert_eq!(most.calls.len(), CALLS);
    let reason = batch("celery.map", &kwargs(CALLS + 1)).unwrap_err();
    assert!(reason.contains("100000"), "{reason}");
}

#[tokio::test]
async fn results_become_one_list_in_the_order_of_the_items() {
    let limits = Limits::default();
    let (whole, called) = run(
        &mapped("[1, 2.50]"),
        &limits,
        Attempt::default(),
        |args, _| returned(args),
    )
    .await;
    assert_eq!(whole.outcome, returned("[[1], [2.50]]").outcome);
    assert_eq!(called, ["[1]", "[2.50]"]);
    let (whole, _) = run(&mapped("[]"), &limits, Attempt::default(), |_, _| {
        returned("1")
    })
    .await;
    assert_eq!(whole.outcome, returned("[]").outcome);
}

#[tokio::test]
async fn the_first_call_that_does_not_return_ends_the_batch() {
    let limits = Limits::default();
    let (whole, called) = run(
        &mapped("[1, 2, 3]"),
        &limits,
        Attempt::default(),
        |args, _| match args {
            "[2]" => report(Outcome::Exited { code: 1 }),
            _ => returned("0"),
        },
    )
    .await;
    assert_eq!(whole.outcome, Outcome::Exited { code: 1 });
    assert_eq!(called.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_limits_are_for_all_calls_together() {
    let limits = Limits {
        wall: Duration::from_secs(10),
        soft: Some(Duration::from_secs(7)),
        ..Limits::default()
    };
    let left = Mutex::new(Vec::new());
    let (whole, called) = run(
        &mapped("[1, 2, 3, 4]"),
        &limits,
        Attempt::default(),
        |_, limits| {
            let seconds = |span: Duration| span.as_secs();
            let soft = limits.soft.map(seconds);
            left.lock().unwrap().push((seconds(limits.wall), soft));
            let mut report = returned("0");
            report.usage.wall = Duration::from_secs(4).min(limits.wall);
            report
        },
    )
    .await;
    assert_eq!(called.len(), 3);
    let expected = [(10, Some(7)), (6, Some(3)), (2, Some(0))];
    assert_eq!(left.into_inner().unwrap(), expected);
    let hit = LimitHit {
        limit: Limit::Wall,
        allowed: 10_000,
        wanted: None,
    };
    assert_eq!(whole.outcome, Outcome::LimitHit(hit));
}

#[tokio::test]
async fn cpu_time_and_log_are_for_all_calls_together() {
    let limits = Limits {
        cpu: Duration::from_secs(3),
        log_lines: 3,
        log_bytes: 10,
        ..Limits::default()
    };
    let left = Mutex::new(Vec::new());
    let (whole, called) = run(
        &mapped("[1, 2, 3]"),
        &limits,
        Attempt::default(),
        |_, limits| {
            left.lock()
                .unwrap()
                .push((limits.cpu.as_secs(), limits.log_lines, limits.log_bytes));
            let mut report = returned("0");
            report.usage.cpu = Duration::from_secs(2);
            report.log.lines.push(Line {
                level: celeriac_sandbox::Level::Info,
                message: "four".to_owned(),
                fields: Vec::new(),
                by_host: false,
            });
            report
        },
    )
    .await;
    assert_eq!(left.into_inner().unwrap(), [(3, 3, 10), (1, 2, 6)]);
    assert_eq!(called.len(), 2);
    assert_eq!(whole.log.lines.len(), 2);
    assert_eq!(whole.usage.cpu, Duration::from_secs(4));
    let Outcome::LimitHit(hit) = whole.outcome else {
        panic!("{:?}", whole.outcome);
    };
    assert_eq!((hit.limit, hit.allowed), (Limit::Cpu, 3_000));
}

#[tokio::test]
async fn the_list_of_all_results_is_no_larger_than_one_result_may_be() {
    let limits = Limits {
        result_bytes: 8,
        ..Limits::default()
    };
    let answer = |_: &str, _: &Limits| returned("12");
    let (whole, _) = run(&mapped("[1, 2]"), &limits, Attempt::default(), answer).await;
    assert_eq!(whole.outcome, returned("[12, 12]").outcome);
    let (whole, _) = run(&mapped("[1, 2, 3]"), &limits, Attempt::default(), answer).await;
    let hit = LimitHit {
        limit: Limit::Result,
        allowed: 8,
        wanted: Some(12),
    };
    assert_eq!(whole.outcome, Outcome::LimitHit(hit));
}

#[tokio::test]
async fn a_list_of_results_that_nobody_could_read_is_none() {
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let limits = Limits::default();
    let (whole, _) = run(&mapped("[1]"), &limits, Attempt::default(), |_, _| {
        returned(&deep)
    })
    .await;
    let is_bad = matches!(whole.outcome, Outcome::BadResult { .. });
    assert!(is_bad, "{:?}", whole.outcome);
}

#[tokio::test]
async fn an_order_to_stop_ends_the_batch_between_two_calls() {
    let interrupt = Interrupt::default();
    let facts = Attempt {
        interrupt: interrupt.clone(),
        ..Attempt::default()
    };
    let limits = Limits::default();
    let (whole, called) = run(&mapped("[1, 2]"), &limits, facts, |_, _| {
        interrupt.raise(Interruption::Shutdown);
        returned("0")
    })
    .await;
    assert_eq!(called.len(), 1);
    let raised = Interruption::Shutdown;
    let stopped = Outcome::Interrupted {
        claimed: raised,
        raised: Some(raised),
    };
    assert_eq!(whole.outcome, stopped);
}

#[tokio::test]
async fn a_call_cannot_hand_over_the_work_of_all() {
    let limits = Limits::default();
    let (whole, _) = run(&mapped("[1]"), &limits, Attempt::default(), |_, _| {
        let mut report = report(Outcome::Ignore);
        report.submitted.replacement = Some(celeriac_sandbox::Signature {
            json: Bytes::new(),
            tasks: Vec::new(),
        });
        report
    })
    .await;
    let is_failure = matches!(whole.outcome, Outcome::Failed(_));
    assert!(is_failure, "{:?}", whole.outcome);
    assert_eq!(whole.submitted.replacement, None);
}

#[tokio::test]
async fn what_was_done_by_http_is_told_to_each_call_that_follows() {
    use celeriac_sandbox::Use;
    let told = Mutex::new(Vec::new());
    let one = Use {
        calls: 3,
        denied: 1,
        bytes_in: 20,
        bytes_out: 10,
    };
    let each = |_, _, facts: Attempt| {
        let used = facts.http_used;
        told.lock()
            .unwrap()
            .push((used.calls, used.denied, used.bytes_in, used.bytes_out));
        let mut report = returned("0");
        report.usage.uses.count(Capability::Http, one);
        async move { Ok(report) }.boxed()
    };
    let (limits, facts) = (Limits::default(), Attempt::default());
    let batch = mapped("[1, 2, 3]");
    let whole = batch.run("b".to_owned(), limits, facts, each).await;
    let used = whole.unwrap().usage.uses.of(Capability::Http);
    let told = told.into_inner().unwrap();
    assert_eq!(told, [(0, 0, 0, 0), (3, 1, 20, 10), (6, 2, 40, 20)]);
    assert_eq!((used.calls, used.bytes_in), (9, 60));
}
