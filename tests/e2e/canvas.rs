//! Tasks that follow from others, composed by real Celery clients.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::path::Path;
use support::{Rabbit, Redis, Server, Stage, until};

/// A stage with the tasks that the scenes are made of.
fn beside(broker: &str, results: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", results)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "numbers", "odd"] {
        stage.push(module);
    }
    stage
}

fn ask(release: &str, scene: &str, broker: &str, backend: &str) -> Value {
    celery::python(release).run("canvas.py", &[scene, broker, backend])
}

/// What a client of any release sees of each scene.
fn expected(scene: &str) -> Value {
    match scene {
        "chains" => json!({
            "three": 24, "steps": [6, 3], "child": true, "parent": true, "one": 3,
            "immutable": 10, "long": 50,
            "failed": ["ValueError", "boom"],
            "unreached": ["FAILURE", "FAILURE", "FAILURE", "SUCCESS"],
            "unknown": "NotRegistered",
        }),
        "links" => json!({
            "result": 3, "linked": [13, 23], "alone": 103, "immutable": 10,
            "failed": ["ValueError", "boom"], "errback": true,
            "unknown": "NotRegistered", "errbacks": [true, true],
            "of_chain": true, "of_group": true,
        }),
        "groups" => json!({
            "three": [0, 2, 4], "in_chain": [2, 3, 4], "ids": true, "nested": [2, 4, 6],
        }),
        "family" => json!({
            "ids": true, "roots": true, "parents": true, "members": true, "body": true,
            "linked": true,
        }),
        "chords" => json!({
            "simple": 90, "one": 2, "empty": 0, "in_chain": 26, "of_chains": 7,
            "of_chords": 16, "twice": 15, "body_chain": 8, "body_group": [6, 6],
            "body_immutable": 10, "ends_in_group": [[3, 4], 18], "deep": 12, "order": true,
        }),
        scene => panic!("{scene} is not among the scenes"),
    }
}

fn assert_chord_errors(seen: &Value) {
    let text = seen["failed"][1].as_str().unwrap_or_default();
    assert!(text.ends_with("raised ValueError('boom')"), "{text}");
    for failed in ["failed", "in_chain", "rest", "unknown", "expired", "nested"] {
        assert_eq!(seen[failed][0], "ChordError", "{failed}: {seen}");
    }
    for told in ["errback", "errback_of_member", "errback_of_chord"] {
        assert_eq!(seen[told], true, "{told}: {seen}");
    }
}

/// Plays all scenes at the same time and checks what the clients saw.
pub(crate) fn assert_all(release: &str, broker: &str, backend: &str) {
    let stage = beside(broker, backend);
    let worker = stage.server(&["worker", "-Q", "celery,late"]);
    let ask = |scene: &str| ask(release, scene, broker, backend);
    std::thread::scope(|scope| {
        for scene in ["chains", "links", "groups", "family", "chords"] {
            scope.spawn(move || assert_eq!(ask(scene), expected(scene), "{scene}"));
        }
        scope.spawn(|| assert_chord_errors(&ask("chord_errors")));
    });
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn chains_groups_and_chords_come_out_as_with_celery_over_redis() {
    let redis = Redis::start();
    assert_all("5.7", &redis.url(0), &redis.url(1));
}

#[test]
fn chains_groups_and_chords_come_out_as_with_celery_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_all("5.7", &rabbit.url(), &redis.url(1));
}

#[test]
fn chains_groups_and_chords_of_the_oldest_client_come_out_over_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_all("5.4", &redis.url(0), &redis.url(1));
    assert_all("5.4", &rabbit.url(), &redis.url(2));
}

/// Results where nobody counts the parts of a chord, beside each of the brokers.
fn uncounted(make: impl Fn(&Path) -> String) {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [redis.url(0), rabbit.url()] {
        let folder = stage();
        assert_all("5.7", &broker, &make(folder.folder()));
    }
}

pub(crate) fn database(folder: &Path) -> String {
    format!("db+sqlite:///{}", folder.join("results.sqlite").display())
}

pub(crate) fn files(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

#[test]
fn chains_groups_and_chords_come_out_where_results_are_in_a_sqlite_file() {
    uncounted(database);
}

#[test]
fn chains_groups_and_chords_come_out_where_results_are_in_a_folder() {
    uncounted(files);
}

#[test]
fn what_follows_a_task_is_answered_to_those_who_wait_for_replies() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [rabbit.url(), redis.url(0)] {
        let stage = beside(&broker, "rpc://");
        let _worker = stage.server(&["worker"]);
        assert_eq!(
            ask("5.7", "replies", &broker, "rpc://"),
            json!({
                "three": 24, "failed": ["ValueError", "boom"],
                "groups": [0, 2, 4], "in_chain": [2, 3, 4],
            }),
            "{broker}"
        );
    }
}

pub(crate) fn assert_mixed(release: &str, broker: &str, backend: &str) {
    let stage = beside(broker, backend).with("worker.unknown_task", "forward:python");
    let ours = stage.server(&["worker"]);
    let _theirs = celery::python(release).worker(broker, backend, "python");
    assert_eq!(
        ask(release, "mixed", broker, backend),
        json!({
            "chain": 21, "from_there": 10, "group": [2, 4, 6, 8],
            "body_here": 20, "body_there": 20, "in_chain": 12,
            "failed_there": ["LookupError", "from Python"],
            "chord_failed_there": "ChordError", "chord_failed_here": "ChordError",
            "errback_there": true, "errback_here": true, "errback_of_body": true,
            "starmaps": [[2, 4], [6]], "starmaps_there": [[2, 4], [6]],
            "starmap_handed_on": [2, 4], "starmap_there_between": 7,
            "starmap_here_between": 6,
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
    for release in ["5.7", "5.4"] {
        assert_mixed(release, &rabbit.url(), &redis.url(1));
    }
}

/// Counts the bodies of chords that ran.
fn bodies(witness: &Server) -> f64 {
    let labels = [("task", "numbers.total"), ("state", "SUCCESS")];
    witness.metric("celeriac_tasks_settled_total", &labels)
}

/// Waits until what was held by workers that were killed was looked at again.
fn until_empty(stage: &Stage, queues: &[&str]) {
    let command = [&["queues"], queues].concat();
    until("nothing is left", || {
        let depths = stage.json(&command);
        let depths = depths["queues"].as_array().expect("a list").clone();
        let is_empty = |one: &Value| {
            one["ready"] == 0 && one["dead"] == 0 && one["leased"].as_u64().unwrap_or(0) == 0
        };
        depths.iter().all(is_empty).then_some(())
    });
}

/// Kills the workers that run the parts of chords, each after some more chords are over. The
/// bodies run in a worker that lives, which saw each body once in the end.
fn assert_kills(broker: &str, backend: &str) {
    const CHORDS: u32 = 40;
    const KILLS: u32 = 6;
    let stage = beside(broker, backend).with("worker.max_deliveries", "100");
    let witness = stage.server(&["worker", "-Q", "bodies", "-n", "witness@%h"]);
    let stage = stage.with("worker.lease", "1s");
    std::thread::scope(|scope| {
        let client = scope.spawn(|| ask("5.7", "many", broker, backend));
        for kill in 1..=KILLS {
            let worker = stage.server(&["worker"]);
            let enough = f64::from(kill * CHORDS / (KILLS + 2));
            until("some are over", || {
                (bodies(&witness) >= enough).then_some(())
            });
            worker.kill();
        }
        let last = stage.server(&["worker"]);
        assert_eq!(
            client.join().expect("the client ends"),
            json!({"right": true})
        );
        until_empty(&stage, &["celery", "bodies"]);
        assert_eq!(last.stop().code, Some(0));
    });
    assert!((bodies(&witness) - f64::from(CHORDS)).abs() < 0.5);
    assert_eq!(witness.stop().code, Some(0));
}

/// Kills the workers that run long chains, each after some more links.
fn assert_killed_chains(broker: &str, backend: &str) {
    const KILLS: u32 = 3;
    let stage = beside(broker, backend)
        .with("worker.lease", "1s")
        .with("worker.max_deliveries", "100");
    std::thread::scope(|scope| {
        let client = scope.spawn(|| ask("5.7", "long_chains", broker, backend));
        let mut before = 0.0;
        for kill in 1..=KILLS {
            let worker = stage.server(&["worker"]);
            let enough = f64::from(80 * kill);
            let settled = until("some links are over", || {
                let settled = before + worker.metric("celeriac_tasks_settled_total", &[]);
                Some(settled).filter(|settled| *settled >= enough)
            });
            worker.kill();
            before = settled;
        }
        let last = stage.server(&["worker"]);
        let right = json!({"right": true});
        assert_eq!(client.join().expect("the client ends"), right);
        until_empty(&stage, &["celery"]);
        assert_eq!(last.stop().code, Some(0));
    });
}

#[test]
fn chains_whose_workers_are_killed_at_any_moment_come_out_right() {
    let redis = Redis::start();
    assert_killed_chains(&redis.url(0), &redis.url(1));
}

#[test]
fn chains_whose_workers_are_killed_at_any_moment_come_out_right_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_killed_chains(&rabbit.url(), &redis.url(1));
}

#[test]
fn chords_whose_workers_are_killed_at_any_moment_come_out_right() {
    let redis = Redis::start();
    assert_kills(&redis.url(0), &redis.url(1));
}

#[test]
fn chords_whose_workers_are_killed_at_any_moment_come_out_right_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_kills(&rabbit.url(), &redis.url(1));
}

#[test]
fn chords_whose_workers_are_killed_at_any_moment_come_out_right_in_a_sqlite_file() {
    let (rabbit, folder) = (Rabbit::start(), stage());
    assert_kills(&rabbit.url(), &database(folder.folder()));
}
