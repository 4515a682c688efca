//! New versions of a module: what breaks callers, names, pins, and canaries.

use super::made::{Task, component};
use crate::{stage, success};
use serde_json::{Value, json};
use support::{Letter, Ran, Redis, Stage, Tally, until};

/// A task that takes a text, and may take a number.
const RESIZE: &[Task<'_>] = &[("resize", &[("text", true), ("width", false)])];

/// Writes a component whose tasks return a digit, and returns its path.
fn written(stage: &Stage, tasks: &[Task<'_>], digit: char) -> String {
    let file = stage.write(&format!("{digit}.wasm"), component(tasks, digit, "nop"));
    file.display().to_string()
}

fn push(stage: &Stage, file: &str, more: &[&str]) -> Ran {
    stage.run(&[&["push", file, "--name", "shop", "--json"], more].concat())
}

fn pushed(stage: &Stage, digit: char, more: &[&str]) -> Value {
    let file = written(stage, RESIZE, digit);
    push(stage, &file, more).good().json()
}

/// Sends many tasks at once, whose ids begin so.
fn post(stage: &Stage, ids: &str, many: u32) {
    let letter = |n| Letter::new("shop.resize", &format!("{ids}-{n}"), r#"["a"]"#);
    stage.post(&(0..many).map(letter).collect::<Vec<_>>());
}

fn canary(stage: &Stage) -> Value {
    stage.json(&["canary", "shop"])["canary"].take()
}

fn count(canary: &Value, side: &str, of: &str) -> u64 {
    canary[side][of].as_u64().expect("a number")
}

/// Waits until so many runs were counted on both sides together.
fn counted(stage: &Stage, many: u64) -> Value {
    until("all runs are counted", || {
        let canary = canary(stage);
        let ended = count(&canary, "canary", "ended") + count(&canary, "current", "ended");
        (ended >= many).then_some(canary)
    })
}

#[test]
fn a_push_that_breaks_callers_is_refused_with_each_break_and_goes_with_leave() {
    let stage = stage();
    pushed(&stage, '1', &[]);
    let broken: &[Task<'_>] = &[("resize", &[("text", true), ("size", true)])];
    let file = written(&stage, broken, '2');
    let width = "resize: width is called size now; calls with width=… fail with TypeError";
    push(&stage, &file, &[]).refused(3, &["version 1", width, "--breaking"]);

    let looked = push(&stage, &file, &["--dry-run"]);
    looked.refused(3, &[width]);
    let looked = looked.json();
    assert_eq!(looked["breaks"][0]["parameter"], "width", "{looked}");
    assert_eq!(looked["changes"]["changed"], json!(["resize"]), "{looked}");
    let versions = stage.json(&["modules", "shop"]);
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(1));

    let done = push(&stage, &file, &["--breaking"]).good().json();
    assert_eq!((&done["version"], &done["runs"]), (&2.into(), &true.into()));
    let versions = stage.json(&["modules", "shop"]);
    assert_eq!(versions["versions"][0]["breaks"][0]["seen"], width);
}

#[test]
fn a_push_tells_what_changed_since_the_version_before() {
    let stage = stage();
    let file = written(&stage, RESIZE, '1');
    let first = stage.run(&["push", &file, "--name", "shop"]).good().out;
    assert!(!first.contains("compared with"), "{first}");
    let more: &[Task<'_>] = &[RESIZE[0], ("crop", &[])];
    let file = written(&stage, more, '2');
    let second = ["push", &file, "--name", "shop", "--version", "1.4.0"];
    let second = stage.run(&second).good().out;
    assert!(second.contains("shop 2 (1.4.0)"), "{second}");
    assert!(
        second.contains("compared with 1: added crop; changed resize; "),
        "{second}"
    );
}

#[test]
fn versions_are_named_rolled_back_by_name_and_pinned() {
    let stage = stage();
    let _dev = stage.dev();
    let first = pushed(&stage, '1', &["--version", "1.3.0"]);
    assert_eq!(first["release"], "1.3.0");
    pushed(&stage, '2', &["--version", "1.4.0"]);
    let file = written(&stage, RESIZE, '3');
    push(&stage, &file, &["--version", "1.4.0"]).refused(3, &["1.4.0", "version 2"]);
    push(&stage, &file, &["--version", "1.2.0"]).refused(3, &["runs 1.4.0", "--allow-older"]);
    push(&stage, &file, &["--version", "1.2"]).refused(2, &["such as 1.4.0"]);

    let back = stage.json(&["rollback", "shop", "--to", "1.3.0"]);
    assert_eq!((&back["from"], &back["version"]), (&2.into(), &1.into()));
    assert_eq!(*success(&stage.call("shop.resize", r#"["a"]"#)), 1);
    let none = stage.run(&["rollback", "shop", "--to", "9.0.0"]);
    none.refused(5, &["9.0.0", "1.4.0, 1.3.0"]);

    let pin = stage.json(&["pin", "shop", "1.4.0"]);
    assert_eq!((&pin["version"], &pin["pinned"]), (&2.into(), &true.into()));
    let waits = pushed(&stage, '3', &["--version", "1.5.0"]);
    assert_eq!(
        (&waits["version"], &waits["runs"]),
        (&3.into(), &false.into())
    );
    assert_eq!(*success(&stage.call("shop.resize", r#"["a"]"#)), 2);
    let listed = stage.run(&["modules"]).good().out;
    assert!(listed.contains("2 (1.4.0) pinned"), "{listed}");
    stage.json(&["unpin", "shop"]);
    stage.json(&["rollback", "shop", "3"]);
    assert_eq!(*success(&stage.call("shop.resize", r#"["a"]"#)), 3);
}

#[test]
fn a_canary_gets_its_share_of_two_thousand_tasks_and_then_all() {
    let stage = stage();
    let dev = stage.dev();
    pushed(&stage, '1', &[]);
    let begun = pushed(&stage, '2', &["--canary", "25%"]);
    assert_eq!(
        (&begun["runs"], &begun["canary"]),
        (&false.into(), &"25%".into())
    );
    post(&stage, "t", 2_000);
    let seen = counted(&stage, 2_000);
    let ended = count(&seen, "canary", "ended");
    assert!((400..600).contains(&ended), "{seen}");
    assert_eq!(count(&seen, "current", "ended"), 2_000 - ended, "{seen}");
    assert_eq!(count(&seen, "canary", "failed"), 0, "{seen}");
    let runs = dev.metric("celeriac_canary_runs_total", &[("version", "canary")]);
    assert!(runs > 399.5, "{runs}");

    let more = stage.json(&["canary", "shop", "--to", "50%"]);
    assert_eq!(more["canary"]["share"], "50%", "{more}");
    let promoted = stage.json(&["canary", "shop", "--promote"]);
    assert_eq!(promoted["canary"]["state"], "promoted", "{promoted}");
    for _ in 0..4 {
        assert_eq!(*success(&stage.call("shop.resize", r#"["a"]"#)), 2);
    }
    let over = stage.run(&["canary", "shop", "--abort"]);
    over.refused(5, &["no canary that runs"]);
}

#[test]
fn a_canary_that_fails_is_aborted_by_itself_and_later_tasks_run_the_version_before() {
    let stage = stage();
    let dev = stage.dev();
    pushed(&stage, '1', &[]);
    let traps = stage.write("traps.wasm", component(RESIZE, '2', "unreachable"));
    let traps = traps.display().to_string();
    let begun = push(&stage, &traps, &["--canary", "50%"]).good().json();
    assert_eq!(begun["version"], 2, "{begun}");
    post(&stage, "t", 200);
    let over = until("it is aborted", || {
        let canary = canary(&stage);
        (canary["state"] == "aborted").then_some(canary)
    });
    let reason = over["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("runs failed, and 0 of"), "{over}");
    let listed = stage.run(&["modules"]).good().out;
    assert!(listed.contains("canary 2 was aborted"), "{listed}");
    let ended = |tally: &Tally| tally.state("SUCCESS") + tally.state("FAILURE");
    let before = until("all ended", || {
        let tally = stage.tally();
        (ended(&tally) == 200).then_some(tally.state("SUCCESS"))
    });
    // What had not begun when it was aborted ran the version before.
    assert!((50..=180).contains(&before), "{before}");
    post(&stage, "later", 50);
    until("the later tasks ended well", || {
        (stage.tally().state("SUCCESS") == before + 50).then_some(())
    });
    assert!(
        dev.log().contains("the canary fails and was aborted"),
        "{}",
        dev.log()
    );
    until("the metric says so", || {
        (dev.metric("celeriac_canaries_aborted_total", &[]) > 0.5).then_some(())
    });
    assert_eq!(*success(&stage.call("shop.resize", r#"["a"]"#)), 1);
}

#[test]
fn two_workers_on_redis_add_up_the_runs_of_a_canary() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    pushed(&stage, '1', &[]);
    pushed(&stage, '2', &["--canary", "50%"]);
    let workers = [stage.server(&["worker"]), stage.server(&["worker"])];
    let ids: Vec<_> = (0..60)
        .map(|n| {
            stage.send(
                "shop.resize",
                &["-a", r#"["a"]"#, "--id", &format!("t-{n}")],
            )
        })
        .collect();
    let seen = counted(&stage, 60);
    let (new, old) = (
        count(&seen, "canary", "ended"),
        count(&seen, "current", "ended"),
    );
    assert_eq!(new + old, 60, "{seen}");
    let ends: Vec<_> = ids.iter().map(|id| stage.ended(id)).collect();
    let ran = |digit: u64| ends.iter().filter(|end| *success(end) == digit).count() as u64;
    assert_eq!((ran(2), ran(1)), (new, old), "{seen}");
    let counted = |worker: &support::Server| worker.metric("celeriac_canary_runs_total", &[]);
    let sum: f64 = workers.iter().map(counted).sum();
    assert!((59.5..60.5).contains(&sum), "{sum}");
}
