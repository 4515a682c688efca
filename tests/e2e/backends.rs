//! Real Celery clients on every result backend: what they store, restore and forget.

use crate::celery::python;
use crate::stage;
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage};

/// A stage whose messages are in Redis, and whose results are anywhere.
struct Beside {
    redis: Redis,
    backend: String,
    stage: Stage,
}

impl Beside {
    /// Makes a stage; `backend` names an address with that of the server and a folder.
    fn new(backend: impl FnOnce(&Redis, &Stage) -> String) -> Self {
        let (redis, stage) = (Redis::start(), stage());
        let backend = backend(&redis, &stage);
        let stage = stage
            .with("broker", &redis.url(0))
            .with("result_backend", &backend);
        for module in ["text", "flaky", "report"] {
            stage.push(module);
        }
        Self {
            redis,
            backend,
            stage,
        }
    }

    fn ask(&self, release: &str, what: &str) -> Value {
        let arguments = [what, &self.redis.url(0), &self.backend];
        python(release).run("backends.py", &arguments)
    }
}

fn database(stage: &Stage) -> String {
    format!("db+sqlite:///{}", stage.path("results.sqlite").display())
}

fn files(stage: &Stage) -> String {
    let folder = stage.path("results");
    std::fs::create_dir(&folder).expect("a folder for results");
    format!("file://{}", folder.display())
}

/// Checks what a client of any release saw.
pub(crate) fn assert_everything(seen: &Value) {
    let children = &seen["children"];
    assert!(
        *children == json!([]) || children.is_null(),
        "children: {seen}"
    );
    for (what, expected) in [
        ("words", json!(6)),
        ("state", json!("SUCCESS")),
        ("echo", json!(true)),
        ("value_error", json!(["builtins.ValueError", "boom"])),
        ("retry", json!("succeeded after 1 retries")),
        ("forgotten", json!("PENDING")),
        ("restored", json!(true)),
        ("group", json!([0, 1, 2])),
        ("deleted", json!(null)),
        ("cleanup", json!(["returned", null])),
    ] {
        assert_eq!(seen[what], expected, "{what}: {seen}");
    }
    assert_eq!(seen["not_registered"][0], "celery.exceptions.NotRegistered");
    let pages = seen["progress"].as_array().expect("a list");
    assert!(!pages.is_empty(), "{seen}");
}

fn both_releases(backend: impl FnOnce(&Redis, &Stage) -> String) {
    let beside = Beside::new(backend);
    let worker = beside.stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        assert_everything(&beside.ask(release, "everything"));
    }
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn redis_keeps_what_clients_store_restore_and_forget() {
    both_releases(|redis, _| redis.url(1));
}

#[test]
fn a_sqlite_file_keeps_what_clients_of_every_release_store_restore_and_forget() {
    both_releases(|_, stage| database(stage));
}

#[test]
fn a_folder_keeps_what_clients_store_restore_and_forget() {
    both_releases(|_, stage| files(stage));
}

#[test]
fn clients_of_5_7_read_json_out_of_a_sqlite_file() {
    let mut beside = Beside::new(|_, stage| database(stage));
    beside.stage = beside.stage.with("worker.pickled_results", "false");
    let _worker = beside.stage.server(&["worker"]);
    assert_everything(&beside.ask("5.7", "everything"));
}

#[test]
fn an_extended_result_tells_which_call_it_answers() {
    for backend in [
        |_: &Redis, stage: &Stage| database(stage),
        |redis: &Redis, _: &Stage| redis.url(1),
    ] {
        let mut beside = Beside::new(backend);
        beside.stage = beside
            .stage
            .with("worker.result_extended", "true")
            .with("worker.hostname", "w@host");
        let _worker = beside.stage.server(&["worker"]);
        for release in ["5.4", "5.7"] {
            let seen = beside.ask(release, "extended");
            for (what, expected) in [
                ("name", json!("text.word_count")),
                ("args", json!(["a b a"])),
                ("kwargs", json!({"unique": true})),
                ("worker", json!("w@host")),
                ("retries", json!(0)),
                ("queue", json!("celery")),
            ] {
                assert_eq!(seen[what], expected, "{release} {what}: {seen}");
            }
            // Older releases have no column for stamps.
            let is_older_table = release == "5.4" && beside.backend.starts_with("db");
            if !is_older_table {
                assert_eq!(seen["stamp"], "red", "{release}: {seen}");
            }
        }
    }
}

#[test]
fn callers_alone_hear_of_results_that_nobody_keeps() {
    let rabbit = Rabbit::start();
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", "rpc://")
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "report"] {
        stage.push(module);
    }
    let _worker = stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        let seen = python(release).run("backends.py", &["unsaved", &rabbit.url(), "rpc://"]);
        assert_eq!(seen["words"], 2, "{seen}");
        assert_eq!(seen["value_error"], json!(["builtins.ValueError", "boom"]));
        assert_eq!(seen["cleanup"], json!(["returned", null]));
        assert!(!seen["progress"].as_array().expect("a list").is_empty());
    }
}

#[test]
fn a_task_whose_worker_is_killed_runs_again_and_is_stored_once_in_files() {
    for backend in [
        |_: &Redis, stage: &Stage| database(stage),
        |_: &Redis, stage: &Stage| files(stage),
    ] {
        let mut beside = Beside::new(backend);
        beside.stage = beside.stage.with("worker.lease", "2s");
        let stage = &beside.stage;
        let first = stage.server(&["worker", "-n", "first@%h"]);
        let id = stage.send("report.build", &["-a", r#"["Sales", 6, 300]"#]);
        support::until("PROGRESS", || {
            (stage.stored(&id)["state"] == "PROGRESS").then_some(())
        });
        first.kill();
        let _second = stage.server(&["worker", "-n", "second@%h"]);
        let ended = stage.ended(&id);
        assert_eq!(crate::success(&ended)["pages"], 6);
        assert_eq!(ended["deliveries"], 2, "{ended}");
    }
}
