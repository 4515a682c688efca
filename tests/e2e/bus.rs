//! Events and remote control: what Celery's own monitors see of a worker.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use support::{Rabbit, Redis, Stage, until};

const NODE: &str = "w1@example";

fn beside(broker: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", "disabled://")
        .with("worker.consumer_timeout", "2h");
    stage.push("text");
    stage.push("report");
    stage
}

fn ask_with(release: &str, arguments: &[&str]) -> Value {
    celery::python(release).run("control.py", arguments)
}

fn ask(arguments: &[&str]) -> Value {
    ask_with("5.7", arguments)
}

/// Every command is answered as a Python worker answers it.
fn assert_replies(seen: &Value) {
    let ok = |words: &str| json!({"ok": words});
    let error = |words: &str| json!({"error": words});
    for (command, expected) in [
        ("ping", ok("pong")),
        ("active", json!([])),
        ("reserved", json!([])),
        ("scheduled", json!([])),
        ("query_task", json!({})),
        ("revoked", json!([])),
        (
            "revoke",
            ok("tasks {'11111111-1111-4111-8111-111111111111'} flagged as revoked"),
        ),
        ("terminate", ok("terminate: tasks unknown")),
        ("time_limit", ok("time limits set successfully")),
        ("time_limit#unknown", error("unknown task")),
        ("rate_limit#unknown", error("unknown task")),
        ("rate_limit#unit", error("KeyError('y')")),
        ("pool_grow", ok("pool will grow")),
        ("pool_shrink", ok("pool will shrink")),
        ("autoscale", error("ValueError('Autoscale not enabled')")),
        (
            "pool_restart",
            error("ValueError('Pool restarts not enabled')"),
        ),
        ("add_consumer", ok("add consumer xq")),
        ("cancel_consumer", ok("no longer consuming from xq")),
        ("enable_events", ok("task events enabled")),
        ("enable_events#again", ok("task events already enabled")),
        ("disable_events", ok("task events disabled")),
        ("disable_events#again", ok("task events already disabled")),
        ("heartbeat", Value::Null),
        ("memsample", Value::Null),
        ("memdump", json!("- rss: (psutil not installed).\n")),
        (
            "objgraph",
            error("ImportError('Requires the objgraph library')"),
        ),
        ("no_such_command", error("KeyError('no_such_command')")),
        ("glob", ok("pong")),
        ("pcre", ok("pong")),
        ("nobody", json!([])),
        ("another", json!([])),
    ] {
        assert_eq!(seen[command], expected, "{command}");
    }
    assert!(seen["clock"]["clock"].is_i64() && seen["stats"]["clock"].is_string());
    assert_eq!(seen["active_queues"][0]["name"], "celery");
    assert_eq!(seen["stats"]["pool"]["max-concurrency"], 64);
    let registered = seen["registered"].as_array().expect("a list");
    assert!(
        registered.contains(&json!("text.word_count"))
            && registered.is_sorted_by_key(|name| name.as_str())
    );
    let described = seen["registered#items"].as_array().expect("a list");
    assert!(described.contains(&json!("text.word_count [name=text.word_count]")));
    let revoked = seen["hello"]["revoked"].as_array().expect("a list");
    assert!(revoked.contains(&json!("22222222-2222-4222-8222-222222222222")));
}

/// A task's events are what Celery's own state makes of them.
fn assert_events(seen: &Value) {
    let kinds = seen["task"].as_array().expect("a list").iter();
    let kinds: Vec<_> = kinds
        .map(|event| event["type"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(kinds, ["task-received", "task-started", "task-succeeded"]);
    assert_eq!(seen["state"], "SUCCESS");
    assert_eq!(seen["task"][0]["args"], "('a b c',)");
    assert_eq!(seen["task"][2]["result"], "3");
    assert_eq!(seen["alive"], json!([NODE]));
    assert_eq!(seen["worker"]["sw_ident"], "celeriac");
    let clocks = seen["task"].as_array().expect("a list").iter();
    assert!(clocks.is_sorted_by_key(|event| event["clock"].as_i64()));
}

fn assert_programs(release: &str, broker: &str) {
    for (words, expected) in [
        (&["inspect", "ping", "-t", "20"][..], "pong"),
        (&["inspect", "registered", "-t", "20"], "text.word_count"),
        (&["status", "-t", "20"], "1 node online"),
        (&["control", "-t", "20", "pool_grow", "2"], "pool will grow"),
    ] {
        let words = [&["program", broker], words, &["-d", NODE]].concat();
        let ran = celery::python(release).run("control.py", &words);
        assert_eq!(ran["code"], 0, "{ran}");
        assert!(
            ran["out"]
                .as_str()
                .is_some_and(|out| out.contains(expected)),
            "{ran}"
        );
    }
}

/// Every word of `celery inspect` and `celery control` gets an answer that it shows.
fn assert_words(seen: &Value) {
    for (kind, command, expected) in [
        ("inspect", "active", "- empty -"),
        ("inspect", "active_queues", "'routing_key': 'celery'"),
        ("inspect", "clock", "clock"),
        ("inspect", "conf", "task_acks_late"),
        ("inspect", "memsample", "1 node online"),
        ("inspect", "ping", "pong"),
        ("inspect", "query_task", "OK"),
        ("inspect", "registered", "text.word_count [rate_limit=10/m]"),
        ("inspect", "report", "software -> celeriac"),
        ("inspect", "reserved", "- empty -"),
        ("inspect", "revoked", "11111111-1111-4111-8111-111111111111"),
        ("inspect", "scheduled", "- empty -"),
        ("inspect", "stats", "\"max-concurrency\": 65"),
        ("control", "rate_limit", "new rate limit set successfully"),
        ("control", "time_limit", "time limits set successfully"),
        ("control", "add_consumer", "add consumer xq"),
        ("control", "cancel_consumer", "no longer consuming from xq"),
        ("control", "enable_events", "task events enabled"),
        ("control", "disable_events", "task events disabled"),
        ("control", "heartbeat", NODE),
        ("control", "pool_grow", "pool will grow"),
        ("control", "pool_shrink", "pool will shrink"),
        ("control", "autoscale", "Autoscale not enabled"),
        ("control", "revoke", "flagged as revoked"),
        ("control", "terminate", "terminate: tasks unknown"),
    ] {
        let ran = &seen[kind][command];
        let out = ran[1].as_str().expect("a text");
        assert_eq!(ran[0], 0, "{kind} {command}: {out}");
        assert!(out.contains(expected), "{kind} {command}: {out}");
    }
}

/// `celery events --dump` shows a task as it goes, and `celery result` its result.
fn assert_dump(seen: &Value) {
    let id = seen["id"].as_str().expect("an id");
    let lines = seen["lines"].as_array().expect("a list").iter();
    let lines: Vec<_> = lines.filter_map(Value::as_str).collect();
    for (line, kind) in lines.iter().zip(["received", "started", "succeeded"]) {
        let task = format!("task {kind}: text.word_count({id}) args=('a b c',) kwargs={{}}");
        assert!(line.starts_with(NODE) && line.contains(&task), "{seen}");
    }
    assert_eq!(lines.len(), 3, "{seen}");
    assert_eq!(seen["result"], json!([0, "3"]));
}

#[test]
fn every_word_of_the_celery_program_is_understood_over_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [redis.url(0), rabbit.url()] {
        let stage = beside(&broker);
        let worker = stage.server(&["worker", "-n", NODE]);
        assert_words(&ask(&["programs", &broker, NODE]));
        assert_eq!(worker.ended().code, Some(0));
    }
}

#[test]
fn the_celery_program_dumps_events_and_shows_results_over_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let results = redis.url(results);
        let stage = beside(&broker).with("result_backend", &results);
        let _worker = stage.server(&["worker", "-E", "-n", NODE]);
        assert_dump(&ask(&["dump", &broker, &results, "text.word_count"]));
    }
}

#[test]
fn every_command_of_the_oldest_release_is_answered_over_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for broker in [redis.url(0), rabbit.url()] {
        let stage = beside(&broker);
        let _worker = stage.server(&["worker", "-n", NODE]);
        assert_replies(&ask_with("5.4", &["replies", &broker, NODE]));
    }
}

#[test]
fn every_command_of_remote_control_is_answered_over_redis() {
    let redis = Redis::start();
    let stage = beside(&redis.url(0));
    let _worker = stage.server(&["worker", "-n", NODE]);
    assert_replies(&ask(&["replies", &redis.url(0), NODE]));
    assert_programs("5.7", &redis.url(0));
    assert_eq!(redis.cli(0, &["KEYS", "*.reply.celery.pidbox"]), "");
}

#[test]
fn every_command_of_remote_control_is_answered_over_rabbitmq() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url());
    let _worker = stage.server(&["worker", "-n", NODE]);
    assert_replies(&ask(&["replies", &rabbit.url(), NODE]));
    assert_programs("5.7", &rabbit.url());
}

#[test]
fn the_command_line_of_the_oldest_release_asks_our_worker() {
    let (redis, rabbit) = (Redis::start(), Rabbit::start());
    for broker in [redis.url(0), rabbit.url()] {
        let stage = beside(&broker);
        let _worker = stage.server(&["worker", "-n", NODE]);
        assert_programs("5.4", &broker);
    }
}

#[test]
fn monitors_see_a_worker_and_its_tasks_over_redis() {
    let redis = Redis::start();
    let stage = beside(&redis.url(0)).with("result_backend", &redis.url(1));
    let _worker = stage.server(&["worker", "-E", "-n", NODE]);
    assert_events(&ask(&[
        "events",
        &redis.url(0),
        &redis.url(1),
        "text.word_count",
    ]));
}

#[test]
fn monitors_see_a_worker_and_its_tasks_over_rabbitmq() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url());
    let _worker = stage.server(&["worker", "-E", "-n", NODE]);
    assert_events(&ask(&[
        "events",
        &rabbit.url(),
        "rpc://",
        "text.word_count",
    ]));
}

#[test]
fn a_worker_is_inspected_on_the_embedded_broker() {
    let stage = stage();
    stage.push("report");
    let _worker = stage.server(&["dev", "-n", NODE]);
    let id = stage.send("report.nap", &["-a", "[40000]"]);
    let active = until("the task runs", || {
        let seen = stage.json(&["inspect", "active", "-d", NODE, "-t", "20"]);
        let active = seen["workers"][NODE].as_array()?.clone();
        (!active.is_empty()).then_some(active)
    });
    assert_eq!(
        (&active[0]["id"], &active[0]["args"]),
        (&json!(id), &json!([40_000]))
    );
    let shown = stage.run(&["inspect", "registered", "-d", NODE, "-t", "20"]);
    assert!(shown.good().out.contains("report.nap"));
    stage
        .run(&["inspect", "ping", "-d", "nobody@here", "-t", "100ms"])
        .refused(5, &["no worker answered"]);
}

#[test]
fn events_are_shown_as_they_happen_on_the_embedded_broker() {
    let stage = stage();
    stage.push("text");
    let _worker = stage.server(&["dev", "-E", "-n", NODE]);
    let mut listening = stage.command(&["events", "--json"]);
    let mut listening = listening.stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(listening.stdout.take().expect("an output")).lines();
    let mut sent = None;
    for line in lines {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(event["hostname"], NODE);
        if sent.is_none() {
            sent = Some(stage.send("text.word_count", &["-a", r#"["a b"]"#]));
        }
        if event["type"] == "task-succeeded" {
            assert_eq!(event["uuid"], json!(sent));
            break;
        }
    }
    listening.kill().expect("it runs");
    listening.wait().expect("a child of ours");
}

#[test]
fn a_revoked_task_is_ended_or_never_begins_and_a_shutdown_is_warm() {
    let redis = Redis::start();
    let stage = beside(&redis.url(0)).with("result_backend", &redis.url(1));
    let worker = stage.server(&["worker", "-n", NODE]);
    let id = stage.send("report.nap", &["-a", "[40000]"]);
    until("it runs", || {
        let seen = stage.json(&["inspect", "active", "-d", NODE, "-t", "20"]);
        let active = seen["workers"][NODE].as_array()?.len();
        (active > 0).then_some(())
    });
    let control = |what: &str, id: &str| {
        celery::python("5.7").run("control.py", &["revoke", &redis.url(0), what, id])
    };
    let ended = control("terminate", &id);
    assert_eq!(ended[0][NODE]["ok"], format!("terminate: {id}"));
    assert_eq!(stage.ended(&id)["state"], "REVOKED");
    // Before it is sent, as a client may need longer than any countdown to say it.
    let later = "5b3f0c1e-9a5d-4f1b-8f57-0d1f4c6d9a01";
    control("revoke", later);
    stage.send("report.nap", &["-a", "[40000]", "--id", later]);
    assert_eq!(stage.ended(later)["state"], "REVOKED");
    control("shutdown", NODE);
    assert_eq!(worker.ended().code, Some(0));
}
