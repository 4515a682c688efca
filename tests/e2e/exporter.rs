//! The exporter that tells Prometheus of Celery's workers, in front of ours.

use crate::{celery, stage};
use std::net::SocketAddr;
use support::{Rabbit, Redis, free_port, http, until};

const NODE: &str = "w1@example";
/// What the exporter makes of it.
const HOST: &str = "example";

/// A series, labels of it, and its value.
type Wanted<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Returns the value of a series whose name and labels are these.
fn series(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |line: &&str| {
        let inner = line.strip_prefix(name).filter(|rest| rest.starts_with('{'));
        let has = |(key, value): &(&str, &str)| line.contains(&format!("{key}=\"{value}\""));
        inner.is_some() && labels.iter().all(has)
    };
    let line = page.lines().find(fits)?;
    line.rsplit_once(' ')?.1.parse().ok()
}

fn check(broker: &str, backend: &str) {
    let port = free_port();
    let port_flag = format!("--port={port}");
    let arguments = ["--broker-url", broker, "--host=127.0.0.1", &port_flag];
    let _exporter = celery::python("5.5-exporter").start("exporter.py", &arguments);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let shows = |what: &str, wanted: &[Wanted<'_>]| {
        until(what, || {
            let (status, page) = http::get(address, "/metrics").ok()?;
            let has =
                |(name, labels, value): &Wanted<'_>| series(&page, name, labels) == Some(*value);
            (status == 200 && wanted.iter().all(has)).then_some(())
        });
    };
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky"] {
        stage.push(module);
    }
    let worker = stage.server(&["worker", "-E", "-n", NODE]);
    let node = [("hostname", HOST)];
    shows("it listens", &[("celery_worker_up", &node, 1.0)]);

    for _ in 0..3 {
        stage.call("text.word_count", r#"["a b"]"#);
    }
    stage.call("flaky.fails", r#"["ValueError", "boom"]"#);
    stage.call("flaky.fails_until", "[2]");
    let words = [("name", "text.word_count"), ("queue_name", "celery")];
    let fails = [("name", "flaky.fails"), ("exception", "ValueError")];
    let retries = [("name", "flaky.fails_until")];
    let queue = [("queue_name", "celery")];
    shows(
        "the worker, its queue and its tasks",
        &[
            ("celery_worker_tasks_active", &node, 0.0),
            ("celery_active_worker_count", &queue, 1.0),
            ("celery_queue_length", &queue, 0.0),
            ("celery_task_received_total", &words, 3.0),
            ("celery_task_started_total", &words, 3.0),
            ("celery_task_succeeded_total", &words, 3.0),
            ("celery_task_runtime_count", &words, 3.0),
            ("celery_task_failed_total", &fails, 1.0),
            ("celery_task_retried_total", &retries, 2.0),
            ("celery_task_succeeded_total", &retries, 1.0),
        ],
    );
    assert_eq!(worker.stop().code, Some(0));
    shows("it is gone", &[("celery_worker_up", &node, 0.0)]);
}

#[test]
fn the_exporter_for_prometheus_shows_our_worker_and_its_tasks_over_redis() {
    let redis = Redis::start();
    check(&redis.url(0), &redis.url(1));
}

#[test]
fn the_exporter_for_prometheus_shows_our_worker_and_its_tasks_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    check(&rabbit.url(), &redis.url(1));
}
