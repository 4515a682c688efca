//! The bill: what tenants used is the sum of their runs, whoever asks.

use crate::stage;
use serde_json::{Value, json};
use support::file::File;
use support::{Redis, Server, Stage, until};

/// The numbers that records and bills both have.
const NUMBERS: [&str; 5] = ["cpu_us", "run_us", "bytes_in", "bytes_out", "host_calls"];

/// The modules of the tasks that are billed.
const MODULES: &[&str] = &["odd", "text", "flaky", "numbers"];

/// What is shown of a tenant's last days.
fn bill(stage: &Stage, tenant: &str, by: &str) -> Vec<Value> {
    let shown = stage.json(&["usage", "-T", tenant, "--by", by]);
    shown["usage"].as_array().expect("entries").clone()
}

/// A number of a bill.
fn total(bill: &[Value], name: &str) -> u64 {
    let numbers = bill.iter().map(|entry| &entry["used"][name]);
    numbers
        .map(|number| number.as_u64().expect("a number"))
        .sum()
}

/// Waits for the end of a task of a tenant.
fn ended(stage: &Stage, tenant: &str, id: &str) -> Value {
    let ran = stage.run(&[
        "result",
        id,
        "--wait",
        "--timeout",
        "50s",
        "--json",
        "-T",
        tenant,
    ]);
    assert!(ran.code == 0 || ran.code == 1, "task {id}: {ran}");
    ran.json()
}

fn send(stage: &Stage, tenant: &str, task: &str, args: &str) -> String {
    let sent = stage.json(&["call", task, "-a", args, "-T", tenant]);
    sent["id"].as_str().expect("an id").to_owned()
}

/// A stage whose worker serves the tenants `default` and `acme`, each with these modules.
fn with_two(stage: Stage, lines: &str, modules: &[&str]) -> Stage {
    stage.write("celeriac.toml", format!("[tenants.acme]\n{lines}\n"));
    for name in modules {
        for tenant in ["default", "acme"] {
            stage.push_for(tenant, name);
        }
    }
    stage
}

/// The ends of attempts of a tenant, as the log tells them.
fn attempts(worker: &Server, tenant: &str) -> Vec<Value> {
    let log = worker.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = lines.filter(|line| line["target"] == "celeriac::attempt");
    ours.filter(|line| line["tenant.id"] == tenant).collect()
}

/// Runs tasks of two tenants to all kinds of ends, and compares their bills to the last
/// microsecond: those of single runs with their records, all with what the log tells.
fn assert_bill_is_the_sum(stage: &Stage) {
    let worker = stage.server(&["worker", "-l", "debug", "--log-format", "json"]);
    let runs = [
        ("default", "text.echo", r#"["abc"]"#),
        ("acme", "text.echo", r#"["a longer text"]"#),
        ("acme", "text.echo", "[[1, 2, 3]]"),
        ("acme", "numbers.fibonacci", "[1000]"),
        ("default", "numbers.fibonacci", "[2000]"),
        ("acme", "odd.waits", "[30]"),
        ("acme", "flaky.fails", r#"["ValueError", "no"]"#),
        ("acme", "flaky.fails_until", "[2, 10]"),
        ("default", "flaky.fails_until", "[1, 10]"),
    ];
    let sent = runs.map(|(tenant, task, args)| (tenant, send(stage, tenant, task, args)));
    let computes = send(stage, "acme", "numbers.fibonacci", "[100000000000]");
    let mut records: Vec<_> = sent
        .iter()
        .map(|(tenant, id)| (*tenant, ended(stage, tenant, id)))
        .collect();
    until("it computes", || {
        let stored = stage.json(&["why", &computes, "-T", "acme"]);
        (stored["place"] == "running").then_some(())
    });
    stage.json(&["kill", "--task", "numbers.fibonacci", "-T", "acme"]);
    records.push(("acme", ended(stage, "acme", &computes)));
    until("all is told", || {
        let told = attempts(&worker, "acme").len() + attempts(&worker, "default").len();
        (told == records.len() + 3).then_some(())
    });
    let told = ["default", "acme"].map(|tenant| (tenant, attempts(&worker, tenant)));
    // What was counted is told before the worker is gone.
    assert_eq!(worker.stop().code, Some(0));
    for (tenant, events) in told {
        let bill = bill(stage, tenant, "task");
        assert!(bill.iter().all(|entry| entry["tenant"] == tenant));
        assert_is_told(&bill, &events);
        let own = records.iter().filter(|(of, _)| *of == tenant);
        let own: Vec<&Value> = own.map(|(_, record)| record).collect();
        assert_is_recorded(bill, &own);
    }
    let modules = bill(stage, "acme", "module");
    let names = modules.iter().map(|entry| entry["module"].as_str());
    let names: Vec<&str> = names.map(|name| name.expect("a name")).collect();
    assert_eq!(names, ["flaky", "numbers", "odd", "text"]);
    // All tenants together, for the operator.
    let whole = stage.json(&["usage", "--by", "tenant"]);
    let whole = whole["usage"].as_array().expect("entries");
    assert_eq!(total(whole, "attempts"), records.len() as u64 + 3);
    assert_eq!(total(whole, "retried"), 3, "{whole:?}");
}

/// Compares a bill with the attempts that a log tells of, each retry among them.
fn assert_is_told(bill: &[Value], events: &[Value]) {
    assert_eq!(total(bill, "attempts"), events.len() as u64, "{bill:?}");
    for (name, state) in [
        ("succeeded", "SUCCESS"),
        ("failed", "FAILURE"),
        ("retried", "RETRY"),
    ] {
        let ended = events.iter().filter(|event| event["task.state"] == state);
        assert_eq!(total(bill, name), ended.count() as u64, "{name}: {bill:?}");
    }
    for (name, field) in [("cpu_us", "cpu_ms"), ("run_us", "run_ms")] {
        // The log has fractions of a millisecond, down to the nanosecond.
        let micros = events.iter().map(|event| {
            let ms = event[field].as_f64().expect("a number");
            format!("{:.0}", ms * 1e6).parse::<u64>().expect("digits") / 1_000
        });
        assert_eq!(total(bill, name), micros.sum::<u64>(), "{name}: {events:?}");
    }
    for name in ["bytes_in", "bytes_out", "host_calls"] {
        let numbers = events.iter().map(|event| &event[name]);
        let sum: u64 = numbers.filter_map(Value::as_u64).sum();
        assert_eq!(total(bill, name), sum, "{name}: {events:?}");
    }
}

/// Compares a bill with the records of results, which know the last run of each task.
fn assert_is_recorded(mut bill: Vec<Value>, records: &[&Value]) {
    bill.retain(|entry| entry["module"] != "flaky");
    let is_single = |record: &&&Value| {
        let task = record["task"].as_str().unwrap_or_default();
        !task.starts_with("flaky.")
    };
    let records: Vec<&&Value> = records.iter().filter(is_single).collect();
    assert_eq!(total(&bill, "attempts"), records.len() as u64, "{bill:?}");
    for name in NUMBERS {
        let numbers = records.iter().map(|record| &record["usage"][name]);
        let sum: u64 = numbers.filter_map(Value::as_u64).sum();
        assert_eq!(total(&bill, name), sum, "{name}: {bill:?} {records:?}");
        assert!(sum > 0 || name == "host_calls", "{name}");
    }
}

#[test]
fn the_bill_is_the_sum_of_the_runs() {
    assert_bill_is_the_sum(&with_two(stage(), "", MODULES));
}

#[test]
fn the_bill_is_the_sum_of_the_runs_where_tenants_are_on_redis() {
    let redis = Redis::start();
    let lines = format!(
        "broker = \"{}\"\nresult_backend = \"{}\"",
        redis.url(2),
        redis.url(3)
    );
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    assert_bill_is_the_sum(&with_two(stage, &lines, MODULES));
}

#[test]
fn a_killed_worker_loses_what_it_had_not_told_and_doubles_nothing() {
    let stage = with_two(stage().with("worker.lease", "1s"), "", &["text", "odd"]);
    let worker = stage.server(&["worker"]);
    ended(&stage, "acme", &send(&stage, "acme", "text.echo", "[1]"));
    let told = until("it is told", || {
        let bill = bill(&stage, "acme", "task");
        (total(&bill, "attempts") == 1).then_some(bill)
    });
    let runs = send(&stage, "acme", "odd.waits", "[600000]");
    until("it runs", || {
        let stored = stage.run(&["result", &runs, "--json", "-T", "acme"]);
        (stored.json()["state"] == "WAITING").then_some(())
    });
    worker.kill();
    // What was told is there, and of what ran when it was killed nothing.
    assert_eq!(bill(&stage, "acme", "task"), told);
    let worker = stage.server(&["worker"]);
    ended(&stage, "acme", &send(&stage, "acme", "text.echo", "[2]"));
    stage.json(&["revoke", &runs, "--terminate", "-T", "acme"]);
    ended(&stage, "acme", &runs);
    assert_eq!(worker.stop().code, Some(0));
    let bill = bill(&stage, "acme", "task");
    assert_eq!(total(&bill, "succeeded"), 2, "{bill:?}");
    assert!((2..=3).contains(&total(&bill, "attempts")), "{bill:?}");
}

#[test]
fn a_bill_is_a_table_a_document_or_a_spreadsheet() {
    let stage = with_two(stage(), "", &["text"]);
    let empty = stage.run(&["usage"]).good();
    assert!(empty.out.starts_with("nothing was used from "), "{empty}");
    let worker = stage.server(&["worker"]);
    for tenant in ["default", "acme"] {
        ended(&stage, tenant, &send(&stage, tenant, "text.echo", "[1]"));
    }
    assert_eq!(worker.stop().code, Some(0));
    let table = stage.run(&["usage", "--by", "task"]).good();
    let lines: Vec<&str> = table.out.lines().collect();
    assert!(
        lines[0].starts_with("day (UTC)   tenant   module  task"),
        "{table}"
    );
    assert!(lines[1].contains("acme     text    echo"), "{table}");
    assert!(
        lines[3].starts_with("together: 2 runs, 0 failed, "),
        "{table}"
    );
    let sheet = stage
        .run(&["usage", "-T", "acme", "--by", "task", "--csv"])
        .good();
    let lines: Vec<&str> = sheet.out.lines().collect();
    assert!(lines[0].starts_with("day,tenant,module,task,attempts,succeeded,"));
    assert!(lines[1].contains(",acme,text,echo,1,1,0,0,0,"), "{sheet}");
    assert_eq!(lines.len(), 2);
    let of =
        |arguments: &[&str]| stage.json(&[&["usage"][..], arguments].concat())["usage"].clone();
    let days = ["--from", "2025-01-01", "--to", "2026-01-01"];
    assert_eq!(of(&days), json!([]));
    for (arguments, word) in [
        (&["usage", "--csv", "--json"][..], "two forms"),
        (
            &["usage", "--from", "2025-01-01", "--to", "2026-01-02"],
            "are 367 days",
        ),
        (&["usage", "--from", "1.1.2026"], "is not a day"),
        (&["usage", "--by", "hour"], "invalid value"),
    ] {
        stage.run(arguments).refused(2, &[word]);
    }
    // More than one look shows.
    let mut file = File::open(&stage.data());
    file.run(
        "INSERT INTO usage WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < 100001) SELECT 'other', 20000, 'm', 't' || i, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
         0, 0 FROM n",
    );
    let then = [
        "usage",
        "--from",
        "2024-10-04",
        "--to",
        "2024-10-04",
        "--by",
    ];
    stage
        .run(&[&then[..], &["task"]].concat())
        .refused(2, &["more than 100000 entries", "--by day"]);
    let together = stage.json(&[&then[..], &["module"]].concat());
    let together = together["usage"].as_array().expect("entries");
    assert_eq!(total(together, "attempts"), 100_001);
    // What is asked for a tenant that is served is asked of the installation.
    let audit = stage.json(&["audit", "-T", "acme"]);
    assert_eq!(audit["audit"], json!([]));
}
