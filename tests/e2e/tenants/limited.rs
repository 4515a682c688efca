//! A worker whose user of Redis sees the keys of one tenant and no others.

use super::made::{create, lane};
use crate::{failure, stage, success};
use support::{Redis, until};

/// How a message ends decides which keys it needs.
#[test]
fn every_end_of_a_message_needs_no_key_but_the_tenants_own() {
    let (stage, redis) = (stage(), Redis::start());
    let setup = create(&stage, "acme", &redis.url(0), &["--apply"]);
    let lane = lane(&setup).with("worker.lease", "1s");
    for module in ["flaky", "odd", "text"] {
        lane.push(module);
    }
    let worker = lane.server(&["worker", "-n", "first@h"]);
    success(&lane.call("text.echo", "[1]"));
    success(&lane.call("flaky.fails_until", "[2]"));
    let due = lane.send("text.echo", &["-a", "[2]", "--countdown", "1"]);
    success(&lane.ended(&due));
    failure(
        &lane.call("flaky.fails", r#"["ValueError", "boom"]"#),
        "builtins.ValueError",
    );
    failure(
        &lane.call("nobody.home", "[]"),
        "celery.exceptions.NotRegistered",
    );
    // What a worker held that is gone is given back by another.
    let long = lane.send("odd.waits", &["-a", "[1500]"]);
    until("it runs", || {
        (lane.stored(&long)["state"] == "WAITING").then_some(())
    });
    let log = worker.log();
    worker.kill();
    let second = lane.server(&["worker", "-n", "second@h"]);
    success(&lane.ended(&long));
    until("nothing is held any more", || {
        let queues = lane.json(&["queues", "celery"]);
        let queue = &queues["queues"][0];
        let held = ["ready", "parked", "leased"].map(|what| queue[what].as_u64());
        (held == [Some(0); 3] && queue["dead"] == 1).then_some(())
    });
    let log = format!("{log}{}", second.log());
    assert!(!log.contains("no permissions"), "{log}");
}
