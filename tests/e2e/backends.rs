//! Real Celery clients on every result backend: what they store, restore and forget.

use crate::beside::{Backend, Beside};
use serde_json::{Value, json};
use support::{Redis, Stage};

fn redis(redis: &Redis, _: &Stage) -> String {
    redis.url(1)
}

fn database(_: &Redis, stage: &Stage) -> String {
    format!("db+sqlite:///{}", stage.path("results.sqlite").display())
}

fn files(_: &Redis, stage: &Stage) -> String {
    let folder = stage.path("results");
    std::fs::create_dir(&folder).expect("a folder for results");
    format!("file://{}", folder.display())
}

/// Checks what a client of any release saw.
pub(crate) fn assert_everything(seen: &Value) {
    assert_all_but_children(seen);
    // Tables of older releases have no column for them.
    let children = seen.get("linked_children");
    let is_older = seen["celery"].as_str().is_some_and(|it| it < "5.5");
    let is_table = seen["backend"] == "DatabaseBackend";
    match is_older && is_table {
        true => assert_eq!(children, None, "{seen}"),
        false => assert_eq!(children, Some(&json!([2])), "{seen}"),
    }
}

/// Checks what a client saw of results in a table that an older release made.
pub(crate) fn assert_all_but_children(seen: &Value) {
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
        ("linked", json!(2)),
    ] {
        assert_eq!(seen[what], expected, "{what}: {seen}");
    }
    assert_eq!(seen["not_registered"][0], "celery.exceptions.NotRegistered");
    let pages = seen["progress"].as_array().expect("a list");
    assert!(!pages.is_empty(), "{seen}");
    let cleaned = &seen["cleaned"];
    let [success, pending] = ["SUCCESS", "PENDING"];
    assert!(
        cleaned.is_null()
            || *cleaned
                == json!([
                    [success, success, success],
                    [pending, pending, success],
                    [false, true]
                ]),
        "{seen}"
    );
}

pub(crate) fn both_releases(beside: &Beside) {
    let worker = beside.stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        let seen = beside.ask(release, "everything");
        assert_everything(&seen);
        let is_redis = beside.backend.starts_with("redis");
        assert_eq!(seen["cleaned"].is_null(), is_redis, "{seen}");
    }
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn redis_keeps_what_clients_store_restore_and_forget() {
    both_releases(&Beside::new(redis));
}

#[test]
fn redis_keeps_what_clients_of_rabbitmq_store_restore_and_forget() {
    both_releases(&Beside::through_rabbitmq(redis));
}

#[test]
fn a_sqlite_file_keeps_what_clients_of_every_release_store_restore_and_forget() {
    both_releases(&Beside::new(database));
}

#[test]
fn a_sqlite_file_keeps_what_clients_of_rabbitmq_store_restore_and_forget() {
    both_releases(&Beside::through_rabbitmq(database));
}

#[test]
fn a_folder_keeps_what_clients_store_restore_and_forget() {
    both_releases(&Beside::new(files));
}

#[test]
fn a_folder_keeps_what_clients_of_rabbitmq_store_restore_and_forget() {
    both_releases(&Beside::through_rabbitmq(files));
}

#[test]
fn clients_of_5_7_read_json_out_of_a_sqlite_file() {
    let beside = Beside::new(database).with("worker.pickled_results", "false");
    let _worker = beside.stage.server(&["worker"]);
    assert_everything(&beside.ask("5.7", "everything"));
}

/// A database in Redis holds all keys of results, each for as long as is configured.
#[test]
fn every_key_of_redis_ends_when_its_result_does() {
    for beside in [Beside::new(redis), Beside::through_rabbitmq(redis)] {
        let beside = beside.with("worker.result_keep", "2h");
        let worker = beside.stage.server(&["worker"]);
        let chord = beside.ask("5.7", "expiring")["chord"].to_string();
        let chord = chord.trim_matches('"');
        let keys = beside.redis.cli(1, &["KEYS", "*"]);
        let some = |part: &str| keys.lines().any(|key| key.contains(part));
        for part in ["celery-task-meta-", "celery-taskset-meta-", chord] {
            assert!(some(part), "{part}: {keys}");
        }
        for key in keys.lines() {
            let left = beside.redis.cli(1, &["TTL", key]);
            let left: i64 = left.parse().expect("seconds");
            let most = match key {
                // What tenants used is counted by the day.
                key if key.starts_with("celeriac-cpu-") => 2 * 86_400,
                // What they stored, by a twenty-fourth of the time it is kept.
                key if key.starts_with("celeriac-stored-") => 7_200 + 300,
                _ => 7_200,
            };
            assert!((1..=most).contains(&left), "{key}: {left}");
        }
        assert_eq!(worker.stop().code, Some(0));
    }
}

fn assert_nothing_written(make: fn(Backend) -> Beside) {
    for backend in [redis, database, files] {
        let beside = make(backend);
        let worker = ["worker", "-c", "1", "-Q", "celery,one"];
        let _worker = beside.stage.server(&worker);
        assert_eq!(beside.ask("5.7", "ignored"), 1, "{}", beside.backend);
    }
}

#[test]
fn nothing_is_written_for_what_nobody_wants_to_know() {
    assert_nothing_written(Beside::new);
}

#[test]
fn nothing_is_written_for_what_nobody_wants_to_know_through_rabbitmq() {
    assert_nothing_written(Beside::through_rabbitmq);
}

/// The result of `extended` tells of the call that it answers.
pub(crate) fn assert_tells_its_call(seen: &Value) {
    for (what, expected) in [
        ("name", json!("text.word_count")),
        ("args", json!(["a b a"])),
        ("kwargs", json!({"unique": true})),
        ("worker", json!("w@host")),
        ("retries", json!(0)),
        ("queue", json!("celery")),
    ] {
        assert_eq!(seen[what], expected, "{what}: {seen}");
    }
}

fn assert_extended(beside: Beside) {
    let beside = beside
        .with("worker.result_extended", "true")
        .with("worker.hostname", "w@host");
    let _worker = beside.stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        let seen = beside.ask(release, "extended");
        assert_tells_its_call(&seen);
        // Older releases have no column for stamps.
        let is_older_table = release == "5.4" && beside.backend.starts_with("db");
        if !is_older_table {
            assert_eq!(seen["stamp"], "red", "{release}: {seen}");
        }
    }
}

#[test]
fn an_extended_result_tells_which_call_it_answers() {
    assert_extended(Beside::new(redis));
    assert_extended(Beside::through_rabbitmq(redis));
}

#[test]
fn an_extended_result_in_sqlite_tells_which_call_it_answers() {
    assert_extended(Beside::new(database));
    assert_extended(Beside::through_rabbitmq(database));
}

#[test]
fn an_extended_result_in_a_folder_tells_which_call_it_answers() {
    assert_extended(Beside::new(files));
    assert_extended(Beside::through_rabbitmq(files));
}

#[test]
fn callers_alone_hear_of_results_that_nobody_keeps() {
    let replies: Backend = |_, _| "rpc://".to_owned();
    for beside in [Beside::new(replies), Beside::through_rabbitmq(replies)] {
        let _worker = beside.stage.server(&["worker"]);
        for release in ["5.4", "5.7"] {
            let seen = beside.ask(release, "unsaved");
            assert_eq!(seen["words"], 2, "{seen}");
            assert_eq!(seen["value_error"], json!(["builtins.ValueError", "boom"]));
            assert_eq!(seen["cleanup"], json!(["returned", null]));
            assert!(!seen["progress"].as_array().expect("a list").is_empty());
        }
    }
}

#[test]
fn a_task_whose_worker_is_killed_runs_again_and_is_stored_once_in_files() {
    for backend in [database, files] {
        let beside = Beside::new(backend).with("worker.lease", "2s");
        let stage = &beside.stage;
        let first = stage.server(&["worker", "-n", "first@%h"]);
        let id = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
        support::until("PROGRESS", || {
            (stage.stored(&id)["state"] == "PROGRESS").then_some(())
        });
        first.kill();
        let _second = stage.server(&["worker", "-n", "second@%h"]);
        let ended = stage.ended(&id);
        assert_eq!(crate::success(&ended)["pages"], 20);
        assert_eq!(ended["deliveries"], 2, "{ended}");
    }
}
