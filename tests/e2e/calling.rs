//! Each option of a call, as a Celery program sets it, and what becomes of it.

use crate::{celery, stage};
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage};

fn beside(broker: &str, backend: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.result_extended", "true")
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "odd", "report"] {
        stage.push(module);
    }
    stage
}

fn ask(arguments: &[&str]) -> Value {
    ask_of("5.7", arguments)
}

fn ask_of(release: &str, arguments: &[&str]) -> Value {
    celery::python(release).run("calls.py", arguments)
}

/// Fills a queue, and returns the priorities in the order in which one worker served them.
fn order(broker: &str, backend: &str) -> Vec<i64> {
    let stage = beside(broker, backend);
    let sent = ask(&["fill", broker, backend]);
    let sent: Vec<(String, i64)> = serde_json::from_value(sent).expect("ids and priorities");
    let _worker = stage.server(&["worker", "-Q", "ranked", "-c", "1"]);
    let ids: Vec<&str> = sent.iter().map(|(id, _)| id.as_str()).collect();
    let ended = ask(&[&["order", broker, backend], &ids[..]].concat());
    let ended: Vec<String> = serde_json::from_value(ended).expect("ids");
    // Those of one priority in the order in which they were sent.
    let place = |id: &String| ids.iter().position(|sent| sent == id).unwrap_or_default();
    let places: Vec<usize> = ended.iter().map(place).collect();
    let ranks: Vec<i64> = places.iter().map(|place| sent[*place].1).collect();
    let pairs = places.windows(2).zip(ranks.windows(2));
    for (places, ranks) in pairs {
        assert!(ranks[0] != ranks[1] || places[0] < places[1], "{places:?}");
    }
    ranks
}

#[test]
fn zero_is_first_in_a_queue_of_redis() {
    let redis = Redis::start();
    let ranks = order(&redis.url(0), &redis.url(1));
    assert_eq!(ranks, [0, 0, 3, 3, 6, 6, 9, 9]);
}

#[test]
fn nine_is_first_in_a_queue_of_rabbitmq_with_priorities() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let ranks = order(&rabbit.url(), &redis.url(1));
    assert_eq!(ranks, [9, 9, 6, 6, 3, 3, 0, 0]);
}

fn assert_places(seen: &Value) {
    assert_eq!(
        *seen,
        json!({
            "queue": "side", "routing_key": "side",
            "family": ["chosen", "the-root", "the-parent"],
            "header": "seven", "number": "7", "nested": r#"{"a":[1]}"#, "no header": null,
            "ignored": "PENDING",
        })
    );
}

fn assert_moments(seen: &Value) {
    for name in ["60", "aware", "naive", "offset"] {
        let told = &seen[format!("expires {name}")];
        assert_eq!(*told, json!(["returned", "ran"]), "{name}");
    }
    for name in ["past", "past naive", "-1", "1", "0.5"] {
        let told = &seen[format!("expires {name}")];
        assert_eq!(told[0], "celery.exceptions.TaskRevokedError", "{name}");
        let words = told[1].as_str().unwrap_or_default();
        assert!(words.starts_with("expired"), "{name}: {words}");
    }
    for name in [
        "countdown 1",
        "countdown 1.5",
        "eta aware",
        "eta naive",
        "eta offset",
    ] {
        assert_eq!(seen[name], true, "{name}");
    }
    for name in ["countdown 0", "countdown -5", "eta past"] {
        assert_eq!(seen[name], json!(["returned", 1]), "{name}");
    }
}

fn assert_limits(seen: &Value) {
    let hard = "billiard.exceptions.TimeLimitExceeded";
    let soft = "billiard.exceptions.SoftTimeLimitExceeded";
    for (name, limit) in [
        ("own", "2 s"),
        ("lower", "1 s"),
        ("fraction", "500 ms"),
        // No caller raises it.
        ("higher", "2 s"),
    ] {
        let told = &seen[name];
        assert_eq!(told[0], hard, "{name}: {told}");
        let words = told[1].as_str().unwrap_or_default();
        let expected = format!("limit of {limit} reached");
        assert!(words.contains(&expected), "{name}: {told}");
    }
    assert_eq!(seen["soft"][0], soft, "{seen}");
    assert_eq!(seen["both"][0], soft, "{seen}");
    assert_eq!(seen["enough"], json!(["returned", [1, 0]]), "{seen}");
}

fn assert_shown(seen: &Value) {
    assert_eq!(
        seen["received"],
        json!(["a shadow", "(hidden)", "{hidden}"])
    );
    assert_eq!(seen["document name"], "text.echo", "{seen}");
    assert_eq!(
        seen["stamps"],
        json!({"stamped_headers": ["many", "order"], "order": "o-1", "many": ["a", "b"]})
    );
    assert_eq!(
        seen["signature stamps"],
        json!({"stamped_headers": ["order"], "order": "o-2"})
    );
    assert_eq!(seen["moments"], json!([true, true]));
}

/// Calls tasks with every option over one broker.
fn assert_options(release: &str, broker: &str, backend: &str) {
    let stage = beside(broker, backend)
        .with("limits.wall", "2s")
        .with("tenants.default.wall", "2s");
    let worker = stage.server(&["worker", "-E", "-Q", "celery,side"]);
    let seen = ask_of(release, &["options", broker, backend]);
    assert_places(&seen["places"]);
    assert_moments(&seen["moments"]);
    assert_limits(&seen["limits"]);
    assert_shown(&seen["shown"]);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn each_option_does_what_it_says_over_redis() {
    let redis = Redis::start();
    assert_options("5.7", &redis.url(0), &redis.url(1));
}

#[test]
fn each_option_does_what_it_says_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_options("5.7", &rabbit.url(), &redis.url(1));
}

#[test]
fn each_option_of_the_oldest_client_does_what_it_says_over_redis() {
    let redis = Redis::start();
    assert_options("5.4", &redis.url(0), &redis.url(1));
}

#[test]
fn each_option_of_the_oldest_client_does_what_it_says_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_options("5.4", &rabbit.url(), &redis.url(1));
}

/// A retry is the same call, one retry later.
fn assert_again(release: &str, broker: &str, backend: &str) {
    let stage = beside(broker, backend);
    let _worker = stage.server(&["worker", "-Q", "kept"]);
    assert_kept(&ask_of(release, &["again", broker, backend]));
}

fn assert_kept(seen: &Value) {
    assert_eq!(seen["id"], true, "{seen}");
    assert_eq!(seen["told"][0]["ok"], "no longer consuming from kept");
    let headers = &seen["headers"];
    for (name, expected) in [
        ("task", json!("flaky.fails_until")),
        ("retries", json!(1)),
        ("x-shop", json!("seven")),
        ("x-list", json!([1, {"a": null}])),
        ("shadow", json!("a shadow")),
        ("timelimit", json!([50, 40])),
        ("group", json!("a-group")),
        ("root_id", json!("a-root")),
        ("stamped_headers", json!(["order"])),
        ("stamps", json!({"order": "o-1"})),
        ("parent_id", headers["id"].clone()),
    ] {
        assert_eq!(headers[name], expected, "{name}: {headers}");
    }
    assert!(headers["expires"].is_string() && headers["eta"].is_string());
    assert_eq!(
        seen["properties"],
        json!({"priority": 6, "reply_to": "answers", "correlation_id": "corr"})
    );
    let body = &seen["body"];
    assert_eq!(
        (&body[0], &body[1]),
        (&json!([1]), &json!({"delay_ms": 3_000}))
    );
    assert_eq!(body[2]["callbacks"][0]["args"], json!(["l"]));
    assert_eq!(body[2]["errbacks"][0]["args"], json!(["e"]));
}

#[test]
fn a_retry_keeps_all_that_its_caller_asked_for_over_redis() {
    for release in ["5.4", "5.7"] {
        let redis = Redis::start();
        assert_again(release, &redis.url(0), &redis.url(1));
    }
}

#[test]
fn a_retry_keeps_all_that_its_caller_asked_for_over_rabbitmq() {
    for release in ["5.4", "5.7"] {
        let (rabbit, redis) = (Rabbit::start(), Redis::start());
        assert_again(release, &rabbit.url(), &redis.url(1));
    }
}

#[test]
fn results_go_where_the_caller_says_with_the_correlation_of_its_choice() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [rabbit.url(), redis.url(0)] {
        let stage = beside(&broker, "rpc://");
        let _worker = stage.server(&["worker"]);
        let seen = ask(&["replies", &broker, "rpc://"]);
        assert_eq!(seen["correlation"], "corr-1", "{seen}");
        assert_eq!(
            (&seen["task"], &seen["result"]),
            (&json!("asked"), &json!("v"))
        );
        let states = seen["retried"].as_array().expect("a list");
        assert!(states.iter().all(|state| state[1] == "corr-2"), "{seen}");
        assert_eq!(
            states.last().map(|state| &state[0]),
            Some(&json!("SUCCESS"))
        );
    }
}

#[test]
fn a_format_of_ones_own_goes_untouched_to_the_task_that_names_it() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let backend = redis.url(results);
        let stage = beside(&broker, &backend);
        let _worker = stage.server(&["worker"]);
        for release in ["5.7", "5.4"] {
            let seen = ask_of(release, &["foreign", &broker, &backend]);
            for compression in ["None", "gzip", "bzip2"] {
                assert_eq!(seen[format!("body {compression}")], true, "{seen}");
                let told =
                    json!({"content_type": "application/x-shop", "content_encoding": "binary"});
                assert_eq!(seen[format!("told {compression}")], told, "{seen}");
            }
            for what in ["undeclared", "another", "unknown"] {
                let class = "kombu.exceptions.ContentDisallowed";
                assert_eq!(seen[what][0], class, "{what}: {seen}");
            }
            // Celery has no module of ours, and makes such a class in one of its own.
            let class = "celery.exceptions.LimitExceeded";
            assert_eq!(seen["large"][0], class, "{seen}");
            assert_eq!(seen["json"], "returned", "{seen}");
            assert_eq!(seen["alive"], 1, "{seen}");
        }
    }
}
