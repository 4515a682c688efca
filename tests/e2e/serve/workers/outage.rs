//! The control plane on servers that several machines share, two workers, two tenants in two
//! virtual hosts, and an outage.

use super::{Control, all_run, call, client};
use crate::{stage, success};
use std::path::Path;
use support::{Moto, Postgres, Rabbit, Redis, Server, Stage, until};

/// Starts a worker, whose own messages are in its folder.
fn worker(stage: &Stage) -> Server {
    stage.server(&["worker"])
}

#[test]
fn workers_serve_tenants_through_an_outage_and_a_restart_and_then_follow_again() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let (postgres, moto) = (Postgres::start(), Moto::start(&target));
    let (acme, other, redis) = (Rabbit::start(), Rabbit::start(), Redis::start());
    let plane = stage()
        .with("serve.database", &postgres.url())
        .with("serve.components", &moto.url("components"));
    let mut control = Control::start(plane);
    let places = [
        ("acme", acme.url(), redis.url(1)),
        ("other", other.url(), redis.url(2)),
    ];
    for (name, broker, results) in &places {
        control.tenant(name, broker, results);
    }
    let known: Vec<(&str, &str, &str)> = places
        .iter()
        .map(|(name, broker, results)| (*name, broker.as_str(), results.as_str()))
        .collect();
    let client = client(&known);
    let stages = [control.follower(), control.follower()];
    let one = worker(&stages[0]);
    let two = worker(&stages[1]);
    for tenant in ["acme", "other"] {
        let pushed = control.push(tenant, "text", "text");
        assert_eq!(pushed["live"]["workers"], 2, "{pushed}");
    }
    let echo = |tenant: &str| {
        success(&call(&client, tenant, "text.echo", "[1]"));
    };
    all_run(&[&one, &two], "text.echo", || {
        echo("acme");
        echo("other");
    });

    control.kill();
    until("the workers notice", || {
        let down = |worker: &Server| worker.log().contains("goes on with what it knows");
        (down(&one) && down(&two)).then_some(())
    });
    all_run(&[&one, &two], "text.echo", || {
        echo("acme");
        echo("other");
    });
    let (status, _) = one.get("/health/ready").expect("an answer");
    assert_eq!(status, 200);
    let (_, page) = one.get("/metrics").expect("metrics");
    assert!(page.contains("celeriac_control_plane_up 0"), "{page}");
    // One that is started meanwhile knows what it knew.
    assert_eq!(two.stop().code, Some(0));
    let two = worker(&stages[1]);
    all_run(&[&one, &two], "text.echo", || {
        echo("acme");
        echo("other");
    });

    control.revive();
    until("the workers are back", || {
        let back = |worker: &Server| worker.log().contains("answers again");
        (back(&one) && back(&two)).then_some(())
    });
    let pushed = control.push("acme", "text", "odd");
    assert_eq!(pushed["live"]["workers"], 2, "{pushed}");
    // Each compiles it, which takes as long as the machine is busy.
    println!(
        "{} of 2 had it after {} ms",
        pushed["live"]["live"], pushed["live"]["after_ms"]
    );
    all_run(&[&one, &two], "text.waits", || {
        success(&call(&client, "acme", "text.waits", "[1]"));
    });
    echo("other");
    for stage in &stages {
        // They hold nothing of the database or the bucket.
        let config = stage.run(&["config", "check"]).good();
        let holds = |text: &str| config.out.contains(text);
        assert!(!holds("postgresql://") && !holds("s3://"), "{config}");
    }
}
