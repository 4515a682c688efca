//! Real Celery clients and workers beside ours, over a real Redis.

use crate::{failure, stage, success};
use serde_json::{Value, json};
use std::path::Path;
use support::{Python, Redis, Stage, until};

/// A stage whose messages and results are in Redis.
struct Beside {
    redis: Redis,
    stage: Stage,
}

impl Beside {
    fn new() -> Self {
        let redis = Redis::start();
        let stage = stage()
            .with("broker", &redis.url(0))
            .with("result_backend", &redis.url(1))
            .with("worker.lease", "3s");
        for module in ["text", "flaky", "report"] {
            stage.push(module);
        }
        Self { redis, stage }
    }

    /// Waits until nothing is held: a result is stored before its message is acknowledged.
    fn nothing_is_held(&self) {
        until("nothing is held", || {
            (self.redis.cli(0, &["HLEN", "unacked"]) == "0").then_some(())
        });
    }

    fn ask(&self, release: &str, what: &str) -> Value {
        python(release).run("client.py", &[what, &self.redis.url(0), &self.redis.url(1)])
    }
}

pub(crate) fn python(release: &str) -> Python {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python");
    Python::new(&target, release, scripts)
}

/// Checks what a client of a release saw of all it tried.
pub(crate) fn assert_everything(release: &str, seen: &Value) {
    assert!(
        seen["celery"]
            .as_str()
            .is_some_and(|v| v.starts_with(release))
    );
    for (what, expected) in [
        ("words", json!(6)),
        ("echo", json!(true)),
        ("kwargs", json!(2)),
        ("large", json!(true)),
        ("value_error", json!(["builtins.ValueError", "boom"])),
        ("retry", json!("succeeded after 2 retries")),
        ("countdown_held", json!(true)),
        ("many", json!(true)),
        ("ignored", json!("PENDING")),
    ] {
        assert_eq!(seen[what], expected, "{what}");
    }
    for (what, class, words) in [
        (
            "type_error",
            "builtins.TypeError",
            "missing 1 required positional argument: 'text'",
        ),
        (
            "not_registered",
            "celery.exceptions.NotRegistered",
            "no.such",
        ),
        ("time_limit", "billiard.exceptions.TimeLimitExceeded", "1"),
        ("retries_end", "builtins.ConnectionError", "timed out"),
        ("expired", "celery.exceptions.TaskRevokedError", "expired"),
    ] {
        assert_eq!(seen[what][0], class, "{what}: {}", seen[what]);
        assert!(
            seen[what][1]
                .as_str()
                .is_some_and(|text| text.contains(words)),
            "{what}: {}",
            seen[what]
        );
    }
    let pages = seen["progress"].as_array().expect("a list");
    assert!(
        pages.len() >= 2 && pages.is_sorted_by_key(|page| page.as_u64()),
        "{pages:?}"
    );
}

#[test]
fn a_client_of_celery_gets_results_exceptions_retries_and_states() {
    let beside = Beside::new();
    let worker = beside.stage.server(&["worker"]);
    let seen = beside.ask("5.7", "everything");
    assert_everything("5.7", &seen);
    beside.nothing_is_held();
    assert_eq!(beside.redis.cli(0, &["ZCARD", "unacked_index"]), "0");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn the_oldest_client_that_is_supported_is_answered() {
    let beside = Beside::new();
    let _worker = beside.stage.server(&["worker"]);
    assert_everything("5.4", &beside.ask("5.4", "everything"));
}

#[test]
fn a_client_with_a_prefix_and_we_with_the_same_leave_all_other_keys_alone() {
    let mut beside = Beside::new();
    for key in ["broker", "result_backend"] {
        let key = format!("{key}_transport_options.global_keyprefix");
        beside.stage = beside.stage.with(&key, "shop");
    }
    let _worker = beside.stage.server(&["worker"]);
    let urls = [beside.redis.url(0), beside.redis.url(1)];
    for release in ["5.4", "5.7"] {
        let options = r#"{"global_keyprefix": "shop"}"#;
        let arguments = ["snippet", &urls[0], &urls[1], options];
        assert_eq!(python(release).run("client.py", &arguments)["words"], 6);
    }
    assert_eq!(
        *success(&beside.stage.call("text.word_count", r#"["a b"]"#)),
        2
    );
    for (database, prefix) in [(0, "shop"), (1, "shop_")] {
        let keys = beside.redis.cli(database, &["KEYS", "*"]);
        assert!(!keys.is_empty(), "{database}");
        assert!(keys.lines().all(|key| key.starts_with(prefix)), "{keys}");
    }
}

#[test]
fn a_task_whose_worker_is_killed_runs_again_from_redis() {
    let beside = Beside::new();
    let stage = &beside.stage;
    let first = stage.server(&["worker", "-n", "first@%h"]);
    let id = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    until("PROGRESS", || {
        (stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    first.kill();
    assert_eq!(beside.redis.cli(0, &["HLEN", "unacked"]), "1");
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(ended["deliveries"], 2, "{ended}");
    beside.nothing_is_held();
}

#[test]
fn a_python_worker_and_ours_leave_each_others_messages_alone() {
    let beside = Beside::new();
    let stage = &beside.stage;
    let _ours = stage.server(&["worker", "-Q", "celery"]);
    let (broker, backend) = (beside.redis.url(0), beside.redis.url(1));
    let _python = python("5.7").worker(&broker, &backend, "py");
    // It takes messages by now.
    stage.ended(&stage.send("py.nap", &["-a", "[0]", "-Q", "py"]));
    let ours = stage.send("report.nap", &["-a", "[10000]"]);
    let theirs = stage.send("py.nap", &["-a", "[4]", "-Q", "py"]);
    // Both are held at once, in the keys that both sides know. Ours outlives its
    // lease of three seconds several times.
    until("both hold one", || {
        (beside.redis.cli(0, &["HLEN", "unacked"]) == "2").then_some(())
    });
    assert_eq!(*success(&stage.ended(&theirs)), "from Python");
    let ended = stage.ended(&ours);
    assert_eq!(*success(&ended), 10_000);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    beside.nothing_is_held();
}

#[test]
fn what_a_killed_python_worker_held_is_served_by_ours_after_the_visibility_timeout() {
    let mut beside = Beside::new();
    let key = "broker_transport_options.visibility_timeout";
    beside.stage = beside.stage.with(key, "1s");
    let stage = &beside.stage;
    let (broker, backend) = (beside.redis.url(0), beside.redis.url(1));
    let python = python("5.7").worker(&broker, &backend, "celery");
    let id = stage.send("py.nap", &["-a", "[600]"]);
    until("it is held", || {
        (beside.redis.cli(0, &["HLEN", "unacked"]) == "1").then_some(())
    });
    drop(python);
    let tag = beside.redis.cli(0, &["HKEYS", "unacked"]);
    until("it is old", || {
        let now = beside.redis.cli(0, &["TIME"]);
        let now: f64 = now.lines().next()?.parse().ok()?;
        let taken = beside.redis.cli(0, &["ZSCORE", "unacked_index", &tag]);
        (now - taken.parse::<f64>().ok()? > 1.0).then_some(())
    });
    let _ours = stage.server(&["worker"]);
    let ended = stage.ended(&id);
    failure(&ended, "celery.exceptions.NotRegistered");
    assert_eq!(ended["deliveries"], 2, "{ended}");
    beside.nothing_is_held();
}

#[test]
fn what_is_no_message_is_a_dead_letter_and_the_worker_goes_on() {
    let beside = Beside::new();
    let stage = &beside.stage;
    let _worker = stage.server(&["worker"]);
    let bad = [
        "no JSON".to_owned(),
        "{}".to_owned(),
        json!({"body": "!", "properties": {"body_encoding": "base64"}, "headers": {"id": "b", "task": "t"}}).to_string(),
        json!({"body": "W10=", "properties": {"body_encoding": "base64"}, "headers": {"id": 7, "task": []}}).to_string(),
    ];
    for raw in &bad {
        assert!(!beside.redis.cli(0, &["LPUSH", "celery", raw]).is_empty());
    }
    until("all are dead", || {
        (beside.redis.cli(0, &["LLEN", "celery.dead"]) == bad.len().to_string()).then_some(())
    });
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    let shape = json!({
        "body": "e30=", "content-type": "application/json", "content-encoding": "utf-8",
        "headers": {"id": "shape", "task": "text.word_count"},
        "properties": {"body_encoding": "base64"},
    });
    assert!(
        !beside
            .redis
            .cli(0, &["LPUSH", "celery", &shape.to_string()])
            .is_empty()
    );
    failure(&stage.ended("shape"), "kombu.exceptions.DecodeError");
}

#[test]
fn a_wrong_password_fails_the_start_and_is_not_shown() {
    let beside = Beside::new();
    assert_eq!(
        beside
            .redis
            .cli(0, &["CONFIG", "SET", "requirepass", "right"]),
        "OK"
    );
    let url = beside.redis.url(0).replace("redis://", "redis://:wr0ng@");
    let stage = stage().with("broker", &url);
    let ran = stage.run(&["worker"]);
    ran.refused(2, &["broker redis cannot be used", "password"]);
    assert!(!ran.err.contains("wr0ng"), "{ran}");
}

#[test]
fn nobody_can_wait_where_no_results_are_kept() {
    let stage = stage().with("broker", "redis://127.0.0.1:1/0");
    stage
        .run(&["call", "text.word_count", "--wait"])
        .refused(2, &["no results are kept", "--result-backend"]);
    stage
        .run(&["call", "text.word_count"])
        .refused(4, &["broker redis is unavailable"]);
}

#[test]
fn a_broker_that_is_paused_turns_health_red_and_work_goes_on_by_itself() {
    let beside = Beside::new();
    let stage = &beside.stage;
    let worker = stage.server(&["worker"]);
    let health = || worker.get("/health/ready").map(|(status, _)| status);
    until("green", || (health() == Some(200)).then_some(()));
    beside.redis.freeze();
    until("red", || (health() == Some(503)).then_some(()));
    beside.redis.thaw();
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    until("green", || (health() == Some(200)).then_some(()));
}

#[test]
fn a_worker_waits_for_a_broker_that_is_not_there_yet() {
    let [port, health] = [support::free_port(), support::free_port()];
    let url = format!("redis://127.0.0.1:{port}/0");
    let health = std::net::SocketAddr::from(([127, 0, 0, 1], health));
    let stage = stage()
        .with("broker", &url)
        .with("result_backend", &url)
        .with("worker.listen", &health.to_string());
    stage.push("text");
    std::thread::scope(|scope| {
        // It is up when it has its broker.
        let starting = scope.spawn(|| stage.server(&["worker"]));
        until("it waits", || {
            let answer = support::http::get(health, "/health/ready").ok()?;
            (answer.0 == 503).then_some(())
        });
        let _redis = Redis::start_on(port);
        let _worker = starting.join().expect("the worker is up");
        assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    });
}
