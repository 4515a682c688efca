//! Calling tasks and hearing what became of them.

use crate::{failure, message, stage, success};
use serde_json::json;
use support::until;

#[test]
fn a_result_comes_back_as_the_guest_wrote_it() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let value = r#"{"ä 🌱":[1.50,-0,"\u0000","漢字"],"big":123456789012345678,"none":null}"#;
    let ran = stage.run(&[
        "call",
        "text.echo",
        "-a",
        &format!("[{value}]"),
        "--wait",
        "--json",
    ]);
    assert_eq!(
        success(&ran.json())["ä 🌱"],
        json!([1.5, -0.0, "\u{0}", "漢字"])
    );
    assert_eq!(ran.json()["result"]["big"], 123_456_789_012_345_678_u64);
    let shown = stage
        .run(&["call", "text.echo", "-a", "[\"漢字\"]", "--wait"])
        .good();
    assert!(
        shown.out.starts_with("SUCCESS in ") && shown.out.ends_with("\"漢字\"\n"),
        "{shown}"
    );
}

#[test]
fn arguments_bind_as_python_binds_them() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let call = |args: &str, kwargs: &str| {
        stage.ended(&stage.send("text.word_count", &["-a", args, "-k", kwargs]))
    };
    assert_eq!(*success(&call(r#"["a b a"]"#, "{}")), 3);
    assert_eq!(*success(&call(r#"["a b a"]"#, r#"{"unique": true}"#)), 2);
    assert_eq!(
        *success(&call("[]", r#"{"unique": true, "text": "a b a"}"#)),
        2
    );
    for (args, kwargs, word) in [
        ("[]", "{}", "text"),
        (r#"["a", true, 3]"#, "{}", "3"),
        (r#"["a"]"#, r#"{"text": "b"}"#, "text"),
        (r#"["a"]"#, r#"{"loud": 1}"#, "loud"),
        ("[7]", "{}", "text"),
    ] {
        let ended = call(args, kwargs);
        assert!(
            failure(&ended, "builtins.TypeError").contains(word),
            "{args} {kwargs}: {ended}"
        );
    }
}

#[test]
fn arguments_may_come_from_a_file_or_standard_input() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    stage.write("args.json", r#"["one two"]"#);
    let from_file = stage.run(&[
        "call",
        "text.word_count",
        "-a",
        "@args.json",
        "--wait",
        "--json",
    ]);
    assert_eq!(*success(&from_file.json()), 2);
    // Larger than any command line.
    let long = format!("[\"{}\"]", "word ".repeat(100_000));
    let from_input = stage.run_with(
        &["call", "text.word_count", "-a", "@-", "--wait", "--json"],
        long.as_bytes(),
    );
    assert_eq!(*success(&from_input.json()), 100_000);
}

#[test]
fn a_failure_is_the_class_that_a_python_caller_catches() {
    let stage = stage();
    stage.push("flaky");
    let _dev = stage.dev();
    for (task, args, expected, word) in [
        (
            "fails",
            r#"["ValueError", "too wide"]"#,
            "builtins.ValueError",
            "too wide",
        ),
        (
            "fails",
            r#"["http.timeout", "too late"]"#,
            "celeriac.HttpTimeout",
            "too late",
        ),
        ("fails", r#"["os.system", "x"]"#, "celeriac.OsSystem", "x"),
        (
            "fails",
            r#"["SystemExit", "x"]"#,
            "celeriac.SystemExit",
            "x",
        ),
        (
            "parses",
            r#"["no number"]"#,
            "celeriac.ParseIntError",
            "invalid digit",
        ),
        (
            "panics",
            r#"["a broken assumption"]"#,
            "celeriac.Trap",
            "a broken assumption",
        ),
    ] {
        let ended = stage.call(&format!("flaky.{task}"), args);
        assert!(failure(&ended, expected).contains(word), "{ended}");
    }
    let ran = stage.run(&[
        "call",
        "flaky.fails",
        "-a",
        r#"["ValueError", "too wide"]"#,
        "--wait",
    ]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("FAILURE  ValueError\ntoo wide"), "{ran}");
}

#[test]
fn an_unknown_task_is_told_to_its_caller_and_kept() {
    let stage = stage();
    let _dev = stage.dev();
    for name in ["nobody.knows", "no_dot", "Ärger.x", "a.b.c.d"] {
        let id = stage.send(name, &[]);
        let ended = stage.ended(&id);
        assert!(
            failure(&ended, "celery.exceptions.NotRegistered").contains(name),
            "{ended}"
        );
    }
    stage.settled();
    let dead = stage.json(&["queues", "--dead"]);
    assert_eq!(dead["dead"].as_array().map(Vec::len), Some(4), "{dead}");
    assert!(
        dead["dead"][0]["reason"]
            .as_str()
            .unwrap_or_default()
            .contains("is registered here"),
        "{dead}"
    );
}

#[test]
fn progress_and_states_of_ones_own_are_seen_while_the_task_runs() {
    let stage = stage();
    stage.push("report");
    let _dev = stage.dev();
    let id = stage.send(
        "report.build",
        &[
            "-a",
            r#"["Sales"]"#,
            "-k",
            r#"{"pages": 4, "wait_ms": 400}"#,
        ],
    );
    let seen = until("progress", || {
        Some(stage.stored(&id)).filter(|stored| stored["state"] == "PROGRESS")
    });
    assert_eq!(seen["result"]["total"], 4, "{seen}");
    let packed = stage.send(
        "report.pack",
        &["-a", r#"[["a", "b", "c"]]"#, "-k", r#"{"wait_ms": 400}"#],
    );
    let seen = until("packing", || {
        Some(stage.stored(&packed)).filter(|stored| stored["state"] == "PACKING")
    });
    assert!(seen["result"]["left"].is_u64(), "{seen}");
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 4);
    let lines = ended["log"]["lines"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert!(
        lines.iter().any(|line| line["message"] == "finished"),
        "{ended}"
    );
    assert_eq!(*success(&stage.ended(&packed)), 3);
}

#[test]
fn a_task_that_ignores_its_end_stores_nothing() {
    let stage = stage();
    stage.push("flaky");
    let dev = stage.dev();
    let id = stage.send("flaky.ignores", &[]);
    until("the end", || {
        (dev.metric("celeriac_tasks_settled_total", &[("state", "IGNORED")]) > 0.0).then_some(())
    });
    assert_eq!(stage.stored(&id), json!({"id": id, "state": "PENDING"}));
    assert!(stage.settled().states.is_empty());
}

#[test]
fn a_header_ignore_result_is_obeyed() {
    let stage = stage();
    stage.push("text");
    let dev = stage.dev();
    let letter =
        support::Letter::new("text.echo", "quiet", "[1]").header("ignore_result", json!(true));
    stage.post(&[letter]);
    until("the end", || {
        (dev.metric("celeriac_tasks_settled_total", &[("state", "SUCCESS")]) > 0.0).then_some(())
    });
    assert_eq!(stage.stored("quiet")["state"], "PENDING");
}

#[test]
fn the_callers_time_limit_lowers_the_tasks() {
    let stage = stage();
    stage.push("report");
    let _dev = stage.dev();
    let letter = support::Letter::new("report.nap", "slow", "[60000]")
        .header("timelimit", json!([0.3, null]));
    stage.post(&[letter]);
    let ended = stage.ended("slow");
    assert!(
        failure(&ended, "billiard.exceptions.TimeLimitExceeded").contains("300 ms"),
        "{ended}"
    );
}

#[test]
fn a_wait_that_is_too_short_says_so_and_the_task_goes_on() {
    let stage = stage();
    stage.push("report");
    let _dev = stage.dev();
    let ran = stage.run(&[
        "call",
        "report.nap",
        "-a",
        "[1500]",
        "--id",
        "nap",
        "--wait",
        "--timeout",
        "200ms",
    ]);
    assert_eq!(ran.code, 6, "{ran}");
    assert!(
        ran.out.contains("the task goes on") && ran.out.contains("celeriac result nap --wait"),
        "{ran}"
    );
    assert_eq!(*success(&stage.ended("nap")), 1500);
}

#[test]
fn two_calls_with_one_id_are_one_task() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    stage.send("text.echo", &["-a", "[1]", "--id", "same"]);
    assert_eq!(*success(&stage.ended("same")), 1);
    stage.send("text.echo", &["-a", "[2]", "--id", "same"]);
    stage.settled();
    let stored = stage.stored("same");
    assert_eq!(stored["state"], "SUCCESS", "{stored}: {}", message(&stored));
    assert_eq!(stage.tally().states.len(), 1);
}

#[test]
fn wrong_arguments_of_the_command_line_are_explained() {
    let stage = stage();
    stage
        .run(&["call", "a.b", "-a", "{}"])
        .refused(2, &["-a is not a JSON array", "such as"]);
    stage
        .run(&["call", "a.b", "-a", "[1"])
        .refused(2, &["-a is not a JSON array", "EOF"]);
    stage
        .run(&["call", "a.b", "-a", "[NaN]"])
        .refused(2, &["-a is not a JSON array"]);
    stage
        .run(&["call", "a.b", "-k", "[]"])
        .refused(2, &["-k is not a JSON object"]);
    stage
        .run(&["call", "a.b", "--countdown", "soon"])
        .refused(2, &["--countdown", "soon"]);
    stage
        .run(&["call", "a.b", "--priority", "10"])
        .refused(2, &["priority"]);
    stage
        .run(&["call", "a.b", "-Q", "no,commas"])
        .refused(2, &["--queue"]);
    stage
        .run(&["call", "a.b", "--id", ""])
        .refused(2, &["--id"]);
    stage.run(&["result", "nobody"]).refused(5, &["PENDING"]);
    stage.run(&["kall"]).refused(2, &["call"]);
}
