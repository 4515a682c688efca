//! What runs take: in results, in `celeriac run`, in the event of each attempt, in metrics.

mod bill;
mod by_hand;
mod cut_off;
mod grants_counted;

use crate::{celery, stage, success};
use serde_json::{Value, json};
use support::{Redis, Server, Stage, until};

/// The events of the attempts of a task.
fn attempts(worker: &Server, task: &str) -> Vec<Value> {
    let log = worker.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["target"] == "celeriac::attempt" && line["task.name"] == task)
        .collect()
}

fn sum(attempts: &[Value], field: &str) -> f64 {
    let numbers = attempts.iter().filter_map(|one| one[field].as_f64());
    numbers.sum()
}

fn assert_metered(stage: &Stage) {
    stage.push("odd");
    let dev = stage.server(&["dev", "--log-format", "json"]);
    let sent = stage.call("odd.sends", r#"["odd.told", 3, "now", "ok"]"#);
    assert_eq!(success(&sent).as_array().map(Vec::len), Some(3));
    let usage = &sent["usage"];
    let used = &usage["uses"]["submit"];
    assert_eq!((&used["calls"], &used["denied"]), (&json!(3), &json!(0)));
    assert!(used["bytes_out"].as_u64() > Some(30), "{sent}");
    assert!(usage["host_calls"].as_u64() >= Some(6), "{sent}");
    assert_eq!(
        usage["bytes_in"],
        json!(r#"["odd.told", 3, "now", "ok"]{}"#.len()),
        "{sent}"
    );
    let denied = stage.call("odd.sends", r#"["nobody.knows", 1, "now", "ok"]"#);
    let missed = &denied["usage"]["uses"]["submit"];
    assert_eq!(
        (&missed["calls"], &missed["denied"]),
        (&json!(0), &json!(1)),
        "{denied}"
    );
    let shown = stage.run(&["result", denied["id"].as_str().expect("an id")]);
    assert!(shown.out.contains("submit denied once"), "{shown}");
    until("it is counted", || {
        let used = dev.metric("celeriac_grants_used_total", &[("grant", "submit")]);
        let missed = dev.metric("celeriac_grants_denied_total", &[("grant", "submit")]);
        (used > 2.5 && missed > 0.5).then_some(())
    });
    // A retry is a run of its own.
    stage.call("odd.sends", r#"["odd.told", 1, "success", "retry"]"#);
    let events = until("all of it is told", || {
        let events = attempts(&dev, "odd.sends");
        (events.len() == 4).then_some(events)
    });
    let total = 1e3 * dev.metric("celeriac_cpu_seconds_total", &[("task", "odd.sends")]);
    assert!(
        (total - sum(&events, "cpu_ms")).abs() < 0.01,
        "{total} {events:?}"
    );
    assert_eq!(events[0]["grants.used"], "submit:3", "{events:?}");
    assert_eq!(events[1]["grants.denied"], "submit:1");
    for field in ["bytes_in", "bytes_out", "host_calls", "memory_peak_bytes"] {
        assert_eq!(events[0][field], usage[field], "{field}");
    }
}

#[test]
fn the_totals_of_a_task_are_the_sum_of_its_runs() {
    let stage = stage();
    stage.write("celeriac.toml", "[grants.odd]\nsubmit = [\"odd.*\"]\n");
    assert_metered(&stage);
}

#[test]
fn runs_are_metered_where_results_are_in_redis() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    stage.write("celeriac.toml", "[grants.odd]\nsubmit = [\"odd.*\"]\n");
    assert_metered(&stage);
}

#[test]
fn a_run_by_hand_tells_what_it_took() {
    let stage = stage();
    let file = stage.component("text").display().to_string();
    let arguments = ["run", &file, "echo", "-a", "[\"abc\"]"];
    let told = stage.json(&arguments);
    assert_eq!(
        (&told["bytes_in"], &told["bytes_out"]),
        (&json!(9), &json!(5)),
        "{told}"
    );
    assert_eq!(
        (&told["host_calls"], &told["uses"]),
        (&json!(0), &json!({})),
        "{told}"
    );
    let told = stage.run(&arguments).good();
    assert!(
        told.out.contains("9 B in, 5 B out, 0 host calls\n"),
        "{told}"
    );
}

#[test]
fn a_library_of_prometheus_reads_what_runs_took() {
    let stage = stage();
    stage.push("text");
    let dev = stage.dev();
    let runs = [0, 1].map(|_| stage.call("text.echo", r#"["abc"]"#));
    let listen = dev.banner()["listen"].as_str().expect("an address");
    let page = format!("http://{listen}/metrics");
    let families = until("both runs are counted", || {
        let families = celery::python("5.7").run("metrics.py", &[&page]);
        let calls = &families["celeriac_task_memory_peak_bytes"]["samples"];
        let count = calls.as_array()?.iter().find(|one| {
            let name = one[0].as_str().unwrap_or_default();
            name.ends_with("_count") && one[2].as_f64() == Some(2.0)
        });
        count.map(|_| families.clone())
    });
    for (name, kind) in [
        ("celeriac_cpu_seconds", "counter"),
        ("celeriac_task_memory_peak_bytes", "histogram"),
        ("celeriac_task_bytes", "counter"),
        ("celeriac_task_host_calls", "counter"),
    ] {
        assert_eq!(families[name]["type"], kind, "{name}: {families}");
    }
    let bytes = families["celeriac_task_bytes"]["samples"].as_array();
    for (direction, field) in [("in", "bytes_in"), ("out", "bytes_out")] {
        let labels = json!({"task": "text.echo", "direction": direction});
        let mut samples = bytes.into_iter().flatten();
        let sample = samples.find(|one| one[0] == "celeriac_task_bytes_total" && one[1] == labels);
        let sum: f64 = runs
            .iter()
            .filter_map(|run| run["usage"][field].as_f64())
            .sum();
        assert_eq!(
            sample.and_then(|one| one[2].as_f64()),
            Some(sum),
            "{direction}: {families}"
        );
    }
}
