//! Metrics and health of a worker, over HTTP.

use crate::{stage, success};
use serde_json::Value;
use support::until;

#[test]
fn metrics_have_their_documented_names_after_a_task() {
    let stage = stage().with("limits.cpu", "100ms");
    stage.push("hostile");
    let dev = stage.dev();
    success(&stage.call("hostile.echo_args", "[1]"));
    stage.call("hostile.spin", "[]");
    stage.call("nobody.knows", "[]");
    let labels = [
        ("queue", "celery"),
        ("task", "hostile.echo_args"),
        ("state", "SUCCESS"),
    ];
    until("the count", || {
        (dev.metric("celeriac_tasks_settled_total", &labels) > 0.5).then_some(())
    });
    for (name, labels) in [
        (
            "celeriac_task_queue_wait_seconds_count",
            &[("task", "hostile.echo_args")][..],
        ),
        (
            "celeriac_task_run_seconds_count",
            &[("task", "hostile.echo_args")],
        ),
        ("celeriac_sandbox_refusals_total", &[("limit", "cpu")]),
        (
            "celeriac_tasks_settled_total",
            &[("task", "other"), ("state", "FAILURE")],
        ),
    ] {
        until(name, || (dev.metric(name, labels) > 0.5).then_some(()));
    }
    let (status, page) = until("nothing runs", || {
        let (status, page) = dev.get("/metrics")?;
        page.contains("celeriac_tasks_in_flight 0")
            .then_some((status, page))
    });
    assert!(status == 200 && page.ends_with("# EOF\n"), "{page}");
    assert!(!page.contains("nobody.knows"), "{page}");
}

#[test]
fn health_is_a_document_and_everything_else_is_not_found() {
    let stage = stage();
    let dev = stage.dev();
    let (status, page) = dev.get("/health/ready").expect("a page");
    let page: Value = serde_json::from_str(&page).expect("a document");
    assert_eq!(
        (status, &page["ready"], &page["broker"]["ok"]),
        (200, &true.into(), &true.into()),
        "{page}"
    );
    assert_eq!(dev.get("/health/live").map(|(status, _)| status), Some(200));
    assert_eq!(dev.get("/elsewhere").map(|(status, _)| status), Some(404));
}

#[test]
fn a_worker_that_is_full_is_as_healthy_as_its_broker() {
    let stage = stage().with("worker.concurrency", "1");
    stage.push("report");
    let dev = stage.dev();
    // Longer than the answer of a broker may be old.
    let id = stage.send("report.nap", &["-a", "[12000]"]);
    let ended = until("it ended", || {
        let (status, page) = dev.get("/health/ready").expect("a page");
        assert_eq!(status, 200, "{page}");
        Some(stage.stored(&id)).filter(|stored| stored["state"] == "SUCCESS")
    });
    assert_eq!(*success(&ended), 12_000);
}

#[test]
fn nothing_listens_where_it_is_switched_off() {
    let stage = stage().with("worker.listen", "off");
    let dev = stage.dev();
    assert!(dev.banner()["listen"].is_null(), "{}", dev.banner());
    stage.push("text");
    success(&stage.call("text.echo", "[1]"));
}

#[test]
fn two_workers_of_one_folder_share_the_work() {
    let stage = stage().with("worker.concurrency", "2");
    stage.push("odd");
    let first = stage.server(&["worker", "-n", "first@%h"]);
    let second = stage.server(&["worker", "-n", "second@%h"]);
    let letters: Vec<_> = (0..4)
        .map(|n| support::Letter::new("odd.stays", &format!("s-{n}"), "[5000]"))
        .collect();
    stage.post(&letters);
    until("all done", || {
        (stage.tally().state("SUCCESS") == 4).then_some(())
    });
    for worker in [first, second] {
        until("counted", || {
            (worker.metric("celeriac_tasks_settled_total", &[]) > 1.5).then_some(())
        });
    }
}
