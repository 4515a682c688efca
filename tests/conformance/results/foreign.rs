//! Something else in Redis where a result belongs: ids are their callers' choice.

use super::{fence, id, write};
use crate::stage::START;
use celeriac::clock::{Clock, after};
use celeriac::resp::RedisServer;
use celeriac::results::redis::RedisResults;
use celeriac::results::{Begun, Results, ResultsError, Start, Written};
use std::time::Duration;
use support::Redis;

fn start(name: &str) -> Start {
    Start {
        id: id(name),
        task: "m.t".to_owned(),
        fence: fence(0, 2),
        worker: "w@host".to_owned(),
        lease_until: after(START, Duration::from_secs(30)),
    }
}

fn results() -> (Redis, RedisResults) {
    let redis = Redis::start();
    let server = RedisServer::new(&redis.url(0)).unwrap();
    (redis, RedisResults::new(server, Clock::manual(START)))
}

fn is_malformed<T: std::fmt::Debug>(answer: Result<T, ResultsError>, words: &str) {
    let error = answer.unwrap_err();
    assert!(matches!(error, ResultsError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn a_key_of_another_type_is_named_and_no_matter_of_waiting() {
    let (redis, results) = results();
    for (key, words) in [
        (
            "celery-task-meta-a",
            r#"key "celery-task-meta-a" holds a list"#,
        ),
        ("celeriac-run-b", r#"key "celeriac-run-b" holds a list"#),
    ] {
        assert_eq!(redis.cli(0, &["LPUSH", key, "x"]), "1");
        let name = key.rsplit('-').next().unwrap();
        is_malformed(results.begin(start(name)).await, words);
        is_malformed(
            results.write(write(name, fence(0, 1), "SUCCESS")).await,
            words,
        );
        is_malformed(results.get(&id(name)).await, words);
        assert_eq!(redis.cli(0, &["LLEN", key]), "1");
    }
}

#[tokio::test]
async fn a_run_of_another_type_costs_the_others_no_lease() {
    let (redis, results) = results();
    assert_eq!(results.begin(start("fine")).await.unwrap(), Begun::Run);
    assert_eq!(redis.cli(0, &["SET", "celeriac-run-odd", "x"]), "OK");
    let until = after(START, Duration::from_secs(60));
    let runs = vec![(id("odd"), fence(0, 2)), (id("fine"), fence(0, 2))];
    results.renew(runs, until).await.unwrap();
    let renewed = redis.cli(0, &["HGET", "celeriac-run-fine", "lease_until"]);
    assert_eq!(renewed, until.as_millisecond().to_string());
}

#[tokio::test]
async fn a_run_of_nonsense_is_none() {
    let (redis, results) = results();
    for (name, fields) in [
        ("a", ["retries", "x", "deliveries", "9"]),
        ("b", ["retries", "9", "deliveries", "9"]),
        ("c", ["state", "ä", "worker", "9"]),
    ] {
        let key = format!("celeriac-run-{name}");
        let set = [&["HSET", key.as_str()][..], &fields].concat();
        assert_eq!(redis.cli(0, &set), "2");
        assert_eq!(
            results
                .write(write(name, fence(0, 1), "SUCCESS"))
                .await
                .unwrap(),
            Written::Stored,
            "{name}"
        );
    }
    let set = ["HSET", "celeriac-run-d", "state"];
    assert_eq!(redis.last(0, &set, b"\xff\xfe"), "1");
    assert_eq!(results.begin(start("d")).await.unwrap(), Begun::Run);
}

#[tokio::test]
async fn a_document_that_only_others_can_read_ends_the_tries() {
    let (redis, results) = results();
    let text = b"{\"status\": \"SUCCESS\", \"result\": \"\xff\"}";
    assert_eq!(redis.last(0, &["SET", "celery-task-meta-a"], text), "OK");
    let words = r#"key "celery-task-meta-a" holds no result"#;
    is_malformed(results.begin(start("a")).await, words);
}
