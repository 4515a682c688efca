//! Which of the waiting messages is next.

use crate::{stage, success};

#[test]
fn nine_is_first_and_equals_keep_their_order() {
    let stage = stage().with("worker.concurrency", "1");
    let order = [(0, "a"), (3, "b"), (9, "c"), (9, "d"), (0, "e"), (5, "f")];
    let sent: Vec<(String, &str)> = order
        .iter()
        .map(|(priority, name)| {
            let args = format!("[\"{name}\", 1, 20]");
            let more = ["-a", &args, "--priority", &priority.to_string()];
            (stage.send("report.build", &more), *name)
        })
        .collect();
    stage.push("report");
    let _dev = stage.dev();
    let mut finished: Vec<_> = sent
        .iter()
        .map(|(id, name)| (success(&stage.ended(id))["finished_at_ms"].as_u64(), *name))
        .collect();
    finished.sort_unstable();
    let names: String = finished.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, "cdfbae");
}

#[test]
fn a_worker_takes_from_its_own_queues_only() {
    let stage = stage();
    stage.push("text");
    let ours = stage.send("text.echo", &["-a", "[1]", "-Q", "ours"]);
    let theirs = stage.send("text.echo", &["-a", "[2]", "-Q", "theirs"]);
    let worker = stage.server(&["worker", "-Q", "ours,more", "-n", "w1@%h"]);
    assert_eq!(*success(&stage.ended(&ours)), 1);
    assert_eq!(stage.stored(&theirs)["state"], "PENDING");
    assert_eq!(worker.stop().code, Some(0));
    let _other = stage.server(&["worker", "-Q", "theirs"]);
    assert_eq!(*success(&stage.ended(&theirs)), 2);
}
