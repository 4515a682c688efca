//! Modules come, change and go while workers run.

mod made;
mod versions;

use crate::{failure, stage, success};
use serde_json::Value;
use support::{Ran, Stage, until};

fn push_as(stage: &Stage, component: &str, name: &str) -> Value {
    let file = stage.component(component).display().to_string();
    // One component takes the place of another here.
    stage.json(&["push", &file, "--name", name, "--breaking"])
}

#[test]
fn a_push_is_live_without_a_restart() {
    let stage = stage();
    let _dev = stage.dev();
    failure(
        &stage.call("shop.echo", "[1]"),
        "celery.exceptions.NotRegistered",
    );
    let pushed = push_as(&stage, "text", "shop");
    assert_eq!(
        (&pushed["version"], &pushed["unchanged"]),
        (&1.into(), &false.into()),
        "{pushed}"
    );
    assert_eq!(
        (&pushed["live"]["workers"], &pushed["live"]["live"]),
        (&1.into(), &1.into()),
        "{pushed}"
    );
    assert_eq!(*success(&stage.call("shop.echo", "[1]")), 1);
    let again = push_as(&stage, "text", "shop");
    assert_eq!(
        (&again["version"], &again["unchanged"]),
        (&1.into(), &true.into()),
        "{again}"
    );
}

#[test]
fn running_attempts_finish_on_the_version_they_started_with() {
    let stage = stage();
    let _dev = stage.dev();
    push_as(&stage, "report", "shop");
    let id = stage.send("shop.build", &["-a", r#"["Sales", 6, 300]"#]);
    until("it runs", || {
        (stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    let pushed = push_as(&stage, "text", "shop");
    assert_eq!(pushed["version"], 2);
    assert_eq!(*success(&stage.call("shop.echo", "[2]")), 2);
    failure(
        &stage.call("shop.build", "[\"x\", 0]"),
        "celery.exceptions.NotRegistered",
    );
    assert_eq!(success(&stage.ended(&id))["pages"], 6);

    let back = stage.json(&["rollback", "shop"]);
    assert_eq!(
        (&back["from"], &back["version"]),
        (&2.into(), &1.into()),
        "{back}"
    );
    assert_eq!(success(&stage.call("shop.build", "[\"x\", 0]"))["pages"], 0);
    failure(
        &stage.call("shop.echo", "[1]"),
        "celery.exceptions.NotRegistered",
    );
    let versions = stage.json(&["modules", "shop"]);
    let current: Vec<_> = versions["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["current"])
        .collect();
    assert_eq!(current.len(), 2, "{versions}");
}

#[test]
fn a_removed_module_is_unknown_from_then_on() {
    let stage = stage();
    let _dev = stage.dev();
    push_as(&stage, "text", "shop");
    success(&stage.call("shop.echo", "[1]"));
    stage.json(&["remove", "shop"]);
    failure(
        &stage.call("shop.echo", "[1]"),
        "celery.exceptions.NotRegistered",
    );
    assert_eq!(stage.json(&["modules"])["modules"], serde_json::json!([]));
    stage
        .run(&["remove", "shop"])
        .refused(5, &["shop", "celeriac modules"]);
    stage.run(&["rollback", "shop"]).refused(5, &["shop"]);
}

#[test]
fn a_restarted_worker_knows_what_was_pushed() {
    let stage = stage();
    push_as(&stage, "text", "shop.words");
    let dev = stage.dev();
    assert_eq!(
        dev.banner()["modules"][0]["name"],
        "shop.words",
        "{}",
        dev.banner()
    );
    assert_eq!(*success(&stage.call("shop.words.echo", "[1]")), 1);
}

#[test]
fn pushes_at_the_same_time_all_count() {
    let stage = stage();
    let _dev = stage.dev();
    let (files, names) = (["text", "flaky", "report"], ["a", "b", "same", "same"]);
    let children: Vec<_> = names
        .iter()
        .zip(files.iter().cycle())
        .map(|(name, file)| {
            let file = stage.component(file).display().to_string();
            let mut command =
                stage.command(&["push", &file, "--name", name, "--breaking", "--json"]);
            command
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("the program starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("a child of ours").success());
    }
    let modules = stage.json(&["modules"]);
    let mut versions: Vec<_> = modules["modules"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["version"].as_u64())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 1, 2], "{modules}");
    success(&stage.call("a.echo", "[1]"));
}

#[test]
fn an_alias_runs_our_task_under_a_callers_old_name() {
    let stage = stage();
    stage.write(
        "celeriac.toml",
        "[aliases]\n\"shop.tasks.count\" = \"text.word_count\"\n",
    );
    stage.push("text");
    let _dev = stage.dev();
    assert_eq!(*success(&stage.call("shop.tasks.count", "[\"a b\"]")), 2);
}

#[test]
fn a_component_runs_locally_without_any_folder() {
    let stage = stage();
    let file = stage.component("text").display().to_string();
    let run = |more: &[&str]| -> Ran { stage.run(&[&["run", &file], more].concat()) };
    let ran = run(&["word_count", "-a", "[\"a b\"]", "--json"]).good();
    assert_eq!(
        (&ran.json()["outcome"], &ran.json()["result"]),
        (&"returned".into(), &2.into()),
        "{ran}"
    );
    assert_eq!(run(&["word_count"]).code, 1);
    run(&["nothing"]).refused(5, &["nothing", "word_count"]);
    assert!(!stage.data().exists());
}
