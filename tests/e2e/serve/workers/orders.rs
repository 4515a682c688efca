//! What a control plane orders reaches workers elsewhere: kills, suspensions, new tenants.

use super::{Control, call, client, ended, sent};
use crate::{failure, stage, success};
use serde_json::json;
use support::{Redis, until};

#[test]
fn a_tenant_whose_lane_is_closing_keeps_no_order_from_another() {
    let redis = Redis::start();
    let control = Control::start(stage());
    let (acme, late) = (redis.url(1), redis.url(2));
    let client = client(&[("acme", &acme, &acme), ("late", &late, &late)]);
    for (name, place) in [("acme", &acme), ("late", &late)] {
        control.tenant(name, place, place);
        control.push(name, "odd", "odd");
    }
    let follower = control.follower().with("worker.drain", "3m");
    let worker = follower.server(&["worker"]);
    success(&call(&client, "late", "odd.waits", "[1]"));
    let long = sent(&client, "acme", "odd.waits", "[170000]");
    until("a long task runs", || {
        let shown = client.run(&["result", &long, "-T", "acme", "--json"]);
        (shown.json()["state"] == "WAITING").then_some(())
    });
    let elsewhere = json!({"broker": redis.url(3)});
    control.ask("PATCH /v1/tenants/acme", &elsewhere);
    control.ask("POST /v1/tenants/late/suspend", &json!({}));
    until("the worker takes no more of the other", || {
        let id = sent(&client, "late", "odd.waits", "[1]");
        let why = client.json(&["why", &id, "-T", "late"]);
        (why["place"] == "ready").then_some(())
    });
    // The lane of the first still has its time.
    assert!(!worker.log().contains("no longer"), "{}", worker.log());
}

#[test]
fn kills_suspensions_and_new_tenants_reach_a_worker_without_a_restart() {
    let redis = Redis::start();
    let control = Control::start(stage());
    let (acme, late) = (redis.url(1), redis.url(2));
    let client = client(&[("acme", &acme, &acme), ("late", &late, &late)]);
    let follower = control.follower();
    let worker = follower.server(&["worker"]);
    control.tenant("acme", &acme, &acme);
    control.push("acme", "text", "text");
    success(&call(&client, "acme", "text.echo", "[1]"));

    let kill = json!({"kind": "module", "name": "text", "reason": "it loops"});
    let killed = control.ask("POST /v1/tenants/acme/kills", &kill);
    assert_eq!(killed["live"]["live"], 1, "{killed}");
    let refused = call(&client, "acme", "text.echo", "[2]");
    assert!(failure(&refused, "celeriac.Killed").contains("it loops"));
    let undo = "DELETE /v1/tenants/acme/kills?kind=module&name=text";
    assert_eq!(control.ask(undo, &json!({}))["live"]["live"], 1);
    success(&call(&client, "acme", "text.echo", "[3]"));

    control.ask("POST /v1/tenants/acme/suspend", &json!({}));
    until("the worker takes no more", || {
        let id = sent(&client, "acme", "text.echo", "[4]");
        let why = client.json(&["why", &id, "-T", "acme"]);
        (why["place"] == "ready").then_some(())
    });
    control.tenant("late", &late, &late);
    control.push("late", "text", "text");
    success(&call(&client, "late", "text.echo", "[5]"));
    let held = sent(&client, "acme", "text.echo", "[6]");
    control.ask("POST /v1/tenants/acme/resume", &json!({}));
    success(&ended(&client, "acme", &held));

    control.ask("DELETE /v1/tenants/late?force=true", &json!({}));
    until("its lane is closed", || {
        worker
            .log()
            .contains("serving a tenant no longer")
            .then_some(())
    });
    success(&call(&client, "acme", "text.echo", "[7]"));
    let push = follower.component("text").display().to_string();
    let local = follower
        .with("server", "")
        .with("token", "")
        .run(&["push", &push, "--name", "text"]);
    local.refused(2, &["those of the control plane", "--server"]);
}
