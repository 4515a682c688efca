//! Every serializer, compression and option of a Celery client, over both brokers.

use crate::celery::python;
use crate::stage;
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage};

/// The oldest and the newest release, each with all serializers and compressions.
const RELEASES: [&str; 2] = ["5.4", "5.7-formats"];

fn beside(broker: &str, backend: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "report"] {
        stage.push(module);
    }
    stage
}

/// Runs each client against a worker that accepts every format.
fn check_all(broker: &str, backend: &str) {
    let stage = beside(broker, backend).with("accept_content", "json,yaml,msgpack,pickle");
    let _worker = stage.server(&["worker"]);
    for release in RELEASES {
        check(&python(release).run("options.py", &["everything", broker, backend]));
    }
}

fn check(seen: &Value) {
    let seen = seen.as_object().expect("an object");
    for what in [
        "json lzma",
        "pickle gzip",
        "yaml zstd",
        "msgpack brotli",
        "json calendar",
        "protocol 1 pickle",
        "protocol 1 yaml",
        "protocol 1 chord",
        "headers",
    ] {
        assert!(seen.contains_key(what), "{what}: {seen:?}");
    }
    for (what, value) in seen {
        let expected = match what.as_str() {
            "set" => {
                assert_eq!(value[0], "TypeError", "{value}");
                assert!(
                    value[1]
                        .as_str()
                        .is_some_and(|text| text.contains("send a list"))
                );
                continue;
            }
            retry if retry.ends_with("retry") => json!("succeeded after 2 retries"),
            _ => json!(true),
        };
        assert_eq!(*value, expected, "{what}");
    }
}

#[test]
fn every_option_of_a_client_is_understood_over_redis() {
    let redis = Redis::start();
    check_all(&redis.url(0), &redis.url(1));
}

#[test]
fn every_option_of_a_client_is_understood_over_rabbitmq() {
    let redis = Redis::start();
    let rabbit = Rabbit::start();
    check_all(&rabbit.url(), &redis.url(1));
}

#[test]
fn a_format_that_is_not_accepted_is_refused_to_its_caller_over_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let backend = redis.url(results);
        let stage = beside(&broker, &backend);
        let _worker = stage.server(&["worker"]);
        for release in RELEASES {
            let seen = python(release).run("options.py", &["refused", &broker, &backend]);
            assert_eq!(seen["json"], 1, "{seen}");
            for format in ["yaml", "msgpack", "pickle"] {
                for rest in ["None 2", "gzip 2", "None 1", "gzip 1"] {
                    let told = &seen[format!("{format} {rest}")];
                    let class = "kombu.exceptions.ContentDisallowed";
                    assert_eq!(told[0], class, "{format} {rest}: {seen}");
                    let words = told[1].as_str().unwrap_or_default();
                    assert!(words.contains("is not accepted"), "{format} {rest}: {seen}");
                }
            }
        }
    }
}
