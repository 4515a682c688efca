//! The tasks that every worker of Celery has, sent by real Celery clients.

use crate::{celery, stage};
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage, until};

/// A stage with the tasks that the scenes call.
fn beside(broker: &str, results: impl FnOnce(&Stage) -> String) -> (Stage, String) {
    let stage = stage();
    let results = results(&stage);
    let stage = stage
        .with("broker", broker)
        .with("result_backend", &results)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "numbers"] {
        stage.push(module);
    }
    (stage, results)
}

fn ask(release: &str, scene: &str, broker: &str, backend: &str) -> Value {
    celery::python(release).run("builtins.py", &[scene, broker, backend])
}

fn database(stage: &Stage) -> String {
    format!("db+sqlite:///{}", stage.path("results.sqlite").display())
}

fn files(stage: &Stage) -> String {
    let folder = stage.path("results");
    std::fs::create_dir(&folder).expect("a folder for results");
    format!("file://{}", folder.display())
}

pub(crate) fn assert_calls(broker: &str, backend: &str) {
    let (stage, backend) = beside(broker, |_| backend.to_owned());
    let worker = stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        let chunks = json!([[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]);
        let mut seen = ask(release, "calls", broker, &backend);
        let alone = seen["chunks_alone"].take();
        assert_eq!(alone[0], "NotRegistered", "{release}: {alone}");
        let words = alone[1].as_str().unwrap_or_default();
        assert!(words.contains(".group()"), "{release}: {words}");
        assert_eq!(
            seen,
            json!({
                "map": [3, 3, 0], "order": true, "none": [], "starmap": [0, 2, 4],
                "chunks": chunks, "chunks_group": chunks, "in_chord": chunks, "in_chain": 6,
                "failed": ["ValueError", "boom"], "unknown": "NotRegistered",
                "retried": ["succeeded after 1 retries", "succeeded after 1 retries"],
                "limited": "LimitExceeded", "wrong": "TypeError",
                "chunks_step": [[0, 2], [4, 6], [8]], "chunks_alone": null, "map_step": 6,
                "maps": [2], "chord_of_maps": [[1, 2], [2]], "linked_map": [3, [3]],
            }),
            "{release}"
        );
        assert_eq!(
            ask(release, "accumulated", broker, &backend),
            json!({"all": [1, "b", null], "one": "b", "over": "IndexError"})
        );
    }
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn maps_starmaps_and_chunks_come_out_as_with_celery_over_redis() {
    let redis = Redis::start();
    assert_calls(&redis.url(0), &redis.url(1));
}

#[test]
fn maps_starmaps_and_chunks_come_out_as_with_celery_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_calls(&rabbit.url(), &redis.url(1));
}

/// Checks what clients saw of chords whose parts nobody counts.
pub(crate) fn assert_chords(broker: &str, results: impl FnOnce(&Stage) -> String) {
    let (stage, backend) = beside(broker, results);
    let worker = stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        let seen = ask(release, "chords", broker, &backend);
        assert_eq!(seen["python"], 20, "{release}: {seen}");
        assert_eq!(seen["here"], 113, "{release}: {seen}");
        // Celery's clients turn the members of a group within a header round.
        assert_eq!(
            seen["chunks_here"],
            json!([[6], [2, 4], 6]),
            "{release}: {seen}"
        );
        for failed in ["failed", "failed_here"] {
            assert_eq!(seen[failed][0], "ChordError", "{release}: {seen}");
            let text = seen[failed][1].as_str().unwrap_or_default();
            assert!(text.ends_with("raised ValueError('boom')"), "{text}");
        }
    }
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn chords_come_together_in_a_sqlite_file() {
    assert_chords(&Redis::start().url(0), database);
}

#[test]
fn chords_come_together_in_a_folder() {
    assert_chords(&Rabbit::start().url(), files);
}

/// Counts the results in the folder.
fn documents(stage: &Stage) -> usize {
    let folder = std::fs::read_dir(stage.path("results")).expect("the folder");
    let names = folder.map(|entry| entry.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("celery-task-meta-"))
        .count()
}

#[test]
fn a_chord_whose_workers_are_killed_while_they_look_for_its_parts_comes_together_once() {
    let redis = Redis::start();
    let broker = redis.url(0);
    let (stage, backend) = beside(&broker, files);
    let stage = stage
        .with("worker.lease", "1s")
        .with("worker.max_deliveries", "100");
    std::thread::scope(|scope| {
        let client = scope.spawn(|| ask("5.7", "many", &broker, &backend));
        let mut worker = stage.server(&["worker"]);
        for over in [6, 14, 24] {
            until("some are over", || {
                (documents(&stage) >= over).then_some(())
            });
            worker.kill();
            worker = stage.server(&["worker"]);
        }
        assert_eq!(client.join().unwrap(), json!({"right": true}));
        assert_eq!(worker.stop().code, Some(0));
    });
}
