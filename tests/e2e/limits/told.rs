//! What a caller or an author reads where a limit was reached: which it is, its value, and
//! the key that raises it, or that it is fixed. The ends themselves are in `limits`.

use crate::{failure, stage, success};
use serde_json::{Value, json};
use support::{Letter, Stage};

/// The texts of a stored log, one a line.
fn log(stored: &Value) -> String {
    let lines = stored["log"]["lines"].as_array();
    let text = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
    let lines: Vec<_> = lines.into_iter().flatten().map(text).collect();
    lines.join("\n")
}

fn trace(stored: &Value) -> &str {
    stored["exception"]["trace"].as_str().unwrap_or_default()
}

#[track_caller]
fn says(text: &str, words: &str) {
    assert!(text.contains(words), "{words:?} is missing: {text}");
}

/// A stage whose module `odd` may send its own tasks.
fn sending() -> Stage {
    let stage = stage();
    stage.write("celeriac.toml", "[grants.odd]\nsubmit = [\"odd.*\"]\n");
    stage
}

#[test]
fn a_soft_limit_that_ends_a_task_says_its_value_and_its_key() {
    let stage = stage().with("limits.soft", "300ms");
    stage.push("odd");
    let _dev = stage.dev();
    let ended = stage.call("odd.waits", "[60000]");
    let told = failure(&ended, "billiard.exceptions.SoftTimeLimitExceeded");
    says(
        told,
        "soft time limit of 300 ms reached (module odd 1, task waits)",
    );
    says(
        told,
        "raise it: #[task(soft_time_limit = \"…\")] in the module",
    );
    says(told, "[tenants.default] soft");
}

#[test]
fn tasks_over_the_number_of_an_attempt_or_a_workflow_are_told_in_failure_and_log() {
    let stage = sending();
    stage.push("odd");
    let _dev = stage.dev();
    let ended = stage.call("odd.sends", r#"["odd.told", 101, "success", "ok"]"#);
    let told = failure(&ended, "celeriac.SubmitError");
    says(told, "one attempt sends at most 100 tasks");
    says(told, "10000 (fixed");
    says(
        &log(&ended),
        "it would be 101 tasks of this attempt; one attempt sends at most 100 (fixed)",
    );
    // The last of a workflow that has sent all it may.
    let last = Letter::new("odd.sends", "last", r#"["odd.told", 1, "now", "ok"]"#);
    stage.post(&[last.header("x-celeriac-submits", json!(0))]);
    let ended = stage.ended("last");
    failure(&ended, "celeriac.SubmitError");
    says(&log(&ended), "send at most 10000 (fixed)");
}

#[test]
fn what_was_cut_or_dropped_says_how_much_and_which_limit_it_was() {
    let stage = stage();
    stage.push("hostile");
    let _dev = stage.dev();
    let long = stage.call("hostile.long_failure", "[]");
    let told = failure(&long, "builtins.ValueError");
    says(
        told,
        " … cut: 1048576 bytes, and limits.failure = 65536 bytes",
    );
    let large = stage.call("hostile.big_progress", "[]");
    success(&large);
    says(
        &log(&large),
        "bytes was dropped, as all of more than limits.progress = 16384 bytes",
    );
    let id = stage.send("hostile.flood_log", &[]);
    let flooded = stage.ended(&id);
    assert_eq!(flooded["log"]["room_lines"], 2_000);
    let shown = stage.run(&["result", &id, "--log"]).good();
    says(
        &shown.out,
        "there is room for limits.log_lines = 2000 and limits.log = 262144 bytes",
    );
}

#[test]
fn who_gives_up_says_after_how_many_tries_and_what_raises_them() {
    let stage = stage().with("worker.max_deliveries", "2");
    stage.push("flaky");
    let _dev = stage.dev();
    let ended = stage.call("flaky.fails_until", "[99, 1]");
    let told = failure(&ended, "builtins.ConnectionError");
    assert!(
        !told.contains("gave up"),
        "the text is its author's: {told}"
    );
    says(
        trace(&ended),
        "gave up after 5 retries; #[task(max_retries = …)]",
    );
    says(trace(&ended), "tenants.default.max_retries");
    let ended = stage.call("flaky.rejects", r#"["not here", true]"#);
    failure(&ended, "celery.exceptions.Reject");
    says(
        trace(&ended),
        "not given back again after 2 deliveries: worker.max_deliveries = 2",
    );
}

#[test]
fn limits_without_a_key_say_that_they_are_fixed() {
    let stage = stage();
    stage.push("text");
    let _dev = stage.dev();
    let large = format!("[\"{}\"]", "x".repeat(16 << 20));
    stage.post(&[
        Letter::new("text.echo", "large", &large),
        Letter::new("text.echo", "fine", "[1]"),
    ]);
    let told = failure(&stage.ended("large"), "celeriac.LimitExceeded").to_owned();
    says(&told, "at most 16777216 are accepted (fixed)");
    success(&stage.ended("fine"));
    let ran = stage.run_with(&["call", "text.echo", "-a", "@-"], large.as_bytes());
    ran.refused(3, &["16777216 bytes that a message may have (fixed)"]);
    let mut upload = wat::parse_str("(component)").expect("it parses");
    upload.resize((32 << 20) + 1, 0);
    let path = stage.write("large.wasm", upload).display().to_string();
    stage
        .run(&["push", &path, "--name", "large"])
        .refused(3, &["an upload may have 33554432 (fixed)"]);
    stage.push("hostile");
    let ended = stage.call("hostile.too_deep", "[]");
    let told = failure(&ended, "kombu.exceptions.EncodeError");
    says(told, "nested deeper than 128 (fixed)");
}
