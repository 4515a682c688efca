//! What Celery's monitors see of tasks that come to every end, and its control of them.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use support::{Rabbit, Redis, Server, Stage, until};

const NODE: &str = "w1@example";

/// A worker that tells of its tasks, on each broker in turn, with results of its own.
fn on_both_brokers(check: impl Fn(&Stage, &[&str; 2])) {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let stage = stage()
            .with("broker", &broker)
            .with("result_backend", &redis.url(results))
            .with("worker.consumer_timeout", "2h")
            .with("worker.track_started", "true");
        for module in ["text", "flaky", "odd", "report"] {
            stage.push(module);
        }
        check(&stage, &[&broker, &redis.url(results)]);
    }
}

fn worker(stage: &Stage) -> Server {
    stage.server(&["worker", "-E", "-n", NODE])
}

fn see(release: &str, what: &str, places: &[&str; 2]) -> Value {
    let [broker, backend] = places;
    celery::python(release).run("monitor.py", &[what, broker, backend])
}

/// Checks that each event has exactly the members that Celery's of its type have.
fn assert_members(events: &[Value]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/events.json");
    let text = std::fs::read(path).expect("a capture");
    let capture: Value = serde_json::from_slice(&text).expect("a document");
    let members = |event: &Value| {
        let members = event.as_object().expect("an object").keys();
        members.cloned().collect::<BTreeSet<String>>()
    };
    for event in events {
        let kind = event["type"].as_str().expect("a text");
        let mut ours = members(event);
        // A receiver adds it.
        ours.remove("local_received");
        let theirs = capture["events"][kind].as_array().expect(kind);
        assert!(
            theirs.iter().any(|one| members(&one["event"]) == ours),
            "{event}"
        );
    }
}

/// Returns the types of the events of a task, and the last event. What its client says,
/// and when, is the client's.
fn told<'a>(seen: &'a Value, name: &str) -> (Vec<&'a str>, &'a Value) {
    let events = seen["events"][name].as_array().expect("a list");
    let (sent, own): (Vec<_>, Vec<_>) = events
        .iter()
        .partition(|event| event["type"] == "task-sent");
    assert_eq!(sent.len(), 1, "{name}: {seen}");
    let kinds = own
        .iter()
        .map(|event| event["type"].as_str().unwrap_or_default());
    (kinds.collect(), own.last().expect("an event"))
}

fn assert_ends(seen: &Value) {
    let begun = ["task-received", "task-started"];
    let with = |more: &[&'static str]| [&begun, more].concat();
    for (name, kinds, members, state) in [
        (
            "failed",
            with(&["task-failed"]),
            json!({"exception": "ValueError('too ä')"}),
            "FAILURE",
        ),
        (
            "retried",
            with(&[
                "task-retried",
                "task-received",
                "task-started",
                "task-succeeded",
            ]),
            json!({"result": "'succeeded after 1 retries'"}),
            "SUCCESS",
        ),
        (
            "rejected",
            with(&["task-failed", "task-rejected"]),
            json!({"requeue": false}),
            "FAILURE",
        ),
        (
            "expired",
            vec!["task-revoked"],
            json!({"expired": true, "terminated": false, "signum": null}),
            "REVOKED",
        ),
        (
            "unwanted",
            vec!["task-revoked"],
            json!({"expired": false, "terminated": false, "signum": null}),
            "REVOKED",
        ),
        (
            "neighbour",
            with(&["task-succeeded"]),
            json!({"result": "[1, 0]"}),
            "SUCCESS",
        ),
        (
            "terminated",
            with(&["task-revoked"]),
            json!({"expired": false, "terminated": true, "signum": 15}),
            "REVOKED",
        ),
    ] {
        let (types, last) = told(seen, name);
        assert_eq!(types, kinds, "{name}: {seen}");
        for (member, value) in members.as_object().expect("an object") {
            assert_eq!(last[member], *value, "{name}: {last}");
        }
        assert_eq!(seen["states"][name], state, "{name}");
        assert_eq!(last["hostname"], NODE, "{name}: {last}");
        assert_members(seen["events"][name].as_array().expect("a list"));
    }
    assert_members(seen["workers"].as_array().expect("a list"));
}

fn assert_reasons(seen: &Value) {
    let (_, failed) = told(seen, "failed");
    assert!(failed["traceback"].is_string(), "{failed}");
    let retried = seen["events"]["retried"].as_array().expect("a list");
    let retry = retried.iter().find(|event| event["type"] == "task-retried");
    assert_eq!(
        retry.expect("a retry")["exception"],
        "ConnectionError('upstream down, attempt 1')",
        "{seen}"
    );
}

#[test]
fn monitors_see_every_end_of_a_task_over_both_brokers() {
    on_both_brokers(|stage, places| {
        let _worker = worker(stage);
        let seen = see("5.7", "ends", places);
        assert_ends(&seen);
        assert_reasons(&seen);
    });
}

#[test]
fn monitors_of_the_oldest_release_see_every_end_of_a_task_over_both_brokers() {
    on_both_brokers(|stage, places| {
        let _worker = worker(stage);
        let seen = see("5.4", "ends", places);
        assert_ends(&seen);
        assert_reasons(&seen);
    });
}

#[test]
fn events_of_tasks_are_told_in_lists_while_they_are_on_over_both_brokers() {
    on_both_brokers(|stage, places| {
        let _worker = stage.server(&["worker", "-n", NODE]);
        let seen = see("5.7", "switched", places);
        assert_eq!(
            seen["tasks"],
            json!([
                [1, "task-received"],
                [1, "task-started"],
                [1, "task-succeeded"]
            ]),
            "{seen}"
        );
        assert_eq!(seen["told"][0], json!({"ok": "task events enabled"}));
        assert_eq!(seen["told"][1], json!({"ok": "task events disabled"}));
        let clock = |place: usize| seen["clocks"][place].as_i64().expect("a time");
        assert!(clock(0) < 1_000_000 && clock(1) > 1_000_000, "{seen}");
        for message in seen["raw"].as_array().expect("a list") {
            let is_of_tasks = message[0] == "task.multi";
            let kind = if is_of_tasks { "list" } else { "dict" };
            assert_eq!(message[1], kind, "{seen}");
            assert!(is_of_tasks || message[0] == "worker.heartbeat", "{seen}");
        }
    });
}

#[test]
fn a_heartbeat_comes_when_it_is_ordered_over_both_brokers() {
    on_both_brokers(|stage, places| {
        let _worker = stage.server(&["worker", "-n", NODE]);
        let gaps = see("5.7", "beats", places);
        let gaps = gaps.as_array().expect("a list").iter();
        // On its own a worker says every two seconds that it is there.
        let short = gaps.filter(|gap| gap.as_f64() < Some(1.0)).count();
        assert!(short > 1, "{short}");
    });
}

#[test]
fn a_worker_that_is_shut_down_says_so_and_its_successor_that_it_came_over_both_brokers() {
    on_both_brokers(|stage, places| {
        let first = stage.server(&["worker", "-n", NODE]);
        let seen = std::thread::scope(|scope| {
            let looking = scope.spawn(|| see("5.7", "life", places));
            assert_eq!(first.ended().code, Some(0));
            let next = stage.server(&["worker", "-n", "w2@example"]);
            let seen = looking.join().expect("it looked on");
            drop(next);
            seen
        });
        let events = seen.as_array().expect("a list");
        let said = events
            .iter()
            .map(|event| (&event["type"], &event["hostname"]));
        let said: Vec<_> = said.collect();
        let [offline, online] = ["worker-offline", "worker-online"].map(|kind| json!(kind));
        let [first, next] = [json!(NODE), json!("w2@example")];
        assert_eq!(said, [(&offline, &first), (&online, &next)], "{seen}");
        assert_members(events);
    });
}

#[test]
fn a_client_sees_where_a_task_was_started() {
    on_both_brokers(|stage, places| {
        let worker = worker(stage);
        for release in ["5.7", "5.4"] {
            let seen = see(release, "started", places);
            assert_eq!(seen[0], "STARTED", "{seen}");
            assert_eq!(
                seen[1],
                json!({"pid": worker.pid(), "hostname": NODE}),
                "{seen}"
            );
            assert_eq!(seen[2], "REVOKED", "{seen}");
        }
    });
}

#[test]
fn celerys_control_revokes_by_stamps_over_both_brokers() {
    revokes_by_stamps("5.7");
}

#[test]
fn the_oldest_control_revokes_by_stamps_over_both_brokers() {
    revokes_by_stamps("5.4");
}

fn revokes_by_stamps(release: &str) {
    on_both_brokers(|stage, places| {
        let _worker = worker(stage);
        let seen = see(release, "stamps", places);
        assert_eq!(
            seen["between"],
            json!(["STAYING", "STAYING", "REVOKED"]),
            "{seen}"
        );
        assert_eq!(
            seen["after"],
            json!(["REVOKED", "STAYING", "REVOKED", 1]),
            "{seen}"
        );
        let revoked = |headers| format!("headers {headers} revoked");
        let words = match release {
            // It takes the letters of what it is told for ids, and revokes those as well.
            "5.4" => ["terminate: tasks unknown"; 2].map(str::to_owned),
            _ => ["{'batch': ['b7']}", "{'owner': ['mine']}"].map(revoked),
        };
        for (place, words) in words.iter().enumerate() {
            assert_eq!(seen["told"][place][0][NODE]["ok"], *words, "{seen}");
        }
    });
}

#[test]
fn a_python_worker_hears_what_our_command_revokes() {
    on_both_brokers(|stage, [broker, backend]| {
        // A worker without threads hears nothing while it runs a task.
        let words = "-A worker worker -P threads -c 1 -n py@example";
        let words: Vec<_> = words.split(' ').collect();
        let _python = celery::python("5.7").celery(&words, broker, backend);
        let inspect = |what: &str| {
            let words = ["inspect", what, "-d", "py@example", "--json", "-t", "5s"];
            stage.run(&words)
        };
        until("it listens", || (inspect("ping").code == 0).then_some(()));
        // Where it waits is all the same: what the worker has heard is what it skips.
        let id = stage.send("py.add", &["-a", "[1, 2]", "-Q", "elsewhere"]);
        let told = stage.json(&["revoke", &id]);
        assert_eq!(told["told"], true, "{told}");
        until("it is known there", || {
            inspect("revoked").out.contains(&id).then_some(())
        });
    });
}

#[test]
fn what_clients_and_workers_send_is_told_where_that_is_wanted_over_both_brokers() {
    on_both_brokers(|stage, _| {
        stage.write("celeriac.toml", "[publish]\nsend_sent_event = true\n");
        // As with Celery, whether or not events of tasks are told.
        let _worker = stage.server(&["worker", "-n", NODE]);
        let mut listening = stage.command(&["events", "--json"]);
        let mut listening = listening.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(listening.stdout.take().expect("an output")).lines();
        let (mut id, mut told) = (None, Vec::new());
        for line in lines {
            let event: Value = serde_json::from_str(&line.expect("a line")).expect("an event");
            if id.is_none() {
                id = Some(stage.send("flaky.fails_until", &["-a", "[1, 10]"]));
            }
            if !event["type"]
                .as_str()
                .expect("a text")
                .starts_with("worker-")
            {
                told.push(event);
            }
            if told.len() == 2 {
                break;
            }
        }
        listening.kill().expect("it runs");
        listening.wait().expect("a child of ours");
        assert_members(&told);
        // A client tells of what it has sent, and a worker may be faster.
        told.sort_by_key(|event| event["retries"].as_u64());
        for (event, retries) in told.iter().zip([0, 1]) {
            assert_eq!(event["type"], "task-sent");
            assert_eq!(
                (&event["uuid"], &event["retries"]),
                (&json!(id), &json!(retries))
            );
            assert_eq!(event["routing_key"], "celery");
        }
        let [client, worker] = [0, 1].map(|at| told[at]["hostname"].as_str().expect("a name"));
        assert!(client.starts_with("gen") && worker == NODE, "{told:?}");
    });
}
