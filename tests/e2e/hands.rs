//! `celeriac why` and `celeriac purge`: what an operator asks and removes.

use crate::{celery, failure, stage, success};
use serde_json::{Value, json};
use support::{Rabbit, Redis, Stage, until};

fn why(stage: &Stage, id: &str) -> Value {
    let ran = stage.run(&["why", id, "--json"]);
    assert!(ran.code == 0 || ran.code == 5, "{ran}");
    ran.json()
}

/// Asks until a task is told to be at a place, with all of these words.
fn assert_why(stage: &Stage, id: &str, place: &str, words: &[&str]) -> Value {
    let is_told = |told: &Value| {
        let text = told.to_string();
        told["place"] == place && words.iter().all(|word| text.contains(word))
    };
    until(&format!("{id} is {place}: {words:?}"), || {
        Some(why(stage, id)).filter(is_told)
    })
}

/// Follows tasks through every place where this broker shows them.
fn assert_every_place(stage: &Stage) {
    for module in ["text", "flaky", "report"] {
        stage.push(module);
    }
    let first = stage.send("text.echo", &["-a", "[1]"]);
    let second = stage.send("report.nap", &["-a", "[60000]"]);
    let told = assert_why(stage, &second, "ready", &["no worker that answers takes"]);
    assert_eq!(
        (&told["queue"], &told["ahead"]),
        (&json!("celery"), &json!(1))
    );
    let told = stage.run(&["why", &second]).good();
    assert!(
        told.out
            .starts_with("waiting in queue celery behind about 1 other\n"),
        "{told}"
    );
    stage.json(&["revoke", &first]);
    let worker = stage.server(&["worker", "-n", "w@example"]);
    let told = assert_why(stage, &second, "running", &["on w@example since"]);
    assert_eq!(told["worker"], "w@example");
    assert_why(stage, &first, "over", &["revoked"]);
    let retried = stage.send("flaky.fails_until", &["-a", "[5, 60000]"]);
    let told = assert_why(stage, &retried, "parked", &["retry 1 of "]);
    assert_eq!(told["retries"], 1, "{told}");
    let unknown = stage.send("no.such", &[]);
    assert_why(stage, &unknown, "over", &["failed", "NotRegistered"]);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_task_is_found_wherever_it_is_in_the_embedded_file() {
    let stage = stage().with("worker.drain", "100ms");
    assert_every_place(&stage);
    let delayed = stage.send("text.echo", &["-a", "[1]", "--countdown", "1h"]);
    assert_why(
        &stage,
        &delayed,
        "parked",
        &["its eta, as its caller asked"],
    );
    let ran = stage.run(&["why", "nobody-knows-it"]);
    ran.refused(5, &["unknown: no worker", "it is not in celery"]);
}

#[test]
fn a_task_is_found_wherever_it_is_in_redis() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1))
        .with("worker.drain", "100ms");
    assert_every_place(&stage);
    // A Python worker's task, while it runs and when its queue has no worker.
    let (broker, backend) = (redis.url(0), redis.url(1));
    // A worker without threads answers nobody while it runs a task.
    let threads = [
        "-A", "worker", "worker", "-P", "threads", "-c", "1", "-Q", "py",
    ];
    let python = celery::python("5.7").celery(&threads, &broker, &backend);
    let nap = stage.send("py.nap", &["-a", "[3]", "-Q", "py"]);
    until("it runs", || {
        (why(&stage, &nap)["place"] == "running").then_some(())
    });
    assert_eq!(*success(&stage.ended(&nap)), "from Python");
    drop(python);
    let waits = stage.send("py.nap", &["-a", "[1]", "-Q", "py"]);
    assert_why(&stage, &waits, "ready", &["celeriac worker -Q py"]);
    // Not even a dead letter without a result is unknown.
    let silent = stage.with("result_backend", "disabled://");
    let dead = silent.send("no.such", &[]);
    let _worker = silent.server(&["worker"]);
    assert_why(
        &silent,
        &dead,
        "dead",
        &["no task \\\"no.such\\\" is registered"],
    );
}

fn assert_python_called(stage: &Stage, release: &str, broker: &str, backend: &str) {
    let _python = celery::python(release).worker(broker, backend, "celery");
    assert_eq!(*success(&stage.call("py.add", "[2, 3]")), 5);
    let failed = stage.call("py.boom", "[]");
    assert_eq!(failure(&failed, "builtins.LookupError"), "from Python");
    // What is not due is delayed by whoever takes it.
    let later = stage.send("py.add", &["-a", "[1, 1]", "--countdown", "1"]);
    assert_eq!(*success(&stage.ended(&later)), 2);
}

#[test]
fn a_task_of_a_python_worker_is_called_from_the_command_line() {
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let stage = stage()
        .with("broker", &broker)
        .with("result_backend", &backend);
    assert_python_called(&stage, "5.7", &broker, &backend);
}

#[test]
fn a_task_of_a_python_worker_is_called_from_the_command_line_through_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (release, is_file) in [("5.4", false), ("5.7", true)] {
        let stage = stage().with("broker", &rabbit.url());
        let backend = match is_file {
            true => format!("db+sqlite:///{}", stage.path("results.sqlite").display()),
            false => redis.url(1),
        };
        let stage = stage.with("result_backend", &backend);
        assert_python_called(&stage, release, &rabbit.url(), &backend);
    }
}

fn assert_waited(stage: &Stage, release: &str, broker: &str) {
    let _python = celery::python(release).worker(broker, "rpc://", "celery");
    let called = |task: &str, args: &str, more: &[&str]| {
        stage.run(&[&["call", task, "-a", args, "--wait", "--json"], more].concat())
    };
    let patience = &["--timeout", "50s"];
    let sum = called("py.add", "[2, 3]", patience).good();
    assert_eq!(*success(&sum.json()), 5);
    let failed = called("py.boom", "[]", patience);
    assert_eq!(failed.code, 1, "{failed}");
    assert_eq!(
        failure(&failed.json(), "builtins.LookupError"),
        "from Python"
    );
    // Nobody takes from that queue.
    let late = [
        "call",
        "py.add",
        "-Q",
        "nobody",
        "--wait",
        "--timeout",
        "1s",
    ];
    stage
        .run(&late)
        .refused(6, &["PENDING", "for this call alone"]);
    // Later there is nothing to look at, and that is said.
    let id = stage.send("py.add", &["-a", "[1, 1]"]);
    stage
        .run(&["result", &id])
        .refused(2, &["no results are kept", "--result-backend"]);
}

#[test]
fn the_command_line_waits_for_a_reply_over_redis() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", "rpc://");
    assert_waited(&stage, "5.4", &redis.url(0));
}

#[test]
fn the_command_line_waits_for_a_reply_over_rabbitmq() {
    let rabbit = Rabbit::start();
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", "rpc://");
    assert_waited(&stage, "5.7", &rabbit.url());
}

#[test]
fn what_rabbitmq_cannot_tell_is_said() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", &redis.url(1))
        .with("worker.consumer_timeout", "2h")
        .with("worker.drain", "100ms");
    for module in ["report", "flaky"] {
        stage.push(module);
    }
    let nap = stage.send("report.nap", &["-a", "[60000]"]);
    until("it is counted", || {
        let told = why(&stage, &nap).to_string();
        told.contains("queue celery holds 1 message ready")
            .then_some(())
    });
    assert_why(&stage, &nap, "unknown", &["shows no message that waits"]);
    let worker = stage.server(&["worker", "-n", "w@example"]);
    until("it runs", || {
        (why(&stage, &nap)["place"] == "running").then_some(())
    });
    // What its record tells is told all the same.
    let retried = stage.send("flaky.fails_until", &["-a", "[5, 60000]"]);
    assert_why(&stage, &retried, "parked", &["retry 1 of "]);
    assert_eq!(worker.stop().code, Some(0));
    // Dead letters are looked through.
    let silent = stage.with("result_backend", "disabled://");
    let dead = silent.send("no.such", &[]);
    let _worker = silent.server(&["worker"]);
    until("it is dead", || {
        (why(&silent, &dead)["place"] == "dead").then_some(())
    });
    let reason = "no task \\\"no.such\\\" is registered";
    assert_why(&silent, &dead, "dead", &[reason]);
}

/// How many messages of a queue `celeriac why` looks at.
const LOOKED_AT: u32 = 10_000;

#[test]
fn why_looks_no_further_than_it_says() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    let first = stage.send("text.echo", &["-a", "[1]"]);
    let fill = "for i = 1, ARGV[2] do redis.call('LPUSH', KEYS[1], ARGV[1]) end";
    let others = |count: u32| {
        let count = count.to_string();
        redis.cli(0, &["EVAL", fill, "1", "celery", "{}", &count])
    };
    others(LOOKED_AT - 2);
    let last = stage.send("text.echo", &["-a", "[2]"]);
    assert_why(&stage, &last, "ready", &[]);
    assert_eq!(why(&stage, &last)["ahead"], LOOKED_AT - 1);
    let beyond = stage.send("text.echo", &["-a", "[3]"]);
    let far = &["as far as was looked: celery have more than 10000 messages"];
    assert_why(&stage, &beyond, "unknown", far);
    assert_why(&stage, &first, "ready", &["the next to be taken"]);
}

#[test]
fn a_worker_is_inspected_over_both_brokers() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    for (broker, results) in [(redis.url(0), 1), (rabbit.url(), 2)] {
        let stage = stage()
            .with("broker", &broker)
            .with("result_backend", &redis.url(results))
            .with("worker.consumer_timeout", "2h")
            .with("worker.drain", "100ms");
        stage.push("report");
        let _worker = stage.server(&["worker", "-n", "w@example"]);
        let inspect = |what: &[&str]| {
            let seen = stage.json(&[&["inspect"], what, &["-d", "w@example", "-t", "20"]].concat());
            seen["workers"]["w@example"].clone()
        };
        assert_eq!(inspect(&["ping"]), json!({"ok": "pong"}));
        let registered = inspect(&["registered"]).to_string();
        assert!(registered.contains("report.nap"), "{registered}");
        assert_eq!(inspect(&["active_queues"])[0]["name"], "celery");
        let id = stage.send("report.nap", &["-a", "[600000]"]);
        let active = until("the task runs", || {
            let active = inspect(&["active"]);
            (active.get(0).is_some()).then_some(active)
        });
        assert_eq!(active[0]["id"], id, "{active}");
        stage
            .run(&["inspect", "ping", "-d", "nobody@here", "-t", "100ms"])
            .refused(5, &["no worker answered"]);
    }
}

/// Purges queues with what waits, with what is not due and with dead letters.
fn assert_purged(stage: &Stage) {
    for _ in 0..3 {
        stage.send("text.echo", &["-a", "[1]"]);
    }
    stage.send("text.echo", &["-a", "[1]", "--countdown", "1h"]);
    stage.send("text.echo", &["-a", "[1]", "-Q", "other"]);
    stage
        .run(&["purge", "celery"])
        .refused(2, &["nobody can be asked", "--yes"]);
    stage.run(&["purge"]).refused(2, &["QUEUE"]);
    let purged = stage.json(&["purge", "celery", "nothing", "--yes"]);
    assert_eq!(
        purged["purged"],
        json!([{"queue": "celery", "removed": 4}, {"queue": "nothing", "removed": 0}])
    );
    let ran = stage.run(&["purge", "other", "-f"]).good();
    assert_eq!(ran.out, "other  1 message removed\n");
    assert_eq!(stage.json(&["queues"])["queues"], json!([]));
    let _worker = stage.server(&["worker"]);
    stage.send("no.such", &[]);
    until("it is dead", || {
        (stage.json(&["queues", "celery"])["queues"][0]["dead"] == 1).then_some(())
    });
    let purged = stage.json(&["purge", "celery", "--dead", "--yes"]);
    assert_eq!(purged["purged"][0]["removed"], 1, "{purged}");
}

#[test]
fn a_purge_is_meant_and_leaves_what_runs() {
    assert_purged(&stage());
}

#[test]
fn a_purge_is_meant_in_redis_too() {
    let redis = Redis::start();
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(1));
    assert_purged(&stage);
}

#[test]
fn what_rabbitmq_delays_stays_when_its_queue_is_purged() {
    let rabbit = Rabbit::start();
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", "disabled://");
    stage.send("text.echo", &["-a", "[1]"]);
    stage.send("text.echo", &["-a", "[1]", "--countdown", "1h"]);
    until("it is there", || {
        (stage.json(&["queues", "celery"])["queues"][0]["ready"] == 1).then_some(())
    });
    let purged = stage.json(&["purge", "celery", "--yes"]);
    assert_eq!(purged["purged"][0]["removed"], 1, "{purged}");
    assert_eq!(purged["delayed_stay"], true);
}
