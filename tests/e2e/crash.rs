//! Workers that are killed: nothing is lost, and nothing is done twice that
//! was done once.

use crate::{failure, stage, success};
use support::{Letter, Stage, until};

/// A stage whose workers are missed after three seconds: a machine that stops for one in
/// which a lease is not renewed loses none.
fn short_leases() -> Stage {
    stage().with("worker.lease", "3s")
}

/// A stage whose workers may be missed while they work, after a second: how often a task is
/// delivered does not count.
fn shortest_leases() -> Stage {
    stage()
        .with("worker.lease", "1s")
        .with("worker.max_deliveries", "100")
}

fn running(stage: &Stage, id: &str, state: &str) {
    until(state, || (stage.stored(id)["state"] == state).then_some(()));
}

#[test]
fn a_task_whose_worker_is_killed_runs_again_and_its_result_arrives() {
    let stage = short_leases();
    stage.push("report");
    let first = stage.server(&["worker", "-n", "first@%h"]);
    let id = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    running(&stage, &id, "PROGRESS");
    first.kill();
    assert_eq!(stage.tally().leased, 1);
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(ended["deliveries"], 2, "{ended}");
    assert!(
        ended["worker"]
            .as_str()
            .is_some_and(|worker| worker.starts_with("second@")),
        "{ended}"
    );
    stage.settled();
}

#[test]
fn a_worker_beside_a_killed_one_takes_over_its_tasks() {
    const TASKS: usize = 20;
    let stage = short_leases();
    stage.push("odd");
    let first = stage.server(&["worker", "-n", "first@%h", "-c", "10"]);
    let second = stage.server(&["worker", "-n", "second@%h", "-c", "10"]);
    let ids: Vec<String> = (0..TASKS).map(|n| format!("stay-{n}")).collect();
    let letters: Vec<_> = ids
        .iter()
        .map(|id| Letter::new("odd.stays", id, "[5000]"))
        .collect();
    stage.post(&letters);
    let busy = |n: f64| (n >= 10.0).then_some(());
    until("both busy", || {
        busy(first.metric("celeriac_tasks_in_flight", &[]))
    });
    until("both busy", || {
        busy(second.metric("celeriac_tasks_in_flight", &[]))
    });
    first.kill();
    let ended: Vec<_> = ids.iter().map(|id| stage.ended(id)).collect();
    let again = ended.iter().filter(|ended| success(ended)[0] == 2).count();
    assert_eq!(again, 10, "{ended:?}");
    assert_eq!(second.stop().code, Some(0));
}

#[test]
fn kills_at_any_moment_under_load_lose_nothing_and_double_nothing() {
    const TASKS: u64 = 3_000;
    const KILLS: u64 = 8;
    let stage = shortest_leases();
    stage.push("hostile");
    let letters: Vec<_> = (0..TASKS)
        .map(|n| Letter::new("hostile.use_nothing", &format!("t-{n}"), "[]"))
        .collect();
    stage.post(&letters);
    for kill in 1..=KILLS {
        let worker = stage.dev();
        // Each time a little further, so that every step of an attempt is met.
        let enough = kill * TASKS / (KILLS + 4);
        until("some done", || {
            (stage.tally().state("SUCCESS") >= enough).then_some(())
        });
        worker.kill();
        let tally = stage.tally();
        assert!(
            tally.state("SUCCESS") + tally.messages >= TASKS,
            "lost: {tally:?}"
        );
    }
    let last = stage.dev();
    let tally = stage.settled();
    assert_eq!(
        (tally.state("SUCCESS"), tally.states.len(), tally.dead),
        (TASKS, 1, 0),
        "{tally:?}"
    );
    assert_eq!(last.stop().code, Some(0));
}

#[test]
fn kills_among_retries_lose_none_and_add_none() {
    const TASKS: u64 = 200;
    let stage = shortest_leases();
    stage.push("flaky");
    let letters: Vec<_> = (0..TASKS)
        .map(|n| Letter::new("flaky.fails_until", &format!("t-{n}"), "[3, 20]"))
        .collect();
    stage.post(&letters);
    let mut before = 0.0;
    for kill in 1..=5 {
        let worker = stage.dev();
        // Each process counts from zero.
        let enough = f64::from(kill * 75);
        let settled = until("some retried", || {
            let settled = before + worker.metric("celeriac_tasks_settled_total", &[]);
            Some(settled).filter(|settled| *settled >= enough)
        });
        worker.kill();
        before = settled;
    }
    let _last = stage.dev();
    let tally = stage.settled();
    assert_eq!(
        (tally.state("SUCCESS"), tally.states.len(), tally.dead),
        (TASKS, 1, 0),
        "{tally:?}"
    );
    for id in ["t-0", "t-99", "t-199"] {
        assert_eq!(*success(&stage.stored(id)), "succeeded after 3 retries");
    }
}

#[test]
fn a_task_that_takes_its_worker_along_is_given_up_after_its_deliveries() {
    let stage = short_leases().with("worker.max_deliveries", "2");
    stage.push("odd");
    let id = stage.send("odd.stays", &["-a", "[60000]"]);
    for _ in 0..2 {
        let worker = stage.dev();
        until("taken", || {
            (worker.metric("celeriac_tasks_in_flight", &[]) > 0.0).then_some(())
        });
        running(&stage, &id, "STAYING");
        worker.kill();
    }
    let _last = stage.dev();
    let ended = until("given up", || {
        Some(stage.stored(&id)).filter(|stored| stored["state"] == "FAILURE")
    });
    assert!(
        failure(&ended, "billiard.exceptions.WorkerLostError").contains("2 times"),
        "{ended}"
    );
    stage.settled();
    let dead = stage.json(&["queues", "--dead"]);
    assert!(
        dead["dead"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("worker was lost")),
        "{dead}"
    );
}

#[test]
fn a_worker_that_wakes_after_its_lease_writes_nothing_over_its_successor() {
    let stage = short_leases();
    stage.push("odd");
    let frozen = stage.server(&["worker", "-n", "frozen@%h"]);
    let id = stage.send("odd.stays", &["-a", "[5000]"]);
    running(&stage, &id, "STAYING");
    stage.freeze(&frozen);
    let _other = stage.server(&["worker", "-n", "other@%h"]);
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)[0], 2, "{ended}");
    frozen.thaw();
    let next = stage.send("odd.stays", &["-a", "[1]"]);
    success(&stage.ended(&next));
    assert_eq!(frozen.stop().code, Some(0));
    assert_eq!(stage.stored(&id), ended);
    stage.settled();
}

#[test]
fn a_long_task_keeps_its_lease_as_long_as_it_runs() {
    let stage = short_leases();
    stage.push("odd");
    let _first = stage.server(&["worker", "-n", "first@%h"]);
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    let ended = stage.call("odd.stays", "[10000]");
    assert_eq!(*success(&ended), serde_json::json!([1, 0]), "{ended}");
}
