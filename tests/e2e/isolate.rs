//! `--isolate`: the guests of each module in a process of their own.

mod grants;
mod kill;
mod network;

use crate::{failure, stage, success};
use serde_json::{Value, json};
use std::fs;
use support::{Server, Stage, until};

/// A worker whose guests are apart, and whose limits are quickly reached.
fn apart() -> Stage {
    stage()
        .with("limits.cpu", "100ms")
        .with("limits.wall", "2s")
        .with("worker.isolate", "true")
}

/// The processes that run guests for a server.
fn cells(server: &Server) -> Vec<u32> {
    let ours = format!("\nPPid:\t{}\n", server.pid());
    let folders = fs::read_dir("/proc").expect("a Linux machine");
    let processes = folders.filter_map(|folder| {
        let pid: u32 = folder.ok()?.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_cell = command.split(|byte| *byte == 0).nth(1) == Some(b"cell");
        (is_cell && status.contains(&ours)).then_some(pid)
    });
    processes.collect()
}

fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.expect("kill is there").success());
}

fn in_state(stage: &Stage, id: &str, state: &str) {
    until(state, || (stage.stored(id)["state"] == state).then_some(()));
}

#[test]
fn every_end_is_the_same_in_a_process_apart() {
    let stage = apart();
    for module in ["hostile", "text", "flaky"] {
        stage.push(module);
    }
    let dev = stage.dev();
    let rows = [
        (
            "hostile.spin",
            "[]",
            "billiard.exceptions.TimeLimitExceeded",
            "cpu limit of 100 ms",
        ),
        (
            "hostile.sleep_in_context",
            "[]",
            "billiard.exceptions.TimeLimitExceeded",
            "time limit",
        ),
        ("hostile.big_result", "[]", "builtins.MemoryError", "memory"),
        ("hostile.panic", "[]", "celeriac.Trap", "with a number: 42"),
        ("hostile.exit_1", "[]", "celeriac.Exited", "exit(1)"),
        (
            "hostile.not_json",
            "[]",
            "kombu.exceptions.EncodeError",
            "not one JSON value",
        ),
        (
            "flaky.fails",
            r#"["KeyError", "ä"]"#,
            "builtins.KeyError",
            "ä",
        ),
    ];
    let sent = rows.map(|row| stage.send(row.0, &["-a", row.1]));
    for ((task, _, class, words), id) in rows.iter().zip(sent) {
        let ended = stage.ended(&id);
        assert!(failure(&ended, class).contains(words), "{task}: {ended}");
    }
    let large = "word ".repeat(20_000);
    let words = stage.call("text.echo", &json!([large]).to_string());
    assert_eq!(success(&words), &Value::from(large));
    assert_eq!(cells(&dev).len(), 3, "one for each module");
    let used = &stage.call("text.echo", "[1]")["usage"];
    assert!(used["memory_peak_bytes"].as_u64() > Some(1 << 16), "{used}");
}

#[test]
fn progress_logs_and_tasks_that_a_guest_sends_come_through() {
    let stage = apart().with("limits.wall", "60s").with("limits.cpu", "10s");
    stage.write("celeriac.toml", "[grants.odd]\nsubmit = [\"odd.*\"]\n");
    stage.push("odd");
    let dev = stage.dev();
    let waits = stage.send("odd.waits", &["-a", "[60000]"]);
    in_state(&stage, &waits, "WAITING");
    let sent = stage.call("odd.sends", r#"["odd.stays", 2, "now", "return"]"#);
    for id in success(&sent).as_array().expect("ids") {
        success(&stage.ended(id.as_str().expect("an id")));
    }
    let denied = stage.call("odd.sends", r#"["text.echo", 1, "now", "return"]"#);
    assert!(
        denied.to_string().contains("no grant to send the task"),
        "{denied}"
    );
    // A guest in another process is ended as fast as one that is here.
    let _ended = stage.run(&["revoke", &waits, "--terminate"]).good();
    assert_eq!(stage.ended(&waits)["state"], "REVOKED");
    assert_eq!(cells(&dev).len(), 1);
}

#[test]
fn a_killed_process_takes_the_tasks_of_its_module_along_and_no_others() {
    let stage = apart().with("limits.wall", "60s").with("limits.cpu", "10s");
    stage.push("odd");
    let dev = stage.dev();
    let odd = stage.component("odd");
    let odd = odd.display().to_string();
    stage.json(&["push", &odd, "--name", "neighbour"]);
    let ours = stage.send("odd.waits", &["-a", "[8000]"]);
    in_state(&stage, &ours, "WAITING");
    let [first] = cells(&dev)[..] else {
        panic!("one cell")
    };
    let theirs = stage.send("neighbour.waits", &["-a", "[8000]"]);
    in_state(&stage, &theirs, "WAITING");
    kill(first);
    assert_eq!(*success(&stage.ended(&theirs)), json!([1, 0]));
    assert_eq!(
        *success(&stage.ended(&ours)),
        json!([2, 0]),
        "delivered again"
    );
    assert!(!cells(&dev).contains(&first));
}

#[test]
fn a_task_whose_process_always_dies_is_given_up_after_its_deliveries() {
    let stage = apart()
        .with("limits.wall", "60s")
        .with("worker.max_deliveries", "2");
    stage.push("odd");
    let dev = stage.dev();
    let id = stage.send("odd.waits", &["-a", "[60000]"]);
    let mut killed = Vec::new();
    while killed.len() < 2 {
        in_state(&stage, &id, "WAITING");
        let next = until("a new process", || {
            cells(&dev).into_iter().find(|pid| !killed.contains(pid))
        });
        let delivered = killed.len() + 1;
        until("its delivery", || {
            (stage.stored(&id)["deliveries"] == delivered).then_some(())
        });
        kill(next);
        killed.push(next);
    }
    failure(&stage.ended(&id), "billiard.exceptions.WorkerLostError");
}

#[test]
fn a_stop_of_the_whole_service_lets_tasks_end_as_it_does_without() {
    let stage = apart().with("limits.wall", "60s").with("limits.cpu", "10s");
    stage.push("odd");
    let dev = stage.dev();
    let id = stage.send("odd.stays", &["-a", "[1500]"]);
    in_state(&stage, &id, "STAYING");
    // As a service manager does, and a terminal with Control-C.
    for pid in cells(&dev) {
        for signal in ["-TERM", "-INT", "-HUP"] {
            let sent = std::process::Command::new("kill")
                .args([signal, &pid.to_string()])
                .status();
            assert!(sent.expect("kill is there").success());
        }
    }
    let ended = dev.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(*success(&stage.stored(&id)), json!([1, 0]));
}

#[test]
fn the_processes_end_with_their_worker_however_it_ends() {
    let stage = apart();
    stage.push("text");
    let dev = stage.dev();
    success(&stage.call("text.echo", "[1]"));
    let [cell] = cells(&dev)[..] else {
        panic!("one cell")
    };
    dev.kill();
    until("its end", || {
        (!fs::exists(format!("/proc/{cell}/fd")).unwrap_or(true)
            || fs::read_dir(format!("/proc/{cell}/fd")).is_err())
        .then_some(())
    });
}

#[test]
fn each_process_stands_behind_walls_of_its_own() {
    let stage = apart().with("worker.confine", "off");
    stage.push("text");
    let dev = stage.dev();
    assert_eq!(
        *success(&stage.call("text.word_count", r#"["a b"]"#)),
        json!(2)
    );
    let cells = cells(&dev);
    assert!(!cells.is_empty());
    for cell in cells {
        let status = fs::read_to_string(format!("/proc/{cell}/status")).expect("it runs");
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
            assert!(status.lines().any(|other| other == line), "{status}");
        }
    }
}
