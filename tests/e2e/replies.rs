//! Results that come as replies (`rpc://`) to the command line.

use crate::{celery, failure, stage, success};
use support::{Rabbit, Redis, Stage};

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
