//! Values, secrets, keys and scratch files that the operator grants.

use crate::{failure, stage, success};
use serde_json::{Value, json};
use support::{Redis, Stage};

const TOKEN: &str = "hunter2-and-more";

/// A stage that grants module `odd` everything, and a module of another name nothing but room.
fn granted() -> Stage {
    let stage = stage();
    stage.write("token", format!("{TOKEN}\n"));
    stage.write(
        "celeriac.toml",
        r#"
[values]
GREETING = "Hello from Ulm"
[secrets]
API_TOKEN = { file = "token" }
SEARCHED = { env = "PATH" }
[grants.odd]
config = ["GREETING"]
secrets = ["API_TOKEN", "SEARCHED"]
inject = ["api.example.com Authorization: Bearer {API_TOKEN}"]
key_value = "1MiB"
scratch = "1MiB"
[grants.other]
key_value = "1KiB"
"#,
    );
    stage
}

fn push_as(stage: &Stage, name: &str) {
    let file = stage.component("odd").display().to_string();
    stage.json(&["push", &file, "--name", name]);
}

/// The lines of an attempt's log.
fn log(stored: &Value) -> String {
    stored["log"].to_string()
}

#[test]
fn a_granted_task_reads_and_keeps() {
    for isolate in ["false", "true"] {
        reads_and_keeps(&granted().with("worker.isolate", isolate));
    }
}

fn reads_and_keeps(stage: &Stage) {
    stage.push("odd");
    let _dev = stage.dev();
    let stored = stage.call("odd.greets", r#"["GREETING"]"#);
    assert_eq!(*success(&stored), "Hello from Ulm");
    let stored = stage.call("odd.measures", r#"["API_TOKEN"]"#);
    assert_eq!(*success(&stored), TOKEN.len());
    let stored = stage.call("odd.measures", r#"["SEARCHED"]"#);
    let path = std::env::var("PATH").expect("a path");
    assert_eq!(*success(&stored), path.len());
    for before in [Value::Null, json!("b")] {
        let stored = stage.call("odd.keeps", r#"["a", "b"]"#);
        assert_eq!(*success(&stored), before);
    }
    let stored = stage.call("odd.scribbles", "[1048576]");
    assert_eq!(*success(&stored), 1 << 20);
}

#[test]
fn a_denial_names_the_line_that_would_allow_it() {
    let stage = stage();
    stage.push("odd");
    let _dev = stage.dev();
    for (task, args, line) in [
        ("odd.greets", r#"["GREETING"]"#, r#"config = ["GREETING"]"#),
        (
            "odd.measures",
            r#"["API_TOKEN"]"#,
            r#"secrets = ["API_TOKEN"]"#,
        ),
        ("odd.scribbles", "[1]", r#"scratch = "16MiB""#),
    ] {
        let stored = stage.call(task, args);
        let message = failure(&stored, "celeriac.StoreError");
        let line = format!(r#"[grants."odd"] {line}"#);
        assert!(message.contains(&line), "{message}");
    }
    let stored = stage.call("odd.keeps", r#"["a", "b"]"#);
    failure(&stored, "celeriac.StoreError");
    let line = json!(r#"[grants."odd"] key_value = "1MiB""#).to_string();
    let log = log(&stored);
    assert!(log.contains(line.trim_matches('"')), "{log}");
}

#[test]
fn what_is_kept_survives_the_worker_and_no_other_module_sees_it() {
    let stage = granted();
    stage.push("odd");
    let first = stage.dev();
    push_as(&stage, "other");
    success(&stage.call("odd.keeps", r#"["a", "ours"]"#));
    let theirs = stage.call("other.keeps", r#"["a", "theirs"]"#);
    assert_eq!(*success(&theirs), Value::Null);
    first.kill();
    let _second = stage.dev();
    for (module, kept) in [("odd", "ours"), ("other", "theirs")] {
        let stored = stage.call(&format!("{module}.keeps"), r#"["a", "x"]"#);
        assert_eq!(*success(&stored), kept, "{module}");
        let stored = stage.call(&format!("{module}.clears"), "[]");
        assert_eq!(*success(&stored), json!(["a"]), "{module}");
    }
    // Each has room of its own, too.
    let full = stage.call("other.fills", "[3, 10, 500]");
    let (kept, said): (u32, String) =
        serde_json::from_value(success(&full).clone()).expect("a pair");
    assert_eq!(kept, 2, "{said}");
    assert!(said.contains("room for 1024 bytes"), "{said}");
    assert_eq!(success(&stage.call("odd.fills", "[3, 10, 500]"))[0], 3);
}

#[test]
fn workers_that_share_a_redis_count_together() {
    let redis = Redis::start();
    let stages = [granted(), granted()];
    let stages = stages.map(|stage| {
        let stage = stage.with("broker", &redis.url(0));
        stage.with("result_backend", &redis.url(1))
    });
    let _workers = stages.each_ref().map(|stage| {
        stage.push("odd");
        stage.dev()
    });
    let ids: Vec<String> = (0..8)
        .map(|number| {
            let stage = &stages[number % 2];
            stage.send("odd.counts", &["-a", r#"["n", 25]"#])
        })
        .collect();
    let counts = ids.iter().map(|id| success(&stages[0].ended(id)).as_u64());
    assert_eq!(counts.max(), Some(Some(200)));
    assert_eq!(redis.cli(1, &["HGET", "celeriac-shelf-{odd}", "n"]), "200");
}

#[test]
fn a_secret_is_in_no_log_no_listing_and_no_file_of_the_worker() {
    let stage = granted();
    stage.push("odd");
    let dev = stage.server(&["dev", "--loglevel", "trace"]);
    success(&stage.call("odd.measures", r#"["API_TOKEN"]"#));
    failure(
        &stage.call("odd.measures", r#"["OTHER"]"#),
        "celeriac.StoreError",
    );
    let checked = stage.run(&["config", "check"]).good();
    assert!(
        checked.out.contains("secrets.\"API_TOKEN\".file"),
        "{checked}"
    );
    assert!(!checked.out.contains(TOKEN), "{checked}");
    let log = dev.log();
    assert!(!log.contains(TOKEN), "{log}");
    drop(dev);
    for file in std::fs::read_dir(stage.data()).expect("the data folder") {
        let path = file.expect("a file").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("it can be read");
            let mut windows = bytes.windows(TOKEN.len());
            let is_there = windows.any(|window| window == TOKEN.as_bytes());
            assert!(!is_there, "{}", path.display());
        }
    }
}

#[test]
fn a_secret_that_is_not_there_fails_the_start_of_a_worker_and_of_nothing_else() {
    let stage = granted();
    std::fs::remove_file(stage.path("token")).expect("it was there");
    for command in ["dev", "worker"] {
        stage
            .run(&[command])
            .refused(2, &["\"API_TOKEN\"", "the file token", "[secrets]"]);
    }
    stage.push("odd");
    let checked = stage.run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{checked}");
}

#[test]
fn a_push_tells_what_is_wanted_and_which_line_would_grant_it() {
    let pushed = granted().push("odd");
    let found = |pushed: &Value, want: &str| {
        let wants = pushed["wants"].as_array().expect("a list").clone();
        let one = wants.iter().find(|one| one["want"] == want);
        one.unwrap_or_else(|| panic!("{want}: {pushed}")).clone()
    };
    for want in [
        "config:GREETING",
        "secret:API_TOKEN",
        "key-value",
        "scratch",
    ] {
        let wanted = json!({"want": want, "granted": true, "line": null});
        assert_eq!(found(&pushed, want), wanted);
    }
    let stage = stage();
    let pushed = stage.push("odd");
    let line = r#"[grants."odd"] secrets = ["API_TOKEN"]"#;
    let wanted = json!({"want": "secret:API_TOKEN", "granted": false, "line": line});
    assert_eq!(found(&pushed, "secret:API_TOKEN"), wanted);
    let file = stage.component("odd").display().to_string();
    let said = stage.run(&["push", &file, "--name", "odd"]).good().out;
    assert!(
        said.contains(&format!("secret:API_TOKEN: not granted; {line} would")),
        "{said}"
    );
}
