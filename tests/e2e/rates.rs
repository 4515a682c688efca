//! Tasks that may start only so often.

use crate::{stage, success};
use jiff::{SignedDuration, Timestamp};
use support::{Rabbit, Redis, Stage, until};

/// Sends tasks, waits for all, and returns the time from before the first was sent to the
/// last end: no test may ask for less of it, and a busy machine takes more.
fn took(stage: &Stage, task: &str, count: usize) -> SignedDuration {
    let began = Timestamp::now();
    let ids: Vec<String> = (0..count)
        .map(|number| stage.send(task, &["-a", &format!("[{number}]")]))
        .collect();
    let ends = ids.iter().map(|id| {
        let ended = stage.ended(id);
        success(&ended);
        let at = ended["written_at"].as_str().and_then(|at| at.parse().ok());
        at.expect("a moment")
    });
    let last: Timestamp = ends.max().expect("there are some");
    last.duration_since(began)
}

fn limited(stage: &Stage, rate: &str) {
    let text = format!("[tasks.\"text.*\"]\nrate_limit = \"{rate}\"\n");
    stage.write("celeriac.toml", text);
}

#[test]
fn a_task_starts_no_faster_than_its_rate() {
    let stage = stage();
    limited(&stage, "4/s");
    let _dev = stage.dev();
    stage.push("text");
    let took = took(&stage, "text.echo", 9);
    assert!(took >= SignedDuration::from_secs(2), "{took}");
    stage.settled();
}

#[test]
fn what_has_to_wait_waits_in_the_broker_and_hinders_nobody() {
    let stage = stage().with("worker.concurrency", "1");
    limited(&stage, "1/h");
    let _dev = stage.dev();
    stage.push("text");
    stage.push("odd");
    success(&stage.call("text.echo", "[1]"));
    let ids: Vec<String> = (0..20)
        .map(|_| stage.send("text.echo", &["-a", "[1]"]))
        .collect();
    until("all are parked", || {
        let queues = stage.json(&["queues", "celery"]);
        (queues["queues"][0]["parked"] == 20).then_some(())
    });
    success(&stage.call("odd.waits", "[1]"));
    assert!(ids.iter().all(|id| stage.stored(id)["state"] == "PENDING"));
}

#[test]
fn workers_on_one_redis_share_a_rate_if_told_so() {
    let redis = Redis::start();
    let stages = ["first", "second"].map(|_| {
        let stage = stage()
            .with("broker", &redis.url(0))
            .with("result_backend", &redis.url(1))
            .with("worker.rate_limit_scope", "cluster");
        limited(&stage, "4/s");
        stage.push("text");
        stage
    });
    let [first, second] = &stages;
    let _one = first.server(&["worker", "-n", "one@%h"]);
    let _other = second.server(&["worker", "-n", "other@%h"]);
    let took = took(first, "text.echo", 13);
    assert!(took >= SignedDuration::from_secs(3), "{took}");
}

#[test]
fn a_rate_holds_where_the_broker_delays_by_whole_seconds() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", &redis.url(1))
        .with("worker.consumer_timeout", "2h");
    limited(&stage, "2/s");
    stage.push("text");
    let _worker = stage.server(&["worker"]);
    let took = took(&stage, "text.echo", 7);
    assert!(took >= SignedDuration::from_secs(3), "{took}");
}
