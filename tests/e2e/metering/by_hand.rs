//! `celeriac run`: the grants of a configuration and of flags, without a worker.

use crate::stage;
use serde_json::{Value, json};
use support::{Ran, Site, Stage};

const CONFIG: &str = r#"
[values]
CITY = "Ulm"
[secrets]
TOKEN = { file = "token" }
AWAY = { file = "nowhere" }
[grants.odd]
config = ["CITY"]
secrets = ["TOKEN"]
key_value = "1KiB"
scratch = "1MiB"
submit = ["odd.told"]
[grants.other]
secrets = ["AWAY"]
"#;

fn by_hand(stage: &Stage, module: &str, task: &str, args: &str, more: &[&str]) -> Ran {
    let file = stage.component(module).display().to_string();
    let own = ["run", &file, task, "-a", args];
    stage.run(&[&own, more].concat())
}

fn told(stage: &Stage, task: &str, args: &str) -> Value {
    by_hand(stage, "odd", task, args, &["--json"]).json()
}

#[test]
fn a_run_by_hand_gets_what_the_configuration_grants_to_its_module() {
    let stage = stage();
    stage.write("token", "hunter2\n");
    stage.write("celeriac.toml", CONFIG);
    for (task, args, grant, result) in [
        ("greets", r#"["CITY"]"#, "config", json!("Ulm")),
        ("measures", r#"["TOKEN"]"#, "secrets", json!(7)),
        ("keeps", r#"["a", "b"]"#, "key_value", json!(null)),
        ("counts", r#"["n", 3]"#, "key_value", json!(3)),
        ("scribbles", "[10]", "scratch", json!(10)),
    ] {
        let told = told(&stage, task, args);
        assert_eq!(
            (&told["outcome"], &told["result"]),
            (&json!("returned"), &result),
            "{told}"
        );
        let used = &told["uses"][grant];
        assert!(
            used["calls"].as_u64() > Some(0) && used["denied"] == 0,
            "{told}"
        );
    }
    let full = told(&stage, "fills", "[3, 10, 500]");
    assert_eq!(full["result"][0], 2, "{full}");
    // Nothing was kept, and nothing is there of a worker.
    let again = told(&stage, "keeps", r#"["a", "b"]"#);
    assert_eq!(again["result"], Value::Null, "{again}");
    assert!(!stage.data().exists());
}

#[test]
fn a_run_by_hand_tells_what_a_worker_would_send() {
    let stage = stage();
    stage.write("celeriac.toml", "[grants.odd]\nsubmit = [\"odd.told\"]\n");
    let args = r#"["odd.told", 2, "now", "ok"]"#;
    let told = told(&stage, "sends", args);
    let sent = json!({"when": "now", "tasks": ["odd.told"], "args": [1], "kwargs": {}});
    assert_eq!(told["submitted"][1], sent, "{told}");
    assert_eq!(told["uses"]["submit"]["calls"], 2, "{told}");
    let shown = by_hand(&stage, "odd", "sends", args, &[]).good();
    assert!(
        shown.out.contains("would send now: odd.told [0] {}\n"),
        "{shown}"
    );
    assert!(shown.out.contains("; submit 2 times\n"), "{shown}");
}

#[test]
fn a_denial_of_a_run_by_hand_names_its_line_and_its_flag_and_both_grant_it() {
    let site = Site::plain("hello");
    let url = site.url("127.0.0.1");
    let stage = stage();
    let args = json!([url]).to_string();
    let denied = by_hand(&stage, "web", "fetch", &args, &[]);
    let line = format!("[grants.\"web\"] http = [{url:?}]");
    for words in [line.as_str(), "; http denied once", "--grant http=HOST"] {
        assert!(denied.out.contains(words), "{words}: {denied}");
    }
    assert_eq!(denied.code, 1, "{denied}");
    let host = format!("http={url}");
    let flags = ["--grant", &host, "--grant", "http_private=127.0.0.1"];
    let granted = by_hand(&stage, "web", "fetch", &args, &flags).good();
    assert!(granted.out.contains("; http once\n"), "{granted}");
    let text = format!(
        "{}\nhttp_private = [\"127.0.0.1\"]\n",
        line.replace("] http", "]\nhttp")
    );
    stage.write("celeriac.toml", &text);
    let granted = by_hand(&stage, "web", "fetch", &args, &["--json"])
        .good()
        .json();
    assert_eq!(granted["result"][2], "hello", "{granted}");
    // Grants are a module's: under another name it has others.
    let other = by_hand(&stage, "web", "fetch", &args, &["--name", "other"]);
    assert!(other.out.contains("[grants.\"other\"] http = "), "{other}");
}

#[test]
fn a_wrong_grant_by_hand_is_a_usage_error() {
    let stage = stage();
    for (grant, words) in [
        ("http", "such as http=api.example.com"),
        ("htp=a.test", "grants.odd.http"),
        ("config=CITY", "\"CITY\" in [values]"),
        ("scratch=1GiB", "at most \"256MiB\""),
    ] {
        by_hand(&stage, "odd", "greets", r#"["CITY"]"#, &["--grant", grant]).refused(2, &[words]);
    }
}
