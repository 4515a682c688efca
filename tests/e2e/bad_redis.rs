//! What a bad message over Redis is answered: nothing is lost, and the worker lives.

use crate::apart::{Apart, DECODE, echo, envelope, with};
use crate::{failure, stage, success};
use serde_json::{Value, json};
use support::{Redis, until};

const CONTENT: &str = "kombu.exceptions.ContentDisallowed";

#[test]
fn a_body_of_50_mb_is_a_dead_letter_and_a_failure_for_its_caller() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let long = format!("[[\"{}\"], {{}}, {{}}]", "x".repeat(50_000_000));
    apart.post(&envelope("huge", &long));
    let ended = apart.stage.ended("huge");
    let told = failure(&ended, "celeriac.LimitExceeded");
    assert!(told.contains("at most 16777216"), "{ended}");
    apart.settled(1);
    assert_eq!(apart.reasons(), [told]);
    // Not a byte of it is lost.
    let kept = apart.broker.cli(0, &["MEMORY", "USAGE", "celery.dead"]);
    assert!(
        kept.parse::<u64>().is_ok_and(|bytes| bytes > 66_000_000),
        "{kept}"
    );
    // Its allocator gives back what was freed after a while, when a thread asks for more.
    until("its memory is its own again", || {
        apart.lives(&worker);
        (worker.memory() < 300 << 20).then_some(())
    });
}

#[test]
fn an_envelope_of_the_future_is_run_as_far_as_it_is_understood() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let mut future = echo("future");
    future["schema"] = json!({"version": 3});
    future["headers"]["protocol"] = json!(3);
    future["headers"]["deadline"] = json!({"ms": 5, "path": [1, null]});
    future["properties"]["lane"] = json!(["fast"]);
    future["properties"]["delivery_mode"] = json!("quantum");
    future["properties"]["delivery_info"]["hops"] = json!(7);
    future["properties"]["celeriac"] = json!({"deliveries": 0, "shard": "x"});
    apart.post(&future);
    assert_eq!(*success(&apart.stage.ended("future")), 1);
    apart.settled(0);
    apart.lives(&worker);
}

/// What cannot be understood, and words of the reason.
fn refused() -> [(&'static str, Value, &'static str); 15] {
    [
        (
            "/headers/retries",
            json!("x"),
            "the header retries is \"x\"",
        ),
        (
            "/headers/timelimit",
            json!("soon"),
            "the header timelimit is \"soon\"",
        ),
        ("/headers/timelimit", json!({"hard": 1}), "[hard, soft]"),
        (
            "/headers/eta",
            json!(1_790_000_000),
            "the header eta is 1790000000",
        ),
        (
            "/headers/expires",
            json!(true),
            "the header expires is true",
        ),
        ("/headers/group", json!([]), "the header group is []"),
        ("/headers/task", json!(null), "the header task is missing"),
        (
            "/headers/ignore_result",
            json!("no"),
            "the header ignore_result is \"no\"",
        ),
        (
            "/content-type",
            json!("application/x-future"),
            "application/x-future",
        ),
        ("/content-type", json!(null), "content type \"\""),
        ("/content-encoding", json!("koi8-r"), "koi8-r"),
        (
            "/headers/compression",
            json!("x-future"),
            "compression \"x-future\"",
        ),
        (
            "/headers/compression",
            json!("zstd"),
            "the body is not application/zstd",
        ),
        ("/body", json!(""), "not a JSON array"),
        ("/properties", json!([]), "not a JSON array"),
    ]
}

#[test]
fn headers_of_a_wrong_type_and_unknown_contents_are_refused() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let refused = refused();
    for (at, (place, value, _)) in refused.iter().enumerate() {
        apart.post(&with(&format!("refused-{at}"), place, value.clone()));
    }
    for (at, (place, _, words)) in refused.iter().enumerate() {
        let ended = apart.stage.ended(&format!("refused-{at}"));
        let is_content = place.contains("content") || words.starts_with("compression");
        let class = if is_content { CONTENT } else { DECODE };
        assert!(failure(&ended, class).contains(words), "{place}: {ended}");
    }
    apart.settled(refused.len() as u64);
    let reasons = apart.reasons();
    for (place, _, words) in refused {
        assert!(
            reasons.iter().any(|reason| reason.contains(words)),
            "{place}: {reasons:?}"
        );
    }
    apart.lives(&worker);
}

#[test]
fn properties_of_a_wrong_type_are_passed_over() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let passed = [
        ("/properties/priority", json!("high")),
        ("/properties/priority", json!(-1)),
        ("/properties/reply_to", json!(7)),
        ("/properties/correlation_id", json!({})),
        ("/properties/delivery_info", json!("nowhere")),
        ("/properties/delivery_tag", json!(null)),
        ("/properties/celeriac", json!("ours")),
        (
            "/properties/celeriac",
            json!({"deliveries": "many", "ready_at": "now"}),
        ),
    ];
    for (at, (place, value)) in passed.iter().enumerate() {
        apart.post(&with(&format!("passed-{at}"), place, value.clone()));
    }
    for (at, (place, value)) in passed.iter().enumerate() {
        let ended = apart.stage.ended(&format!("passed-{at}"));
        assert_eq!(*success(&ended), 1, "{place} = {value}");
    }
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn what_names_no_caller_is_kept_with_a_reason() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let missing = "the header id is missing";
    let bad = [
        (with("a", "/headers", json!({"task": "text.echo"})), missing),
        (with("b", "/headers/id", json!(7)), "the header id is 7"),
        (with("c", "/headers/id", json!("")), "the header id: "),
        (with("d", "/headers", json!(["id"])), missing),
        (with("e", "/headers", json!("id")), missing),
        (with("f", "/body", json!(1)), missing),
        (with("g", "/body", json!("!")), missing),
        (
            with("h", "/properties/body_encoding", json!("rot13")),
            missing,
        ),
        (
            with(
                "i",
                "/headers/x",
                (0..500).fold(json!(1), |inner, _| json!([inner])),
            ),
            missing,
        ),
    ];
    for (envelope, _) in &bad {
        apart.post(envelope);
    }
    let bytes = [
        &b"\xff\xfe\x00"[..],
        b"",
        b"\x80\x04}.",
        b"[\"",
        b"\0celery-compressed\0",
    ];
    for raw in bytes {
        apart.broker.push(0, "celery", raw);
    }
    let dead = (bad.len() + bytes.len()) as u64;
    until("all are dead", || {
        (apart.count("LLEN", "celery.dead") == dead).then_some(())
    });
    apart.settled(dead);
    let reasons = apart.reasons();
    for (_, words) in bad {
        assert!(
            reasons.iter().any(|reason| reason.contains(words)),
            "{words}: {reasons:?}"
        );
    }
    apart.lives(&worker);
}

/// A client from before protocol 2.
#[test]
fn a_caller_of_protocol_1_is_answered() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let body = r#"{"task": "text.echo", "id": "old", "args": [1], "kwargs": {}, "retries": 0}"#;
    let mut old = envelope("old", body);
    old["headers"] = json!({});
    apart.post(&old);
    assert_eq!(*success(&apart.stage.ended("old")), 1);
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn an_answer_is_stored_whoever_the_reply_was_to_go_to() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    for (id, to) in [
        ("gone", json!("no-such-queue")),
        ("empty", json!("")),
        ("none", json!(null)),
        ("odd", json!("\u{0}\u{6}\u{16}9")),
    ] {
        apart.post(&with(id, "/properties/reply_to", to));
        assert_eq!(*success(&apart.stage.ended(id)), 1, "{id}");
    }
    apart.settled(0);
    assert_eq!(apart.count("EXISTS", "no-such-queue"), 0);
    apart.lives(&worker);
}

#[test]
fn a_reply_to_what_is_no_queue_of_replies_stops_no_worker() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", "rpc://");
    stage.push("text");
    let worker = stage.server(&["worker"]);
    assert_eq!(redis.cli(0, &["SET", "odd", "x"]), "OK");
    assert_eq!(redis.cli(0, &["SADD", "set", "x"]), "1");
    let taken = [
        "unacked",
        "unacked_index",
        "unacked_mutex",
        "celeriac.queues",
        "celeriac.parked.celery",
        "celeriac.leases.celery",
        "_kombu.binding.celery",
    ];
    for (at, to) in ["odd", "set"].iter().chain(&taken).enumerate() {
        let message = with(&format!("m{at}"), "/properties/reply_to", json!(to));
        redis.push(0, "celery", message.to_string().as_bytes());
    }
    // A queue of tasks gets an answer that is no task: a dead letter, and no more.
    let message = with("loop", "/properties/reply_to", json!("celery"));
    redis.push(0, "celery", message.to_string().as_bytes());
    let message = with("heard", "/properties/reply_to", json!("replies"));
    redis.push(0, "celery", message.to_string().as_bytes());
    until("the last is answered, and the odd one dead", || {
        let told = redis.cli(0, &["LLEN", "replies"]);
        let dead = redis.cli(0, &["LLEN", "celery.dead"]);
        (told == "1" && dead == "1").then_some(())
    });
    until("all settled", || {
        let left = redis.cli(0, &["HLEN", "unacked"]);
        (left == "0" && redis.cli(0, &["LLEN", "celery"]) == "0").then_some(())
    });
    assert_eq!(redis.cli(0, &["GET", "odd"]), "x");
    for key in taken {
        assert_ne!(redis.cli(0, &["TYPE", key]), "list", "{key}");
    }
    assert_eq!(worker.stop().code, Some(0));
}
