//! Tasks that run at most once, and tasks whose code is gone, called by a Celery program:
//! whoever waits for them, or for what follows them, hears of their end.

mod at_most;

use crate::{celery, stage};
use serde_json::{Value, json};
use std::fs;
use support::{Rabbit, Redis, Stage};

const LOST: &str = "billiard.exceptions.WorkerLostError";
const CHORD_ERROR: &str = "celery.exceptions.ChordError";

fn beside(broker: &str, backend: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "odd", "flaky"] {
        stage.push(module);
    }
    stage
}

/// Plays a scene of the client.
fn ask(scene: &str, urls: &[&str; 2], more: &[&str]) -> Value {
    celery::python("5.7").run("once.py", &[&[scene], &urls[..], more].concat())
}

/// Everything that waited for a task that failed heard of it.
fn assert_followed(seen: &Value, class: &str, words: &str) {
    for one in ["alone", "chain", "behind"] {
        assert_eq!(seen[one][0], class, "{one}: {seen}");
        let text = seen[one][1].as_str().unwrap_or_default();
        assert!(text.contains(words), "{one}: {seen}");
    }
    assert_eq!(seen["errback"], json!(["returned", "told"]), "{seen}");
    assert_eq!(seen["chord"][0], CHORD_ERROR, "{seen}");
}

fn assert_handed_back(urls: &[&str; 2]) {
    let stage = beside(urls[0], urls[1]);
    let worker = stage.server(&["worker"]);
    let seen = ask("followed", urls, &["odd.hands_back", "busy"]);
    assert_followed(&seen, LOST, "an at_most_once task is not run again");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn who_waits_for_an_at_most_once_task_that_wants_another_try_hears_over_redis() {
    let redis = Redis::start();
    assert_handed_back(&[&redis.url(0), &redis.url(1)]);
}

#[test]
fn who_waits_for_an_at_most_once_task_that_wants_another_try_hears_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_handed_back(&[&rabbit.url(), &redis.url(1)]);
}

#[test]
fn the_errback_of_an_at_most_once_task_is_called_when_its_worker_stops_under_it() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let urls = [&rabbit.url()[..], &redis.url(1)];
    let stage = beside(urls[0], urls[1]).with("worker.drain", "100ms");
    let first = stage.server(&["worker"]);
    let ids = ask("begin", &urls, &[]);
    assert_eq!(first.stop().code, Some(0));
    let second = stage.server(&["worker"]);
    let ids = [&ids["task"], &ids["errback"]].map(|id| id.as_str().expect("an id"));
    let seen = ask("ended", &urls, &ids);
    assert_eq!(seen[0][0], LOST, "{seen}");
    assert_eq!(seen[1], json!(["returned", "told"]), "{seen}");
    assert_eq!(second.stop().code, Some(0));
}

/// Removes the code of a module that was pushed, and what was made of it.
fn lose(stage: &Stage, module: &str) {
    let listed = stage.json(&["modules"]);
    let mut modules = listed["modules"].as_array().expect("a list").iter();
    let found = modules.find(|one| one["name"] == module);
    let digest = found.and_then(|one| one["digest"].as_str());
    let digest = digest.expect("it was pushed").trim_start_matches("sha256:");
    for folder in ["components", "artifacts"] {
        for file in fs::read_dir(stage.data().join(folder)).expect("the folder is there") {
            let file = file.expect("it can be listed");
            if file.file_name().to_string_lossy().starts_with(digest) {
                fs::remove_file(file.path()).expect("it can be removed");
            }
        }
    }
}

fn assert_gone(urls: &[&str; 2]) {
    let stage = beside(urls[0], urls[1]).with("worker.repair_time", "0s");
    lose(&stage, "flaky");
    let worker = stage.server(&["worker"]);
    let seen = ask("followed", urls, &["flaky.parses", "7"]);
    let class = "celery.exceptions.ImproperlyConfigured";
    assert_followed(&seen, class, "push it again");
    let dead = stage.run(&["queues", "--dead", "celery", "--json"]).good();
    assert!(dead.out.contains("push it again"), "{}", dead.out);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn who_waits_for_a_task_whose_code_is_gone_hears_in_the_end_over_redis() {
    let redis = Redis::start();
    assert_gone(&[&redis.url(0), &redis.url(1)]);
}

#[test]
fn who_waits_for_a_task_whose_code_is_gone_hears_in_the_end_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_gone(&[&rabbit.url(), &redis.url(1)]);
}
