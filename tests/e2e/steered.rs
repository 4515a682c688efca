//! What remote control does to a worker, beyond what it answers.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use support::{Rabbit, Redis, Server, Stage, until};

const NODE: &str = "w1@example";

/// A worker on each broker in turn, with results in Redis.
fn on_both_brokers(check: impl Fn(&Stage, Server, &[&str; 2])) {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let stage = beside(&broker).with("result_backend", &redis.url(results));
        let worker = worker(&stage);
        check(&stage, worker, &[&broker, &redis.url(results)]);
    }
}

fn beside(broker: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("accept_content", "json,yaml")
        .with("worker.consumer_timeout", "2h");
    let described = r#"
        aliases."old.echo" = "text.echo"
        queues.zq = { exchange = "other", routing_key = "a.b" }
    "#;
    stage.write("celeriac.toml", described);
    for module in ["text", "odd", "report"] {
        stage.push(module);
    }
    stage
}

/// Another worker's folder.
fn elsewhere([broker, backend]: &[&str; 2]) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    stage.push("odd");
    stage
}

fn worker(stage: &Stage) -> Server {
    stage.server(&["worker", "-n", NODE])
}

fn steer(release: &str, what: &str, places: &[&str; 2]) -> Value {
    let [broker, backend] = places;
    celery::python(release).run("steered.py", &[what, broker, backend, NODE])
}

#[test]
fn a_rate_that_is_ordered_is_obeyed_shown_and_ended_over_both_brokers() {
    on_both_brokers(|_, _worker, places| {
        let seen = steer("5.7", "rates", places);
        let set = json!({"ok": "new rate limit set successfully"});
        assert_eq!((&seen["set"], &seen["hourly"]), (&set, &set), "{seen}");
        let off = json!({"ok": "rate limit disabled successfully"});
        assert_eq!(seen["off"], off, "{seen}");
        let echo = "text.echo";
        assert_eq!(
            (&seen["before"], &seen["at last"]),
            (&json!(echo), &json!(echo))
        );
        assert_eq!(
            seen["shown"],
            json!([
                "text.echo [rate_limit=2/s]",
                "text.echo [rate_limit=2/s]",
                "text.echo [name=text.echo rate_limit=2/s]",
                echo,
            ])
        );
        assert!(seen["took"].as_f64() >= Some(2.0), "{seen}");
        let hourly = ["text.echo [rate_limit=1/h]", "old.echo [rate_limit=1/h]"];
        assert_eq!(seen["aliased"], json!(hourly));
        assert_eq!(seen["after"], 2);
    });
}

#[test]
fn limits_queues_and_the_pool_are_what_they_are_ordered_to_be_over_both_brokers() {
    on_both_brokers(|_, _worker, places| {
        let seen = steer("5.7", "limits", places);
        assert_eq!(
            seen["nap"][0], "billiard.exceptions.TimeLimitExceeded",
            "{seen}"
        );
        assert_eq!(
            seen["queues"],
            json!([["celery"], ["celery", "xq"], ["celery"]])
        );
        assert_eq!((&seen["added"], &seen["again"]), (&json!(3), &json!(4)));
        assert_eq!(seen["left"], json!(["PENDING", 1]));
        assert_eq!(seen["described"], json!({"ok": "add consumer zq"}));
        assert_eq!(seen["shape"], json!(["other", "a.b"]));
        assert_eq!(seen["sizes"], json!([64, 67, 66]));
    });
}

#[test]
fn a_queue_is_fed_by_the_exchange_that_is_ordered_over_both_brokers() {
    on_both_brokers(|_, _worker, places| {
        let seen = steer("5.7", "fed", places);
        let names = ["direct", "topic", "there", "own", "zq"];
        let added = names.map(|queue| json!({"ok": format!("add consumer {queue}")}));
        assert_eq!(seen["added"], json!(added));
        assert_eq!(
            seen["again"],
            json!({"ok": "already consuming from direct"})
        );
        assert_eq!(
            seen["shapes"],
            json!([
                ["shops", "direct", "x.y"],
                ["zoo", "topic", "cats.#"],
                ["late", "direct", "there"],
                ["own", "direct", "of its own"],
                ["other", "direct", "a.b"],
            ])
        );
        assert_eq!(
            seen["come"],
            json!(["x.y", "cats.lion.old", "there", "of its own", "a.b"])
        );
        assert_eq!(seen["waited"], "waits");
        if places[0].starts_with("redis") {
            let error = seen["fanout"]["error"].as_str().unwrap_or_default();
            assert!(error.contains("over Redis a fanout exchange"), "{seen}");
        } else {
            assert_eq!(seen["heard"], "whatever", "{seen}");
        }
        let words = ["exchange_type is", "exchange is", "queue is"];
        for (number, words) in words.iter().enumerate() {
            let error = seen["wrong"][number]["error"].as_str().unwrap_or_default();
            let error = error.strip_prefix("ValueError(").unwrap_or_default();
            assert!(error.contains(words), "{number}: {seen}");
        }
        assert_eq!(seen["alive"], 1);
    });
}

/// What a worker of Celery answered to a command.
fn captured(command: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/pidbox_redis.json");
    let text = std::fs::read(path).expect("a capture");
    let capture: Value = serde_json::from_slice(&text).expect("a document");
    let exchanges = capture["exchanges"].as_array().expect("a list");
    let exchange = exchanges.iter().find(|one| one["command"] == command);
    exchange.expect("it was captured")["reply"]["body"][NODE].clone()
}

fn members(of: &Value) -> BTreeSet<&str> {
    let members = of.as_object().expect("an object");
    members.keys().map(String::as_str).collect()
}

/// Checks that a document has the members of one of Celery's, and those within it.
fn assert_members(ours: &Value, theirs: &Value) {
    assert_eq!(members(ours), members(theirs), "{ours}");
    for (name, value) in theirs.as_object().expect("an object") {
        let is_of_names = matches!(name.as_str(), "total" | "kwargs" | "rusage");
        if value.is_object() && !is_of_names {
            assert_members(&ours[name], value);
        }
    }
}

#[test]
fn everything_that_is_asked_while_a_task_runs_has_celerys_members_over_both_brokers() {
    on_both_brokers(|_, worker, places| {
        let seen = steer("5.7", "looks", places);
        let mut stats = captured("stats");
        // Clients of 5.4 have no such provider, and none of ours needs one.
        let broker = stats["broker"].as_object_mut().expect("an object");
        broker.remove("credential_provider");
        assert_members(&seen["stats"], &stats);
        assert_eq!(seen["stats"]["pid"], worker.pid());
        assert_eq!(seen["stats"]["total"], json!({"odd.stays": 1}));
        assert_members(&seen["active_queues"][0], &captured("active_queues")[0]);

        let (runs, later) = (&seen["ids"][0], &seen["ids"][1]);
        let active = captured("active");
        assert_eq!(seen["active"].as_array().map(Vec::len), Some(1), "{seen}");
        assert_members(&seen["active"][0], &active[0]);
        assert_members(&seen["safe"][0], &active[0]);
        assert_eq!(
            (&seen["active"][0]["id"], &seen["active"][0]["args"]),
            (runs, &json!([600_000]))
        );
        assert_eq!(seen["safe"][0]["args"], "(600000,)");
        let id = runs.as_str().expect("an id");
        assert_eq!(members(&seen["query_task"]), BTreeSet::from([id]));
        assert_eq!(seen["query_task"][id][0], "active");
        assert_members(&seen["query_task"][id][1], &active[0]);
        // What is not due is in the broker, and so is what waits for a place.
        assert_eq!(
            (&seen["scheduled"], &seen["reserved"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(seen["revoked"], json!([later]));

        assert_eq!(seen["conf"]["task_acks_late"], true, "{seen}");
        assert_eq!(seen["conf"]["accept_content"], json!(["json", "yaml"]));
        let report = seen["report"].as_str().expect("a text");
        for words in [
            "software -> celeriac:",
            "platform -> ",
            "worker_concurrency: 64",
        ] {
            assert!(report.contains(words), "{report}");
        }
    });
}

#[test]
fn a_revocation_is_done_within_seconds_of_its_order_over_both_brokers() {
    on_both_brokers(|_, _worker, places| {
        let other = elsewhere(places);
        let _other = other.server(&["worker", "-n", "w2@example", "-Q", "second"]);
        let seen = steer("5.7", "soon", places);
        // Hundredths of a second, and at most one elsewhere, where nothing else runs; the
        // tasks would take ten minutes.
        for name in ["runs", "runs elsewhere", "waits", "queued"] {
            assert!(seen[name].as_f64() < Some(5.0), "{name}: {seen}");
        }
    });
}

fn settled(worker: &Server, state: &str) -> f64 {
    worker.metric("celeriac_tasks_settled_total", &[("state", state)])
}

/// Checks that of the two tasks of `kept` in its queue a worker runs the one that is wanted.
fn assert_kept(next: &Server) {
    until("both are settled", || {
        let both = settled(next, "REVOKED") + settled(next, "SUCCESS");
        (both > 1.5).then_some(())
    });
    assert!((settled(next, "REVOKED") - 1.0).abs() < 0.5);
}

/// What `kept` revokes it is told to have.
fn keep(places: &[&str; 2]) -> Value {
    let kept = steer("5.7", "kept", places);
    for queue in ["later", "second"] {
        let id = kept[queue]["unwanted"].as_str().expect("an id");
        let words = format!("tasks {{'{id}'}} flagged as revoked");
        assert_eq!(kept[queue]["told"], json!({"ok": words}));
    }
    kept
}

#[test]
fn what_celerys_control_revoked_stays_so_after_a_kill_and_on_other_workers_over_both_brokers() {
    on_both_brokers(|stage, worker, places| {
        let kept = keep(places);
        worker.kill();
        let other = elsewhere(places);
        assert_kept(&stage.server(&["worker", "-n", NODE, "-Q", "later"]));
        assert_kept(&other.server(&["worker", "-n", "w2@example", "-Q", "second"]));
        for queue in ["later", "second"] {
            for (name, state) in [("unwanted", "REVOKED"), ("wanted", "SUCCESS")] {
                let id = kept[queue][name].as_str().expect("an id");
                assert_eq!(stage.stored(id)["state"], state, "{queue} {name}");
            }
        }
    });
}

#[test]
fn what_celerys_control_revoked_is_in_the_data_folder_where_no_results_are_kept() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url());
    let first = worker(&stage);
    keep(&[&rabbit.url(), "disabled://"]);
    first.kill();
    assert_kept(&stage.server(&["worker", "-n", NODE, "-Q", "later"]));
}
