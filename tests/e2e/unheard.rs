//! Ends of tasks that are stored while their answer is lost, and messages that are sent
//! twice: what follows happens, and once.

use crate::{celery, stage, success};
use serde_json::{Value, json};
use support::{Proxy, Rabbit, Redis, Server, Stage, until};

/// A stage with the tasks that the scenes are made of.
fn beside(broker: &str, results: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", results)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "numbers"] {
        stage.push(module);
    }
    stage
}

fn ask(scene: &str, broker: &str, backend: &str) -> Value {
    celery::python("5.7").run("canvas.py", &[scene, broker, backend])
}

/// How many tasks of a name succeeded for the first time.
fn succeeded(worker: &Server, task: &str) -> f64 {
    let labels = [("task", task), ("state", "SUCCESS")];
    worker.metric("celeriac_tasks_settled_total", &labels)
}

fn repeated(worker: &Server) -> f64 {
    worker.metric("celeriac_tasks_settled_total", &[("state", "REPEATED")])
}

#[test]
fn a_chord_comes_together_although_the_end_of_a_part_was_stored_unheard() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port());
    let through = format!("redis://127.0.0.1:{}/1", proxy.port());
    let stage = beside(&redis.url(0), &through);
    let worker = stage.server(&["worker"]);
    // The server learns the script first, or it would answer that it does not know it.
    success(&stage.call("text.word_count", r#"["a"]"#));
    proxy.lose_answer_to("celery-task-meta-unheard");
    assert_eq!(
        ask("unheard", &redis.url(0), &redis.url(1)),
        json!({"body": 6, "linked": 12})
    );
    assert!(!proxy.is_to_lose(), "the answer was lost");
    until("it was repeated", || {
        (repeated(&worker) > 0.5).then_some(())
    });
    // The other part and the callback.
    let adds = succeeded(&worker, "numbers.add");
    assert!((adds - 2.0).abs() < 0.5, "{adds}");
    assert_eq!(worker.stop().code, Some(0));
}

/// Applies a frozen chain twice, and sends a failed task again.
fn assert_frozen(broker: &str, backend: &str) {
    let stage = beside(broker, backend);
    let worker = stage.server(&["worker"]);
    assert_eq!(
        ask("frozen", broker, backend),
        json!({"chain": [10, 10], "failed": ["ValueError", "boom"]})
    );
    // The second of each link, and of the task that failed.
    until("all were repeated", || {
        (repeated(&worker) > 3.5).then_some(())
    });
    let adds = succeeded(&worker, "numbers.add");
    assert!((adds - 3.0).abs() < 0.5, "each link once: {adds}");
    assert_eq!(
        ask("resent", broker, backend),
        json!({"failed": ["ValueError", "boom"], "told": "PENDING"})
    );
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_frozen_chain_that_is_applied_twice_runs_its_tail_once_over_redis() {
    let redis = Redis::start();
    assert_frozen(&redis.url(0), &redis.url(1));
}

#[test]
fn a_frozen_chain_that_is_applied_twice_runs_its_tail_once_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_frozen(&rabbit.url(), &redis.url(1));
}
