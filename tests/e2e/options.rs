//! Every serializer, compression and option of a Celery client, over both brokers.

use crate::celery::python;
use crate::stage;
use serde_json::{Value, json};
use support::{Rabbit, Redis};

/// Runs the client against a worker that accepts every format.
fn ask(broker: &str, backend: &str) -> Value {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h")
        .with("accept_content", "json,yaml,msgpack,pickle");
    for module in ["text", "flaky"] {
        stage.push(module);
    }
    let _worker = stage.server(&["worker"]);
    python("5.7-formats").run("options.py", &[broker, backend])
}

fn check(seen: &Value) {
    let seen = seen.as_object().expect("an object");
    for what in [
        "json lzma",
        "pickle gzip",
        "yaml zstd",
        "msgpack brotli",
        "protocol 1 pickle",
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
    check(&ask(&redis.url(0), &redis.url(1)));
}

#[test]
fn every_option_of_a_client_is_understood_over_rabbitmq() {
    let redis = Redis::start();
    let rabbit = Rabbit::start();
    check(&ask(&rabbit.url(), &redis.url(1)));
}
