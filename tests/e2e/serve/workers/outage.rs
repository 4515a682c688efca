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

/// Waits until each of them said something.
fn said(workers: &[&Server], words: &str) {
    until(words, || {
        let mut all = workers.iter();
        all.all(|worker| worker.log().contains(words)).then_some(())
    });
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
    let echo = || {
        for tenant in ["acme", "other"] {
            success(&call(&client, tenant, "text.echo", "[1]"));
        }
    };
    all_run(&[&one, &two], "text.echo", echo);

    control.plane.kill();
    said(&[&one, &two], "goes on with what it knows");
    all_run(&[&one, &two], "text.echo", echo);
    let ready = one.get("/health/ready").map(|(status, _)| status);
    assert_eq!(ready, Some(200));
    let (_, page) = one.get("/metrics").expect("metrics");
    assert!(page.contains("celeriac_control_plane_up{} 0"), "{page}");
    // One that is started meanwhile knows what it knew.
    assert_eq!(two.stop().code, Some(0));
    let two = worker(&stages[1]);
    all_run(&[&one, &two], "text.echo", echo);

    control.plane.revive();
    said(&[&one, &two], "answers again");
    let pushed = control.push("acme", "text", "odd");
    assert_eq!(pushed["live"]["workers"], 2, "{pushed}");
    // Each compiles it, which takes as long as the machine is busy.
    let live = &pushed["live"];
    println!("{} of 2 had it after {} ms", live["live"], live["after_ms"]);
    said(&[&one, &two], "loaded acme/text 2");
    all_run(&[&one, &two], "text.waits", || {
        success(&call(&client, "acme", "text.waits", "[1]"));
    });
    success(&call(&client, "other", "text.echo", "[2]"));
    for stage in &stages {
        // They hold nothing of the database or the bucket.
        let config = stage.run(&["config", "check"]).good();
        let holds = |text: &str| config.out.contains(text);
        assert!(!holds("postgresql://") && !holds("s3://"), "{config}");
    }
}
