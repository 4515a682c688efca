//! `celeriac kill` where guests are apart, and what a process of their own is good for.

use crate::{class, stage, success};
use serde_json::{Value, json};
use support::{Stage, until};

fn is(stage: &Stage, id: &str, state: &str) {
    until(state, || (stage.stored(id)["state"] == state).then_some(()));
}

fn killed(stored: &Value, words: &str) {
    assert_eq!(stored["state"], "FAILURE", "{stored}");
    assert_eq!(class(stored), "celeriac.Killed");
    assert!(stored.to_string().contains(words), "{stored}");
}

#[test]
fn a_kill_reaches_guests_apart_and_leaves_their_neighbours() {
    let stage = stage().with("worker.isolate", "true");
    stage.push("odd");
    stage.push("numbers");
    let dev = stage.server(&["dev", "-c", "6"]);
    let stays = stage.send("odd.stays", &["-a", "[60000]"]);
    // In the same process: it ends by itself.
    let waits = stage.send("odd.waits", &["-a", "[10000]"]);
    // It computes and never calls the host.
    let counts = stage.send("numbers.fibonacci", &["-a", "[100000000000]"]);
    is(&stage, &stays, "STAYING");
    is(&stage, &waits, "WAITING");
    until("all run", || {
        (dev.metric("celeriac_tasks_in_flight", &[]) > 2.5).then_some(())
    });
    stage.json(&["kill", "--task", "odd.stays"]);
    killed(&stage.ended(&stays), "task odd.stays is killed");
    stage.json(&["kill", "--module", "numbers"]);
    killed(&stage.ended(&counts), "module numbers is killed");
    assert_eq!(*success(&stage.ended(&waits)), json!([1, 0]));
    killed(&stage.call("odd.stays", "[1]"), "task odd.stays is killed");
    stage.json(&["kill", "--undo", "--module", "numbers"]);
    assert_eq!(*success(&stage.call("numbers.fibonacci", "[10]")), 55);
    assert_eq!(dev.stop().code, Some(0));
}

/// The same with a process for each module: `a_killed_process_takes_the_tasks_of_its_module_…`.
#[test]
fn without_a_process_for_each_module_all_tasks_are_lost_with_the_worker() {
    let stage = stage().with("worker.lease", "3s");
    let file = stage.component("odd").display().to_string();
    for name in ["ours", "theirs"] {
        stage.json(&["push", &file, "--name", name]);
    }
    let first = stage.server(&["worker", "-n", "first@%h"]);
    let sent = ["ours", "theirs"].map(|name| {
        let id = stage.send(&format!("{name}.waits"), &["-a", "[6000]"]);
        is(&stage, &id, "WAITING");
        id
    });
    first.kill();
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    for id in sent {
        assert_eq!(
            *success(&stage.ended(&id)),
            json!([2, 0]),
            "delivered again"
        );
    }
}
