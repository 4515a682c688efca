//! Bad input over Redis, and a result backend that is away: nothing is lost, and
//! the worker lives.

use crate::{failure, stage, success};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Redis, Server, Stage, until};

const DECODE: &str = "kombu.exceptions.DecodeError";
const CONTENT: &str = "kombu.exceptions.ContentDisallowed";

/// A broker and a result backend, each a server of its own.
struct Apart {
    broker: Redis,
    results: Option<Redis>,
    port: u16,
    stage: Stage,
}

impl Apart {
    fn new() -> Self {
        let broker = Redis::start();
        let port = support::free_port();
        let results = Redis::start_on(port);
        let stage = stage()
            .with("broker", &broker.url(0))
            .with("result_backend", &results.url(0))
            .with("worker.lease", "2s");
        for module in ["text", "report", "flaky"] {
            stage.push(module);
        }
        Self {
            broker,
            results: Some(results),
            port,
            stage,
        }
    }

    fn post(&self, envelope: &Value) {
        let raw = envelope.to_string();
        self.broker.push(0, "celery", raw.as_bytes());
    }

    fn count(&self, command: &str, key: &str) -> u64 {
        let answer = self.broker.cli(0, &[command, key]);
        answer.parse().expect("a count")
    }

    /// Every message was settled, and so many are dead.
    fn settled(&self, dead: u64) {
        until("all settled", || {
            let left = self.count("LLEN", "celery") + self.count("HLEN", "unacked");
            (left == 0).then_some(())
        });
        assert_eq!(self.count("LLEN", "celery.dead"), dead);
        assert_eq!(self.count("ZCARD", "unacked_index"), 0);
        assert_eq!(self.count("ZCARD", "celeriac.leases.celery"), 0);
        assert_eq!(self.count("ZCARD", "celeriac.parked.celery"), 0);
    }

    fn reasons(&self) -> Vec<String> {
        let dead = self.stage.json(&["queues", "celery", "--dead"]);
        let dead = dead["dead"].as_array().expect("a list");
        dead.iter()
            .map(|one| one["reason"].as_str().expect("a reason").to_owned())
            .collect()
    }

    /// The result backend is gone, and what it held with it.
    fn lose_results(&mut self) {
        drop(self.results.take());
    }

    fn restart_results(&mut self) {
        self.results = Some(Redis::start_on(self.port));
    }

    /// Waits until the lease of the one held message was extended a few times,
    /// which is longer than it lasts; nobody else took it meanwhile.
    fn is_held(&self) {
        let (mut tags, mut ends) = (BTreeSet::new(), BTreeSet::new());
        until("the lease is kept", || {
            let held = ["ZRANGE", "celeriac.leases.celery", "0", "-1", "WITHSCORES"];
            let held = self.broker.cli(0, &held);
            let (tag, end) = held.split_once('\n')?;
            tags.insert(tag.to_owned());
            ends.insert(end.to_owned());
            (ends.len() > 5).then_some(())
        });
        assert_eq!(tags.len(), 1, "{tags:?}");
        assert_eq!(self.count("HLEN", "unacked"), 1);
        assert_eq!(self.count("LLEN", "celery"), 0);
    }

    fn lives(&self, worker: &Server) {
        assert_eq!(
            *success(&self.stage.call("text.word_count", r#"["a b"]"#)),
            2
        );
        assert!(!worker.log().contains("panicked"), "{}", worker.log());
    }
}

/// An envelope as kombu writes it.
fn envelope(id: &str, body: &str) -> Value {
    json!({
        "body": STANDARD.encode(body),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py", "task": "text.echo", "id": id, "shadow": null, "eta": null,
            "expires": null, "group": null, "group_index": null, "retries": 0,
            "timelimit": [null, null], "root_id": id, "parent_id": null, "argsrepr": "(1,)",
            "kwargsrepr": "{}", "origin": "gen1@example", "ignore_result": false,
            "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {},
        },
        "properties": {
            "correlation_id": id, "reply_to": "b9938e71-6777-35c8-8aba-43dadc7e5f81",
            "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0, "body_encoding": "base64", "delivery_tag": id,
        },
    })
}

fn echo(id: &str) -> Value {
    envelope(id, "[[1], {}, {}]")
}

/// An envelope with one member replaced.
fn with(id: &str, place: &str, value: Value) -> Value {
    let mut envelope = echo(id);
    let (parent, name) = place.rsplit_once('/').expect("a place");
    envelope.pointer_mut(parent).expect("a parent")[name] = value;
    envelope
}

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
    apart.lives(&worker);
    assert!(worker.memory() < 300 << 20, "{}", worker.memory());
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
fn a_message_is_not_acknowledged_while_its_result_cannot_be_stored() {
    let mut apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    apart.lives(&worker);
    apart.lose_results();
    apart.post(&echo("waits"));
    apart.is_held();
    // It can take work, and holds it until it can say what became of it.
    assert_eq!(
        worker.get("/health/ready").map(|(status, _)| status),
        Some(200)
    );
    apart.restart_results();
    let ended = apart.stage.ended("waits");
    assert_eq!(*success(&ended), 1);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn a_result_backend_that_goes_away_while_a_task_runs_gets_its_result_when_it_is_back() {
    let mut apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let id = apart
        .stage
        .send("report.build", &["-a", r#"["Sales", 4, 300]"#]);
    until("it runs", || {
        (apart.stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    apart.lose_results();
    apart.is_held();
    apart.restart_results();
    let ended = apart.stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 4);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn a_failure_and_a_retry_wait_for_the_result_backend_as_well() {
    let mut apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    apart.lives(&worker);
    apart.lose_results();
    apart.post(&with("refused", "/headers/retries", json!("x")));
    apart.is_held();
    apart.restart_results();
    failure(&apart.stage.ended("refused"), DECODE);
    apart.settled(1);
    apart.lose_results();
    let mut again = envelope("again", "[[1], {}, {}]");
    again["headers"]["task"] = json!("flaky.fails_until");
    apart.post(&again);
    apart.is_held();
    apart.restart_results();
    let ended = apart.stage.ended("again");
    assert_eq!(*success(&ended), "succeeded after 1 retries", "{ended}");
    apart.settled(1);
    apart.lives(&worker);
}

#[test]
fn a_result_backend_that_answers_nobody_costs_no_lease() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    // A retry has a record there, whose lease is kept as well.
    let mut retry = envelope("retry", r#"[["Sales", 4, 300], {}, {}]"#);
    retry["headers"]["task"] = json!("report.build");
    retry["headers"]["retries"] = json!(1);
    apart.post(&retry);
    until("it runs", || {
        (apart.stage.stored("retry")["state"] == "PROGRESS").then_some(())
    });
    let results = apart.results.as_ref().expect("it is there");
    results.freeze();
    apart.is_held();
    results.thaw();
    let ended = apart.stage.ended("retry");
    assert_eq!(success(&ended)["pages"], 4);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    apart.settled(0);
    apart.lives(&worker);
}

#[test]
fn a_worker_that_is_killed_while_the_result_backend_is_away_loses_nothing() {
    let mut apart = Apart::new();
    let first = apart.stage.server(&["worker", "-n", "first@%h"]);
    apart.lives(&first);
    apart.lose_results();
    apart.post(&echo("orphan"));
    apart.is_held();
    first.kill();
    assert_eq!(apart.count("HLEN", "unacked"), 1);
    // Nothing may have heard of its first run. The next worker takes nothing before it
    // knows what was revoked.
    let second = apart.stage.server(&["worker", "-n", "second@%h"]);
    assert_eq!(apart.count("HLEN", "unacked"), 1);
    apart.restart_results();
    let ended = apart.stage.ended("orphan");
    assert_eq!(*success(&ended), 1);
    assert_eq!(ended["deliveries"], 2, "{ended}");
    apart.settled(0);
    apart.lives(&second);
}

#[test]
fn a_result_key_that_holds_something_else_makes_a_dead_letter_that_names_it() {
    let apart = Apart::new();
    let worker = apart.stage.server(&["worker"]);
    let results = apart.results.as_ref().expect("it is there");
    for key in ["celery-task-meta-first", "celery-task-meta-again"] {
        assert_eq!(results.cli(0, &["LPUSH", key, "x"]), "1");
    }
    apart.post(&echo("first"));
    let celeriac = json!({"deliveries": 1});
    apart.post(&with("again", "/properties/celeriac", celeriac));
    // A refused message can tell its caller nothing either.
    assert_eq!(results.cli(0, &["LPUSH", "celery-task-meta-bad", "x"]), "1");
    apart.post(&with("bad", "/headers/retries", json!("x")));
    until("all are dead", || {
        (apart.count("LLEN", "celery.dead") == 3).then_some(())
    });
    apart.settled(3);
    let reasons = apart.reasons();
    for name in ["first", "again"] {
        let words = format!("key \"celery-task-meta-{name}\" holds a list");
        assert!(
            reasons.iter().any(|reason| reason.contains(&words)),
            "{reasons:?}"
        );
    }
    assert!(!worker.log().contains("password"), "{}", worker.log());
    apart.stage.run(&["result", "first"]).refused(
        3,
        &["cannot keep", "key \"celery-task-meta-first\" holds a list"],
    );
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
