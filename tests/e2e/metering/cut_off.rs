//! What runs took that were ended from outside: nobody computes for nothing.

use crate::{stage, success};
use serde_json::{Value, json};
use support::{Server, Stage, until};

/// A task that computes longer than any test waits, and its arguments.
const COMPUTES: (&str, &str) = ("numbers.fibonacci", "[100000000000]");
/// How long others are waited for meanwhile, milliseconds.
const MEANWHILE: &str = "[300]";
/// What at least was computed in that time, microseconds: it shares its machine with others.
const COMPUTED: u64 = 20_000;

fn working(isolate: &str) -> (Stage, Server) {
    let stage = stage().with("worker.isolate", isolate);
    stage.push("odd");
    stage.push("numbers");
    let dev = stage.server(&["dev", "-c", "4", "--log-format", "json"]);
    (stage, dev)
}

/// Waits until so many run, and then a while that a task of another module measures.
fn meanwhile(stage: &Stage, dev: &Server, running: f64) {
    until("it runs", || {
        let found = dev.metric("celeriac_tasks_in_flight", &[]);
        (found > running - 0.5).then_some(())
    });
    success(&stage.call("odd.waits", MEANWHILE));
}

fn assert_costs(usage: &Value) {
    let number = |name: &str| usage[name].as_u64().expect("a number");
    assert!(number("cpu_us") > COMPUTED, "{usage}");
    assert!(number("run_us") > number("cpu_us"), "{usage}");
    assert!(number("memory_peak_bytes") > 0, "{usage}");
    assert_eq!(number("bytes_in"), (COMPUTES.1.len() + 2) as u64, "{usage}");
}

/// The events of the task that computes, one for each of its ends.
fn events(dev: &Server, ends: usize) -> Vec<Value> {
    until("all is told", || {
        let log = dev.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ours: Vec<_> = lines
            .filter(|line| line["target"] == "celeriac::attempt" && line["task.name"] == COMPUTES.0)
            .collect();
        (ours.len() == ends).then_some(ours)
    })
}

#[test]
fn what_a_killed_or_terminated_task_took_is_told() {
    for isolate in ["false", "true"] {
        let (stage, dev) = working(isolate);
        let [ended, killed] = [0, 1].map(|_| stage.send(COMPUTES.0, &["-a", COMPUTES.1]));
        meanwhile(&stage, &dev, 2.0);
        stage.json(&["revoke", &ended, "--terminate"]);
        // Whoever orders it may tell its end first, and knows nothing of its run.
        let ended = until("its worker tells the end", || {
            let stored = stage.ended(&ended);
            (stored["usage"]["run_us"] != 0).then_some(stored)
        });
        assert_eq!(ended["state"], "REVOKED", "{ended}");
        stage.json(&["kill", "--task", COMPUTES.0]);
        let id = killed;
        let killed = stage.ended(&id);
        assert_eq!(killed["exception"]["class"], "Killed", "{killed}");
        for stored in [&ended, &killed] {
            assert_costs(&stored["usage"]);
        }
        let shown = stage.run(&["result", &id]);
        assert!(shown.out.contains(", peak "), "{shown}");
        let told = events(&dev, 2);
        let cpu: f64 = told.iter().filter_map(|one| one["cpu_ms"].as_f64()).sum();
        let total = dev.metric("celeriac_cpu_seconds_total", &[("task", COMPUTES.0)]);
        assert!((1e3 * total - cpu).abs() < 0.01, "{total} {told:?}");
        assert!(cpu * 1e3 > 2.0 * f64::from(u32::try_from(COMPUTED).expect("small")));
    }
}

#[test]
fn what_a_batch_took_until_it_was_killed_is_told() {
    let (stage, dev) = working("false");
    let add = json!({"task": "numbers.fibonacci", "args": [], "kwargs": {}, "options": {}});
    let map = json!({"task": add, "it": [10, 100_000_000_000_u64]}).to_string();
    let id = stage.send("celery.map", &["-k", &map]);
    meanwhile(&stage, &dev, 1.0);
    stage.json(&["kill", "--module", "numbers"]);
    let usage = stage.ended(&id)["usage"].clone();
    assert!(usage["cpu_us"].as_u64() > Some(COMPUTED), "{usage}");
    // `[10]` and `{}`, `[100000000000]` and `{}`, and the first result, `55`.
    assert_eq!(
        (&usage["bytes_in"], &usage["bytes_out"]),
        (&json!(22), &json!(2))
    );
}

#[test]
fn what_a_run_took_until_its_lease_was_lost_is_told() {
    let stage = stage().with("worker.lease", "1s");
    stage.push("numbers");
    let frozen = stage.server(&[
        "worker",
        "-n",
        "frozen@example",
        "-l",
        "debug",
        "--log-format",
        "json",
    ]);
    let id = stage.send(COMPUTES.0, &["-a", COMPUTES.1]);
    until("it computed a while", || {
        let asked = ["inspect", "active", "-d", "frozen@example", "-t", "20"];
        stage.json(&asked).to_string().contains(&id).then_some(())
    });
    stage.freeze(&frozen);
    let other = stage.server(&["worker", "-n", "other@%h"]);
    until("another has it", || {
        (other.metric("celeriac_tasks_in_flight", &[]) > 0.5).then_some(())
    });
    frozen.thaw();
    let told = events(&frozen, 1);
    assert_eq!(told[0]["task.state"], "LOST", "{told:?}");
    assert!(told[0]["cpu_ms"].as_f64() > Some(0.0), "{told:?}");
    stage.json(&["kill", "--task", COMPUTES.0]);
    stage.ended(&id);
}
