//! Revoked tasks, wherever they are: in a queue, not due, reserved, running, retried, on
//! another worker, and after a restart.

use crate::{celery, class, message, stage, success};
use serde_json::{Value, json};
use support::{Letter, Rabbit, Redis, Server, Stage, until};

fn revoked(stored: &Value, why: &str) {
    assert_eq!(stored["state"], "REVOKED", "{stored}");
    assert_eq!(class(stored), "celery.exceptions.TaskRevokedError");
    assert_eq!(message(stored), why, "{stored}");
}

/// Revokes one task, and returns the state it is told to be in.
fn revoke(stage: &Stage, id: &str, more: &[&str]) -> Value {
    let told = stage.json(&[&["revoke", id], more].concat());
    assert_eq!(told["revoked"][0]["id"], id, "{told}");
    told["revoked"][0]["state"].clone()
}

fn is(stage: &Stage, id: &str, state: &str) {
    until(state, || (stage.stored(id)["state"] == state).then_some(()));
}

/// How many runs of a task have ended.
fn runs(worker: &Server, task: &str) -> f64 {
    worker.metric("celeriac_task_run_seconds_count", &[("task", task)])
}

fn settled(worker: &Server, state: &str) -> f64 {
    worker.metric("celeriac_tasks_settled_total", &[("state", state)])
}

#[test]
fn what_waits_in_a_queue_is_revoked_at_once_and_never_run() {
    let stage = stage();
    let id = stage.send("text.echo", &["-a", "[1]"]);
    assert_eq!(revoke(&stage, &id, &[]), "REVOKED");
    revoked(&stage.stored(&id), "revoked");
    stage.push("text");
    let dev = stage.dev();
    assert_eq!(*success(&stage.call("text.echo", "[2]")), 2);
    stage.settled();
    revoked(&stage.stored(&id), "revoked");
    until("it is counted", || {
        (settled(&dev, "REVOKED") > 0.5).then_some(())
    });
    assert!((settled(&dev, "SUCCESS") - 1.0).abs() < 0.5);
}

#[test]
fn what_is_not_due_is_revoked_and_stays_so_across_a_restart() {
    let stage = stage();
    stage.push("text");
    let first = stage.dev();
    let id = stage.send("text.echo", &["-a", "[1]", "--countdown", "3s"]);
    assert_eq!(revoke(&stage, &id, &[]), "REVOKED");
    first.kill();
    let second = stage.dev();
    stage.settled();
    revoked(&stage.stored(&id), "revoked");
    until("it is counted", || {
        (settled(&second, "REVOKED") > 0.5).then_some(())
    });
}

#[test]
fn a_task_that_waits_for_its_retry_is_revoked() {
    let stage = stage();
    stage.push("flaky");
    let dev = stage.dev();
    let id = stage.send("flaky.fails_until", &["-a", "[5, 2000]"]);
    is(&stage, &id, "RETRY");
    assert_eq!(revoke(&stage, &id, &[]), "REVOKED");
    revoked(&stage.stored(&id), "revoked");
    stage.settled();
    revoked(&stage.stored(&id), "revoked");
    assert!((settled(&dev, "RETRY") - 1.0).abs() < 0.5);
}

#[test]
fn what_runs_goes_on_unless_it_is_terminated() {
    let stage = stage();
    stage.push("odd");
    stage.push("report");
    let dev = stage.dev();
    // One tells its state, of the other nobody knows that it runs.
    let known = stage.send("odd.waits", &["-a", "[3000]"]);
    let unknown = stage.send("report.nap", &["-a", "[3000]"]);
    is(&stage, &known, "WAITING");
    until("both run", || {
        (dev.metric("celeriac_tasks_in_flight", &[]) > 1.5).then_some(())
    });
    assert_eq!(revoke(&stage, &known, &[]), "WAITING");
    assert_eq!(revoke(&stage, &unknown, &[]), "REVOKED");
    success(&stage.ended(&known));
    is(&stage, &unknown, "SUCCESS");
    assert_eq!(revoke(&stage, &unknown, &["--terminate"]), "SUCCESS");
}

#[test]
fn what_is_terminated_ends_at_once_and_nothing_else_does() {
    let stage = stage();
    for module in ["odd", "numbers", "report"] {
        stage.push(module);
    }
    let dev = stage.dev();
    let stays = stage.send("odd.stays", &["-a", "[60000]"]);
    let once = stage.send("odd.pays", &["-a", "[60000]"]);
    let waits = stage.send("odd.waits", &["-a", "[4000]"]);
    // It computes and never calls the host.
    let counts = stage.send("numbers.fibonacci", &["-a", "[100000000000]"]);
    is(&stage, &stays, "STAYING");
    is(&stage, &once, "PAYING");
    is(&stage, &waits, "WAITING");
    until("all run", || {
        (dev.metric("celeriac_tasks_in_flight", &[]) > 3.5).then_some(())
    });
    let told = stage.json(&["revoke", &stays, &once, &counts, "--terminate"]);
    let states = ["STAYING", "PAYING", "REVOKED"];
    for (place, state) in states.iter().enumerate() {
        assert_eq!(told["revoked"][place]["state"], *state, "{told}");
    }
    assert_eq!(told["terminate"], true);
    for id in [&stays, &once, &counts] {
        let ended = until("terminated", || {
            Some(stage.stored(id)).filter(|stored| message(stored) == "terminated")
        });
        revoked(&ended, "terminated");
    }
    success(&stage.ended(&waits));
    stage.settled();
    assert!(runs(&dev, "odd.stays") > 0.5);
}

#[test]
fn an_id_that_nobody_knows_is_revoked_for_when_it_comes() {
    let stage = stage();
    stage.push("text");
    let dev = stage.dev();
    assert_eq!(revoke(&stage, "tomorrow", &[]), "REVOKED");
    revoked(&stage.stored("tomorrow"), "revoked");
    // A worker hears within a second.
    let later = ["-a", "[1]", "--id", "tomorrow", "--countdown", "2s"];
    stage.send("text.echo", &later);
    until("it is settled", || {
        (settled(&dev, "REVOKED") > 0.5).then_some(())
    });
    revoked(&stage.stored("tomorrow"), "revoked");
}

#[test]
fn many_tasks_are_revoked_by_a_stamp() {
    let stage = stage();
    let letter = |id: &str, stamps: Value| {
        let names: Vec<&String> = stamps.as_object().expect("an object").keys().collect();
        Letter::new("odd.stays", id, "[60000]")
            .header("stamped_headers", json!(names))
            .header("stamps", stamps)
    };
    stage.push("odd");
    let _dev = stage.dev();
    stage.post(&[
        letter("runs", json!({"order": "a"})),
        letter("other", json!({"order": "b"})),
    ]);
    is(&stage, "runs", "STAYING");
    is(&stage, "other", "STAYING");
    stage.json(&["revoke", "--stamp", "order=a", "--terminate"]);
    is(&stage, "runs", "REVOKED");
    stage.post(&[
        letter("waits", json!({"x": 1, "order": ["c", "a"]})),
        letter("not", json!({"order": ["c"], "x": "a"})),
    ]);
    is(&stage, "waits", "REVOKED");
    is(&stage, "not", "STAYING");
    assert_eq!(stage.stored("other")["state"], "STAYING");
    revoked(&stage.stored("waits"), "revoked");
}

#[test]
fn an_order_that_is_too_much_is_refused() {
    let stage = stage();
    let ids: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    let words = ["10001 tasks are too many", "at most 10000"];
    stage
        .run(&[&["revoke"], &all[..]].concat())
        .refused(2, &words);
    stage.run(&["revoke"]).refused(2, &["TASK_ID"]);
    let long = format!("a={}", "x".repeat(2_000));
    stage
        .run(&["revoke", "--stamp", &long])
        .refused(2, &["1024"]);
    stage
        .run(&["revoke", "--stamp", "a"])
        .refused(2, &["NAME=VALUE"]);
    stage
        .run(&["revoke", "a\nb"])
        .refused(2, &["control characters"]);
}

/// Two workers, and a folder of state for each.
fn workers(broker: &str, results: &str) -> [(Stage, Server); 2] {
    ["first", "second"].map(|name| {
        let stage = stage()
            .with("broker", broker)
            .with("result_backend", results)
            .with("worker.consumer_timeout", "2h")
            .with("worker.concurrency", "1");
        stage.push("odd");
        let server = stage.server(&["worker", "-n", &format!("{name}@%h"), "-Q", name]);
        (stage, server)
    })
}

#[test]
fn a_worker_elsewhere_hears_through_redis_and_python_sees_it() {
    let redis = Redis::start();
    let [(first, _server), (second, other)] = workers(&redis.url(0), &redis.url(1));
    let runs = first.send("odd.stays", &["-a", "[60000]", "-Q", "second"]);
    let reserved = first.send("odd.stays", &["-a", "[60000]", "-Q", "second"]);
    is(&first, &runs, "STAYING");
    assert_eq!(revoke(&first, &reserved, &[]), "REVOKED");
    let seen = celery::python("5.7").run(
        "revoked.py",
        &["get", &redis.url(0), &redis.url(1), &reserved],
    );
    let expected = json!(["REVOKED", "celery.exceptions.TaskRevokedError", "revoked"]);
    assert_eq!(seen, expected);
    assert_eq!(revoke(&first, &runs, &["--terminate"]), "STAYING");
    is(&second, &runs, "REVOKED");
    until("both are settled", || {
        (settled(&other, "REVOKED") > 1.5).then_some(())
    });
    let seen =
        celery::python("5.4").run("revoked.py", &["get", &redis.url(0), &redis.url(1), &runs]);
    let expected = json!([
        "REVOKED",
        "celery.exceptions.TaskRevokedError",
        "terminated"
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn what_rabbitmq_holds_is_revoked_through_the_redis_of_results() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let [(first, _server), (_second, other)] = workers(&rabbit.url(), &redis.url(1));
    let runs = first.send("odd.stays", &["-a", "[60000]", "-Q", "second"]);
    let reserved = first.send("odd.stays", &["-a", "[60000]", "-Q", "second"]);
    let delayed = first.send(
        "odd.stays",
        &["-a", "[60000]", "-Q", "second", "--countdown", "2s"],
    );
    is(&first, &runs, "STAYING");
    let told = first.json(&["revoke", &runs, &reserved, &delayed, "--terminate"]);
    assert_eq!(told["folder"], Value::Null, "{told}");
    until("all are settled", || {
        (settled(&other, "REVOKED") > 2.5).then_some(())
    });
    for id in [&runs, &reserved, &delayed] {
        assert_eq!(first.stored(id)["state"], "REVOKED");
    }
}

#[test]
fn without_a_place_for_results_the_data_folder_remembers() {
    let rabbit = Rabbit::start();
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("worker.consumer_timeout", "2h");
    stage.push("odd");
    let id = stage.send("odd.stays", &["-a", "[60000]"]);
    let told = stage.json(&["revoke", &id]);
    assert_eq!(told["revoked"][0]["state"], Value::Null, "{told}");
    assert!(told["folder"].is_string(), "{told}");
    let worker = stage.server(&["worker"]);
    until("it is settled", || {
        (settled(&worker, "REVOKED") > 0.5).then_some(())
    });
    let id = stage.send("odd.stays", &["-a", "[60000]"]);
    until("it runs", || {
        (worker.metric("celeriac_tasks_in_flight", &[]) > 0.5).then_some(())
    });
    stage.json(&["revoke", &id, "--terminate"]);
    until("it is terminated", || {
        (settled(&worker, "REVOKED") > 1.5).then_some(())
    });
}
