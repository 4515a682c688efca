//! Messages that no worker can run: kept with a reason, told to their callers.

use crate::celery::python;
use crate::{failure, stage, success};
use serde_json::{Value, json};
use support::{Letter, Rabbit, Redis, until};

const DECODE: &str = "kombu.exceptions.DecodeError";
const CONTENT: &str = "kombu.exceptions.ContentDisallowed";
const TYPE: &str = "builtins.TypeError";

fn letter(id: &str) -> Letter {
    Letter::new("text.echo", id, "[1]")
}

/// A message that cannot be read, the class its caller catches, and a word of the reason.
type Row = (Letter, &'static str, &'static str);

fn bodies() -> Vec<Row> {
    let of = |id: &str, body: &str| letter(id).body(body);
    vec![
        (of("empty", ""), DECODE, "not a JSON array"),
        (of("broken", "[[1, {}, {}]"), DECODE, "not JSON"),
        (of("trailing", "[[],{},{}] x"), DECODE, "not JSON"),
        (of("object", "{}"), DECODE, "not a JSON array"),
        (of("short", "[[]]"), DECODE, "1 parts"),
        (of("long", "[[],{},{},{}]"), DECODE, "4 parts"),
        (of("swapped", "[{},[],{}]"), DECODE, "positional arguments"),
        (of("listed", "[[],[],{}]"), DECODE, "keyword arguments"),
        (of("nan", "[[NaN],{},{}]"), TYPE, "NaN"),
        (
            letter("latin").body(*b"[[\"\xe4\"],{},{}]"),
            DECODE,
            "not UTF-8",
        ),
        (letter("zeros").body([0; 1000]), DECODE, "not a JSON array"),
    ]
}

fn contents() -> Vec<Row> {
    let pickle = Letter {
        content_type: "application/x-python-serialize".to_owned(),
        ..letter("pickle")
    };
    let encoded = Letter {
        content_encoding: "utf-16".to_owned(),
        ..letter("encoded")
    };
    let zipped = letter("zipped").header("compression", json!("application/x-lzop"));
    let no_zip = letter("no_zip").header("compression", json!("application/x-gzip"));
    vec![
        (pickle, CONTENT, "x-python-serialize"),
        (encoded, CONTENT, "utf-16"),
        (zipped, CONTENT, "x-lzop"),
        (no_zip, DECODE, "not application/x-gzip"),
    ]
}

fn headers() -> Vec<Row> {
    let wrong = [
        ("eta", json!("tomorrow")),
        ("eta", json!(12)),
        ("expires", json!([])),
        ("retries", json!(-1)),
        ("retries", json!("many")),
        ("timelimit", json!([1])),
        ("ignore_result", json!("yes")),
        ("root_id", json!(7)),
        ("task", json!(7)),
        ("task", json!("x".repeat(10_000))),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (at, (name, value)) in wrong.into_iter().enumerate() {
        let letter = letter(&format!("{name}-{at}")).header(name, value);
        rows.push((letter, DECODE, name));
    }
    rows.push((
        letter("no_task").without("task"),
        DECODE,
        "the header task is missing",
    ));
    rows
}

#[test]
fn each_has_a_reason_among_the_dead_and_a_failure_for_its_caller() {
    let rows = [bodies(), contents(), headers()].concat();
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let letters: Vec<_> = rows.iter().map(|(letter, ..)| letter.clone()).collect();
    stage.post(&letters);
    for (letter, expected, word) in &rows {
        let id = letter.headers["id"].as_str().expect("it has one");
        let ended = stage.ended(id);
        assert!(failure(&ended, expected).contains(word), "{ended}");
    }
    stage.settled();
    let dead = stage.json(&["queues", "celery", "--dead"]);
    let reasons: Vec<_> = dead["dead"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["reason"].to_string())
        .collect();
    assert_eq!(reasons.len(), rows.len(), "{dead}");
    for (letter, _, word) in &rows {
        assert!(
            reasons.iter().any(|reason| reason.contains(word)),
            "{word}: {:?}",
            letter.headers
        );
    }
    assert_eq!(*success(&stage.call("text.echo", "[1]")), 1);
}

/// Has a client of Celery send each byte for byte, and wait for what becomes of it.
fn assert_refused(broker: &str, backend: &str) {
    let rows = [bodies(), contents(), headers()].concat();
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    stage.push("text");
    let worker = stage.server(&["worker"]);
    let letters: Vec<_> = rows
        .iter()
        .map(|(letter, ..)| {
            json!([
                letter.body,
                letter.content_type,
                letter.content_encoding,
                letter.headers
            ])
        })
        .collect();
    let letters = Value::from(letters).to_string();
    let seen = python("5.7").run("bad_messages.py", &[broker, backend, &letters]);
    for (letter, class, word) in &rows {
        let told = &seen["told"][letter.headers["id"].as_str().expect("it has one")];
        assert_eq!(told[0], *class, "{:?}: {told}", letter.headers);
        let text = told[1].as_str().unwrap_or_default();
        assert!(text.contains(word), "{:?}: {told}", letter.headers);
    }
    assert_eq!(seen["alive"], "alive", "{seen}");
    until("all are dead", || {
        let queues = stage.json(&["queues", "celery"]);
        (queues["queues"][0]["dead"] == rows.len()).then_some(())
    });
    assert!(!worker.log().contains("panicked"), "{}", worker.log());
}

#[test]
fn each_is_told_to_the_client_that_sent_it_over_redis() {
    let redis = Redis::start();
    assert_refused(&redis.url(0), &redis.url(1));
}

#[test]
fn each_is_told_to_the_client_that_sent_it_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_refused(&rabbit.url(), &redis.url(1));
}

#[test]
fn those_without_a_caller_are_kept_all_the_same() {
    let stage = stage();
    stage.push("text");
    let dev = stage.dev();
    stage.post(&[
        letter("x").without("id"),
        letter("x").header("id", json!(7)),
        letter("x").header("id", json!("")),
        letter("x").header("id", json!("i".repeat(100_000))),
        letter("x").header("id", json!("a\u{0}b")),
        letter("x").header("id", json!({"a": "b"})),
    ]);
    until("all buried", || (stage.tally().dead == 6).then_some(()));
    assert!(stage.tally().states.is_empty(), "{:?}", stage.tally());
    assert_eq!(*success(&stage.call("text.echo", "[1]")), 1);
    assert!(!dev.log().contains("panicked"), "{}", dev.log());
}

#[test]
fn headers_nested_without_end_do_not_stop_the_queue() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let deep = (0..500).fold(json!(1), |inner, _| json!([inner]));
    stage.post(&[letter("deep").header("x", deep), letter("next")]);
    assert_eq!(*success(&stage.ended("next")), 1);
    assert_eq!(stage.settled().dead, 1);
    let dead = stage.json(&["queues", "celery", "--dead"]);
    let reason = dead["dead"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("the header id is missing"), "{dead}");
}

#[test]
fn a_body_of_50_mb_is_refused_wherever_it_comes_from() {
    let stage = stage();
    stage.push("text");
    let dev = stage.dev();
    let long = format!("[\"{}\"]", "x".repeat(50_000_000));
    let ran = stage.run_with(&["call", "text.echo", "-a", "@-"], long.as_bytes());
    ran.refused(3, &["16777216 bytes"]);
    stage.post(&[letter("huge").body(format!("[{long}, {{}}, {{}}]"))]);
    let ended = stage.ended("huge");
    assert!(
        failure(&ended, "celeriac.LimitExceeded").contains("at most 16777216"),
        "{ended}"
    );
    assert_eq!(stage.settled().dead, 1);
    // The body lies in the file; the worker gave its memory back.
    assert_eq!(*success(&stage.call("text.echo", "[1]")), 1);
    assert!(dev.memory() < 300 << 20, "{}", dev.memory());
}

#[test]
fn arguments_over_their_own_limit_fail_the_task() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let long = format!("[\"{}\"]", "x".repeat(5 << 20));
    let ran = stage.run_with(
        &["call", "text.echo", "-a", "@-", "--wait", "--json"],
        long.as_bytes(),
    );
    assert!(
        failure(&ran.json(), "celeriac.LimitExceeded").contains("4 MiB"),
        "{ran}"
    );
}

#[test]
fn a_body_nested_without_end_harms_nobody() {
    let stage = stage();
    stage.push("text");
    stage.push("hostile");
    let _dev = stage.dev();
    let deep = format!(
        "[{}{}, {{}}, {{}}]",
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    stage.post(&[
        letter("deep").body(deep.clone()),
        Letter::new("hostile.use_nothing", "raw", "[]").body(deep),
    ]);
    assert_eq!(stage.ended("deep")["state"], "FAILURE");
    // The bytes are handed on, not built: a guest that does not look is not harmed.
    assert_eq!(stage.ended("raw")["state"], "SUCCESS");
}

#[test]
fn a_guest_sees_the_headers_of_its_caller_and_no_other() {
    let stage = stage();
    stage.push("odd");
    let _dev = stage.dev();
    let ask = |id: &str, name: &str| {
        Letter::new("odd.header", id, &format!("[\"{name}\"]")).header("x-shop", json!("7"))
    };
    stage.post(&[ask("own", "x-shop"), ask("none", "x-other")]);
    assert_eq!(*success(&stage.ended("own")), "7");
    assert!(success(&stage.ended("none")).is_null());
}
