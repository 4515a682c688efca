//! Tasks that follow from others, composed by real Celery clients.

use crate::{celery, stage};
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage, until};

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

/// Plays all scenes and checks what the client saw.
fn assert_all(broker: &str, backend: &str) {
    let stage = beside(broker, backend);
    let worker = stage.server(&["worker"]);
    assert_eq!(
        ask("chains", broker, backend),
        json!({
            "three": 24, "steps": [6, 3], "child": true, "parent": true, "one": 3,
            "immutable": 10, "long": 50,
            "failed": ["ValueError", "boom"],
            "unreached": ["FAILURE", "FAILURE", "FAILURE", "SUCCESS"],
            "unknown": "NotRegistered",
        })
    );
    assert_eq!(
        ask("links", broker, backend),
        json!({
            "result": 3, "linked": [13, 23], "alone": 103,
            "failed": ["ValueError", "boom"], "errback": true,
            "unknown": "NotRegistered", "errbacks": [true, true],
        })
    );
    assert_eq!(
        ask("groups", broker, backend),
        json!({"three": [0, 2, 4], "in_chain": [2, 3, 4], "nested": [2, 4, 6]})
    );
    assert_eq!(
        ask("chords", broker, backend),
        json!({
            "simple": 90, "one": 2, "empty": 0, "in_chain": 26, "of_chains": 7,
            "of_chords": 16, "twice": 15, "body_chain": 8, "body_group": [6, 6],
            "ends_in_group": [[3, 4], 18], "deep": 12, "order": true,
        })
    );
    let seen = ask("chord_errors", broker, backend);
    assert_eq!(seen["failed"][0], "ChordError", "{seen}");
    let text = seen["failed"][1].as_str().unwrap_or_default();
    assert!(text.ends_with("raised ValueError('boom')"), "{text}");
    assert_eq!(seen["errback"], true);
    for failed in ["in_chain", "rest", "unknown", "expired", "nested"] {
        assert_eq!(seen[failed], "ChordError", "{failed}: {seen}");
    }
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn chains_groups_and_chords_come_out_as_with_celery_over_redis() {
    let redis = Redis::start();
    assert_all(&redis.url(0), &redis.url(1));
}

#[test]
fn chains_groups_and_chords_come_out_as_with_celery_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_all(&rabbit.url(), &redis.url(1));
}

#[test]
fn what_follows_a_task_is_answered_to_those_who_wait_for_replies() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [rabbit.url(), redis.url(0)] {
        let stage = beside(&broker, "rpc://");
        let _worker = stage.server(&["worker"]);
        assert_eq!(
            ask("replies", &broker, "rpc://"),
            json!({
                "three": 24, "failed": ["ValueError", "boom"],
                "groups": [0, 2, 4], "in_chain": [2, 3, 4],
            }),
            "{broker}"
        );
    }
}

fn assert_mixed(release: &str, broker: &str, backend: &str) {
    let stage = beside(broker, backend).with("worker.unknown_task", "forward:python");
    let ours = stage.server(&["worker"]);
    let _theirs = celery::python(release).worker(broker, backend, "python");
    assert_eq!(
        ask("mixed", broker, backend),
        json!({
            "chain": 21, "from_there": 10, "group": [2, 4, 6, 8],
            "body_here": 20, "body_there": 20, "in_chain": 12,
            "failed_there": ["LookupError", "from Python"],
            "chord_failed_there": "ChordError", "chord_failed_here": "ChordError",
        })
    );
    assert_eq!(ours.stop().code, Some(0));
}

#[test]
fn links_of_one_chain_and_parts_of_one_chord_run_here_and_in_python_over_redis() {
    let redis = Redis::start();
    for release in ["5.7", "5.4"] {
        assert_mixed(release, &redis.url(0), &redis.url(1));
    }
}

#[test]
fn links_of_one_chain_and_parts_of_one_chord_run_here_and_in_python_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_mixed("5.7", &rabbit.url(), &redis.url(1));
}

/// Counts what is stored of tasks that are over.
fn over(redis: &Redis) -> usize {
    let size = redis.cli(1, &["DBSIZE"]);
    size.parse().unwrap_or(0)
}

#[test]
fn chords_whose_workers_are_killed_at_any_moment_come_out_right() {
    const KILLS: usize = 8;
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let stage = beside(&broker, &backend)
        .with("worker.lease", "1s")
        .with("worker.max_deliveries", "100");
    std::thread::scope(|scope| {
        let client = scope.spawn(|| ask("many", &broker, &backend));
        for kill in 1..=KILLS {
            let worker = stage.server(&["worker"]);
            // 40 chords of 15 tasks and two of their bodies, and what is counted of them.
            let enough = kill * 600 / (KILLS + 2);
            until("some are over", || (over(&redis) >= enough).then_some(()));
            worker.kill();
        }
        let last = stage.server(&["worker"]);
        assert_eq!(client.join().unwrap(), json!({"right": true}));
        assert_eq!(last.stop().code, Some(0));
    });
}
