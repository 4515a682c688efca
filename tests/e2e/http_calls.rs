//! Tasks over HTTP, by a program that knows no more than that: called, waited for,
//! followed, revoked; and what is not the caller's.

mod quotas;
mod strangers;

use crate::serve::{Plane, python};
use crate::stage;
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage};

/// Starts a worker and its control plane, with tasks to call.
fn plane(stage: Stage) -> Plane {
    let often = stage
        .with("serve.requests_per_minute", "1000000")
        .with("serve.address_requests_per_minute", "1000000");
    for module in ["text", "report", "flaky"] {
        often.push(module);
    }
    Plane::new(often)
}

fn run(plane: &Plane, scenario: &str, more: &[&str]) -> Value {
    let address = format!("http://{}", plane.address);
    let arguments = [&[scenario, &address, &plane.token], more].concat();
    python().run("http_calls.py", &arguments)
}

/// Does all that a program can do with tasks of its own.
fn works(stage: Stage) {
    let plane = plane(stage);
    let expected = json!({
        "sent": [202, "PENDING"],
        "digits": true,
        "state": "SUCCESS",
        "ended": true,
        "cpu": true,
        "failed": ["FAILURE", "ValueError", "boom"],
        "later": [200, "PENDING", false],
    });
    assert_eq!(run(&plane, "calls", &[]), expected);
    let expected = json!({
        "kinds": ["log", "progress", "result", "state"],
        "pages_in_order": true,
        "lines": ["started", "finished"],
        "last": "result",
        "result": 5,
        "again": ["result"],
    });
    assert_eq!(run(&plane, "follows", &[]), expected);
    let expected = json!({
        "revoked": [202, true],
        "ended": ["REVOKED", true],
        "waiting": 202,
    });
    assert_eq!(run(&plane, "revokes", &[]), expected);
    let before = successes(&plane);
    let expected = json!({
        "statuses": [202],
        "ids": 1,
        "state": "SUCCESS",
        "later": true,
        "other": [409, "key_reused"],
        "wrong": [404, "not_found"],
        "mended": 202,
        "long": [400, "invalid_request"],
    });
    assert_eq!(run(&plane, "keys", &[]), expected);
    // Whatever was sent before it has run when this one has.
    plane
        .stage
        .json(&["call", "text.echo", "-a", "[1]", "--wait"]);
    // One of fifty, the one whose request was mended, and this one.
    support::until("all three ran", || {
        (successes(&plane) > before + 2.5).then_some(())
    });
    assert!((successes(&plane) - before - 3.0).abs() < 0.5);
}

fn successes(plane: &Plane) -> f64 {
    let labels = [("state", "SUCCESS"), ("task", "text.echo")];
    plane.dev.metric("celeriac_tasks_settled_total", &labels)
}

#[test]
fn tasks_are_called_followed_and_revoked_over_http_with_the_embedded_broker() {
    works(stage());
}

#[test]
fn tasks_are_called_followed_and_revoked_over_http_with_redis() {
    let redis = Redis::start();
    works(
        stage()
            .with("broker", &redis.url(0))
            .with("result_backend", &redis.url(1)),
    );
}

#[test]
fn tasks_are_called_followed_and_revoked_over_http_with_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    works(
        stage()
            .with("broker", &rabbit.url())
            .with("result_backend", &redis.url(1))
            // A report may take longer than RabbitMQ lets a message be held.
            .with("worker.consumer_timeout", "2h"),
    );
}
