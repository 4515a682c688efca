//! A Python worker and ours take from the same queues, and both look all the time for
//! what the other may have lost.

use crate::{celery, stage, success};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{PythonWorker, Rabbit, Redis, Stage, until};

/// What both look at as the time after which a message of Python's is lost. A task of
/// Python's may take half of it, one of ours as long as it likes.
const VISIBILITY: (&str, u32) = ("4s", 4);
/// How many tasks both sides share.
const SHARED: usize = 16;

/// Where a Python worker writes down what it ran.
const DIARY: &str = "diary";

/// A stage that knows the task of Python's worker as well.
fn both_know(broker: &str, backend: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h")
        .with("worker.concurrency", "3");
    stage.write(
        "celeriac.toml",
        "[aliases]\n\"py.shared\" = \"report.nap\"\n",
    );
    stage.push("report");
    stage
}

/// A worker of Python's that takes one message for each of its two threads.
fn python(stage: &Stage, broker: &str, backend: &str, options: &Value) -> PythonWorker {
    let words = "-A worker worker -P threads -c 2 -Q celery,py --prefetch-multiplier 1";
    let words: Vec<_> = words.split(' ').collect();
    celery::python("5.7")
        .with("DIARY", stage.path(DIARY).display().to_string())
        .with("TRANSPORT_OPTIONS", options.to_string())
        .celery(&words, broker, backend)
}

/// Has both sides run tasks of one queue.
fn assert_each_runs_once(stage: &Stage) {
    let ids: Vec<_> = (0..SHARED)
        .map(|_| stage.send("py.shared", &["-a", "[500]"]))
        .collect();
    let mut theirs = BTreeSet::new();
    for id in &ids {
        let ended = stage.ended(id);
        if *success(&ended) == "from Python" {
            theirs.insert(id.as_str());
        } else {
            assert_eq!(*success(&ended), 500, "{ended}");
            assert_eq!(ended["deliveries"], 1, "{ended}");
        }
    }
    assert!(
        !theirs.is_empty() && theirs.len() < ids.len(),
        "one side did all of it: {theirs:?}"
    );
    let diary = std::fs::read_to_string(stage.path(DIARY)).expect("a diary");
    let ran: Vec<_> = diary
        .lines()
        .filter(|id| ids.iter().any(|known| known == id))
        .collect();
    assert_eq!(ran.len(), theirs.len(), "{diary}");
    assert_eq!(ran.into_iter().collect::<BTreeSet<_>>(), theirs);
}

/// Makes a message that a worker took and lost long ago.
fn lose(redis: &Redis, stage: &Stage) -> String {
    let id = stage.send("py.add", &["-a", "[1, 2]", "-Q", "aside"]);
    let message: Value = serde_json::from_str(&redis.cli(0, &["RPOP", "aside"])).expect("JSON");
    let held = json!([message, "", "py"]).to_string();
    assert_eq!(redis.cli(0, &["HSET", "unacked", &id, &held]), "1");
    assert_eq!(redis.cli(0, &["ZADD", "unacked_index", "1", &id]), "1");
    id
}

/// Returns the seconds since 1970.
fn now(redis: &Redis) -> f64 {
    let now = redis.cli(0, &["TIME"]);
    let seconds = now.lines().next().and_then(|seconds| seconds.parse().ok());
    seconds.expect("the time of the server")
}

#[test]
fn a_python_worker_and_ours_on_one_queue_in_redis_take_nothing_from_each_other() {
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let (ours, theirs) = VISIBILITY;
    let stage =
        both_know(&broker, &backend).with("broker_transport_options.visibility_timeout", ours);
    // Celery looks each second, and not every tenth time alone.
    let options = json!({
        "visibility_timeout": theirs,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    });
    let _python = python(&stage, &broker, &backend, &options);
    // Celery's worker gives back what was lost, before there is one of ours.
    assert_eq!(*success(&stage.ended(&lose(&redis, &stage))), 3);
    let _ours = stage.server(&["worker", "-Q", "celery,ours"]);
    let long = stage.send("report.nap", &["-a", "[15000]", "-Q", "ours"]);
    let began = now(&redis);
    let held = stage.send("py.nap", &["-a", "[2]", "-Q", "py"]);
    assert_each_runs_once(&stage);
    assert_eq!(*success(&stage.ended(&held)), "from Python");
    // Ours is older by now than anything of Python's may be, and all is looked at.
    until("it is old", || {
        (now(&redis) > began + f64::from(theirs) + 1.0).then_some(())
    });
    assert_eq!(*success(&stage.ended(&lose(&redis, &stage))), 3);
    let ended = stage.ended(&long);
    assert_eq!(*success(&ended), 15_000);
    assert_eq!(ended["deliveries"], 1, "{ended}");
    until("nothing is left", || {
        (redis.cli(0, &["HLEN", "unacked"]) == "0").then_some(())
    });
    let diary = std::fs::read_to_string(stage.path(DIARY)).expect("a diary");
    assert_eq!(diary.lines().filter(|id| *id == held).count(), 1, "{diary}");
}

#[test]
fn a_python_worker_and_ours_on_one_queue_in_rabbitmq_take_nothing_from_each_other() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let (broker, backend) = (rabbit.url(), redis.url(1));
    let stage = both_know(&broker, &backend);
    let _python = python(&stage, &broker, &backend, &json!({}));
    let first = stage.send("py.add", &["-a", "[1, 2]", "-Q", "py"]);
    assert_eq!(*success(&stage.ended(&first)), 3);
    let _ours = stage.server(&["worker", "-Q", "celery"]);
    assert_each_runs_once(&stage);
    until("nothing is left", || {
        (rabbit.queue("celery")["messages"] == 0).then_some(())
    });
}
