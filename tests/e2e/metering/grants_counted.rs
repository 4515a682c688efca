//! Every use and every denial of a grant is counted, and all who count tell the same:
//! the result, the event of the attempt, the metrics, and the log of the task says why.

use crate::{stage, success};
use serde_json::{Value, json};
use support::{Server, Site, Stage, until};

/// One task for each grant, with how often each is used, and denied without it.
struct Try {
    task: &'static str,
    args: String,
    grant: &'static str,
    /// The line of `[grants]`, as a denial names it.
    line: String,
    used: u64,
}

fn tries(site: &Site) -> Vec<Try> {
    let url = site.url("127.0.0.1");
    let one = |task, args: &str, grant, line: &str, used| Try {
        task,
        args: args.to_owned(),
        grant,
        line: line.to_owned(),
        used,
    };
    let fetch = json!([url]).to_string();
    let sends = r#"["odd.told", 2, "now", "ok"]"#;
    vec![
        one("web.fetch", &fetch, "http", &format!("http = [{url:?}]"), 1),
        one(
            "odd.greets",
            r#"["CITY"]"#,
            "config",
            r#"config = ["CITY"]"#,
            1,
        ),
        one(
            "odd.measures",
            r#"["TOKEN"]"#,
            "secrets",
            r#"secrets = ["TOKEN"]"#,
            1,
        ),
        // It opens the store for each of two calls.
        one(
            "odd.keeps",
            r#"["a", "b"]"#,
            "key_value",
            r#"key_value = "1MiB""#,
            4,
        ),
        // One page is written, and its size is asked for and it is read until there is no more.
        one("odd.scribbles", "[1]", "scratch", r#"scratch = "16MiB""#, 5),
        one("odd.sends", sends, "submit", r#"submit = ["odd.told"]"#, 2),
    ]
}

/// A stage whose modules are granted all of that, or nothing.
fn prepared(tries: &[Try], granted: bool, isolate: bool) -> Stage {
    let stage = stage().with("worker.isolate", &isolate.to_string());
    stage.write("token", "hunter2");
    let lines = |module: &str| -> String {
        let ours = tries.iter().filter(|one| one.task.starts_with(module));
        let lines: Vec<&str> = ours.map(|one| one.line.as_str()).collect();
        format!("[grants.{module}]\n{}\n", lines.join("\n"))
    };
    let mut text = "[values]\nCITY = \"Ulm\"\n[secrets]\nTOKEN = { file = \"token\" }\n".to_owned();
    if granted {
        text += &lines("odd");
        text += &lines("web");
        text += "http_private = [\"127.0.0.1\"]\n";
    }
    stage.write("celeriac.toml", text);
    stage
}

/// The event of an attempt.
fn event(worker: &Server, id: &Value) -> Value {
    until("it is told", || {
        let log = worker.log();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["target"] == "celeriac::attempt" && line["task.id"] == *id)
    })
}

fn assert_counted(one: &Try, stage: &Stage, worker: &Server, granted: bool) {
    let name = format!("{} {granted}", one.task);
    let stored = stage.call(one.task, &one.args);
    let uses = &stored["usage"]["uses"];
    let used = &uses[one.grant];
    let told = event(worker, &stored["id"]);
    let counts = (used["calls"].as_u64(), used["denied"].as_u64());
    assert_eq!(
        uses.as_object().map(serde_json::Map::len),
        Some(1),
        "{name}: {stored}"
    );
    let (field, other, number) = if granted {
        success(&stored);
        assert_eq!(counts, (Some(one.used), Some(0)), "{name}: {stored}");
        ("grants.used", "grants.denied", one.used)
    } else {
        assert_eq!(counts, (Some(0), Some(1)), "{name}: {stored}");
        let line = format!("[grants.\"{}\"] {}", &one.task[..3], one.line);
        let said = stored
            .to_string()
            .replace("\\\\\\\"", "\"")
            .replace("\\\"", "\"");
        assert!(said.contains(&line), "{name}: {line} is missing: {said}");
        ("grants.denied", "grants.used", 1)
    };
    assert_eq!(
        told[field],
        format!("{}:{number}", one.grant),
        "{name}: {told}"
    );
    assert_eq!(told[other], "", "{name}: {told}");
    assert_metrics(one, &stored, worker, granted);
}

/// The first run of its task and the first use of its grant: the totals are those of the run.
fn assert_metrics(one: &Try, stored: &Value, worker: &Server, granted: bool) {
    let usage = &stored["usage"];
    let used = &usage["uses"][one.grant];
    let number = |value: &Value| value.as_f64().expect("a number");
    let is = |what: &str, metric: &str, labels: &[(&str, &str)], value: &Value| {
        let found = worker.metric(metric, labels);
        let apart = (found - number(value)).abs();
        assert!(
            apart < 0.5,
            "{} {granted} {what}: {found}, {stored}",
            one.task
        );
    };
    let (task, grant) = (("task", one.task), ("grant", one.grant));
    is(
        "used",
        "celeriac_grants_used_total",
        &[grant],
        &used["calls"],
    );
    is(
        "denied",
        "celeriac_grants_denied_total",
        &[grant],
        &used["denied"],
    );
    is(
        "calls",
        "celeriac_task_host_calls_total",
        &[task],
        &usage["host_calls"],
    );
    is(
        "peak",
        "celeriac_task_memory_peak_bytes_sum",
        &[task],
        &usage["memory_peak_bytes"],
    );
    for way in ["in", "out"] {
        let direction = ("direction", way);
        let bytes = format!("bytes_{way}");
        is(
            way,
            "celeriac_task_bytes_total",
            &[task, direction],
            &usage[&bytes],
        );
        is(
            way,
            "celeriac_grants_bytes_total",
            &[grant, direction],
            &used[&bytes],
        );
    }
}

fn all_tell_the_same(isolate: bool) {
    let site = Site::plain("hello");
    let tries = tries(&site);
    for granted in [true, false] {
        let stage = prepared(&tries, granted, isolate);
        // A denial is logged by any worker, a use by those that log attempts.
        let role = if granted { "dev" } else { "worker" };
        stage.push("odd");
        stage.push("web");
        let worker = stage.server(&[role, "--log-format", "json"]);
        for one in &tries {
            assert_counted(one, &stage, &worker, granted);
        }
    }
}

#[test]
fn uses_and_denials_of_every_grant_are_told_the_same_everywhere() {
    all_tell_the_same(false);
}

#[test]
fn uses_and_denials_are_counted_in_a_process_apart() {
    all_tell_the_same(true);
}
