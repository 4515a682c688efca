//! The kill switch: what runs ends, what comes is refused, on every worker of the data
//! folder, until it is undone.

use crate::{class, message, stage, success};
use serde_json::{Value, json};
use support::{Letter, Redis, Server, Stage, until};

fn killed(stored: &Value, words: &[&str]) {
    assert_eq!(stored["state"], "FAILURE", "{stored}");
    assert_eq!(class(stored), "celeriac.Killed");
    for word in words {
        assert!(
            message(stored).contains(word),
            "{word:?} is missing: {stored}"
        );
    }
}

fn is(stage: &Stage, id: &str, state: &str) {
    until(state, || (stage.stored(id)["state"] == state).then_some(()));
}

fn running(worker: &Server) -> f64 {
    worker.metric("celeriac_tasks_in_flight", &[])
}

fn worker(stage: &Stage, name: &str) -> Server {
    stage.server(&["worker", "-n", name, "-c", "1"])
}

#[test]
fn a_kill_reaches_both_workers_and_survives_their_restart() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    stage.push("odd");
    stage.push("text");
    let (one, two) = (worker(&stage, "one@example"), worker(&stage, "two@example"));
    let runs = [0, 1].map(|_| stage.send("odd.stays", &["-a", "[60000]"]));
    let waits = stage.send("odd.stays", &["-a", "[60000]"]);
    until("both run", || {
        (running(&one) > 0.5 && running(&two) > 0.5).then_some(())
    });
    let told = stage.json(&["kill", "--module", "odd", "--reason", "it costs too much"]);
    assert_eq!(told["kill"]["kind"], "module", "{told}");
    assert_eq!(
        (&told["live"]["workers"], &told["live"]["live"]),
        (&json!(2), &json!(2))
    );
    let words = [
        "module odd is killed: it costs too much",
        "celeriac kill --undo --module odd",
    ];
    for id in runs.iter().chain([&waits]) {
        killed(&stage.ended(id), &words);
    }
    killed(&stage.call("odd.stays", "[60000]"), &words);
    // Others go on.
    assert_eq!(*success(&stage.call("text.echo", "[1]")), 1);
    shown(&stage);
    // It outlives the workers, whatever ends them.
    one.kill();
    assert_eq!(two.stop().code, Some(0));
    let late = stage.send("odd.waits", &["-a", "[1]"]);
    let told = stage.run(&["why", &late]).good();
    assert!(
        told.out
            .contains("it ends as FAILURE when a worker takes it"),
        "{told}"
    );
    let _three = worker(&stage, "three@example");
    killed(&stage.ended(&late), &words);
    let told = stage.json(&["kill", "--undo", "--module", "odd"]);
    assert_eq!(told["undone"], true, "{told}");
    success(&stage.call("odd.waits", "[1]"));
    assert_eq!(stage.json(&["kill", "--list"])["kills"], json!([]));
}

/// What operators see of the kill of a module.
fn shown(stage: &Stage) {
    let listed = stage.json(&["kill", "--list"]);
    let kill = &listed["kills"][0];
    assert_eq!(
        (&kill["name"], &kill["hold"]),
        (&json!("odd"), &json!(false))
    );
    assert_eq!(stage.json(&["modules"])["killed"], listed["kills"]);
    let told = stage.run(&["modules"]).good();
    assert!(
        told.out.contains("module odd is killed: it costs too much"),
        "{told}"
    );
    let both = ["-d", "one@example,two@example", "-t", "20"];
    let asked = [&["inspect", "killed"][..], &both].concat();
    let workers = stage.json(&asked)["workers"].clone();
    for name in ["one@example", "two@example"] {
        assert_eq!(workers[name][0]["name"], "odd", "{workers}");
    }
    let told = stage.run(&asked).good();
    assert!(told.out.contains("one@example  module  odd"), "{told}");
}

#[test]
fn whatever_a_killed_task_does_it_ends() {
    let stage = stage();
    for module in ["odd", "numbers"] {
        stage.push(module);
    }
    let dev = stage.server(&["dev", "-c", "6"]);
    let stays = stage.send("odd.stays", &["-a", "[60000]"]);
    let once = stage.send("odd.pays", &["-a", "[60000]"]);
    // It computes and never calls the host.
    let counts = stage.send("numbers.fibonacci", &["-a", "[100000000000]"]);
    let signature = json!({"task": "odd.waits", "args": [], "kwargs": {}, "options": {}});
    let map = json!({"task": signature, "it": [60000, 1]}).to_string();
    let map = stage.send("celery.map", &["-k", &map]);
    let waits = stage.send("odd.waits", &["-a", "[10000]"]);
    is(&stage, &stays, "STAYING");
    is(&stage, &once, "PAYING");
    until("all run", || (running(&dev) > 4.5).then_some(()));
    stage.json(&["kill", "--task", "odd.stays"]);
    killed(&stage.ended(&stays), &["task odd.stays is killed; `"]);
    stage.json(&["kill", "--task", "odd.pays"]);
    killed(&stage.ended(&once), &["task odd.pays is killed"]);
    let digest = stage.json(&["modules", "numbers"])["versions"][0]["digest"].clone();
    let digest = digest.as_str().expect("a digest");
    stage.json(&["kill", "--digest", &digest[..19]]);
    killed(&stage.ended(&counts), &["component sha256:"]);
    success(&stage.ended(&waits));
    stage.json(&["kill", "--task", "odd.waits"]);
    killed(&stage.ended(&map), &["task odd.waits is killed"]);
    let file = stage.component("numbers").display().to_string();
    let again = stage.run(&["push", &file, "--name", "renamed"]);
    again.refused(3, &["is killed", "celeriac kill --undo --digest"]);
    stage.settled();
    assert!(dev.metric("celeriac_tasks_settled_total", &[("state", "FAILURE")]) > 3.5);
}

#[test]
fn a_chord_hears_of_a_killed_part() {
    let stage = stage();
    for module in ["odd", "text"] {
        stage.push(module);
    }
    let _dev = stage.dev();
    let body = json!({"task": "text.echo", "args": [1], "kwargs": {}, "immutable": true,
        "options": {"task_id": "body"}, "subtask_type": null});
    let part = |task: &str, id: &str, args: &str| {
        let embed = json!({"callbacks": null, "errbacks": null, "chain": null, "chord": body});
        Letter::new(task, id, args)
            .header("group", json!("g"))
            .body(format!("[{args}, {{}}, {embed}]"))
    };
    stage.post(&[
        part("odd.stays", "runs", "[60000]"),
        part("text.echo", "ok", "[1]"),
    ]);
    is(&stage, "runs", "STAYING");
    stage.json(&["kill", "--task", "odd.stays"]);
    killed(&stage.ended("runs"), &["odd.stays"]);
    success(&stage.ended("ok"));
}

#[test]
fn a_held_task_waits_until_it_is_allowed() {
    let stage = stage();
    stage.push("odd");
    let _dev = stage.dev();
    let told = stage.run(&["kill", "--module", "odd", "--hold"]).good();
    assert!(
        told.out.contains("calls wait until it is allowed again"),
        "{told}"
    );
    let id = stage.send("odd.waits", &["-a", "[1]"]);
    let parked = until("it is parked", || {
        let told = stage.json(&["why", &id]);
        (told["place"] == "parked").then_some(told)
    });
    let text = parked.to_string();
    assert!(
        text.contains("it waits until it is allowed again"),
        "{text}"
    );
    stage.json(&["kill", "--undo", "--module", "odd"]);
    success(&stage.ended(&id));
}

#[test]
fn a_kill_of_nothing_is_refused() {
    let stage = stage();
    stage.push("text");
    for (arguments, code, words) in [
        (
            &["kill"][..],
            2,
            &["--task", "--module", "--digest", "--list"][..],
        ),
        (
            &["kill", "--task", "a.b", "--module", "a"],
            2,
            &["cannot be used with"],
        ),
        (&["kill", "--list", "--undo"], 2, &["cannot be used with"]),
        (&["kill", "--task", "text"], 2, &["MODULE.TASK"]),
        (
            &["kill", "--task", "text.ecco"],
            5,
            &["module text has no task \"ecco\""],
        ),
        (
            &["kill", "--module", "txet"],
            5,
            &["there is no module", "did you mean"],
        ),
        (
            &["kill", "--digest", "123"],
            2,
            &["4 to 64 hexadecimal digits"],
        ),
        (
            &["kill", "--digest", "0123456789"],
            5,
            &["no component has a digest"],
        ),
        (
            &["kill", "--undo", "--digest", "0123456789"],
            5,
            &["is not killed"],
        ),
        (
            &["kill", "--undo", "--module", "text"],
            5,
            &["module text is not killed", "--list"],
        ),
        (
            &["kill", "--module", "text", "--reason", "a\nb"],
            2,
            &["one line of at most 500"],
        ),
    ] {
        stage.run(arguments).refused(code, words);
    }
    let told = stage.run(&["kill", "--list"]).good();
    assert_eq!(told.out, "nothing is killed\n");
    // A component that nobody has pushed yet.
    let digest = "0".repeat(64);
    let told = stage.run(&["kill", "--digest", &digest]).good();
    assert!(
        told.out
            .contains("no worker is running; those that start obey it"),
        "{told}"
    );
    stage.json(&["kill", "--undo", "--digest", "0000"]);
}
