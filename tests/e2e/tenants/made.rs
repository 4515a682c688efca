//! Tenants and tokens by the command line, and what a tenant can do on a broker that it
//! shares with another.

use crate::celery::python;
use crate::stage;
use serde_json::{Value, json};
use support::rabbitmq::RabbitServer;
use support::{Redis, Stage};

/// Makes a tenant on a server, and returns what is set up there.
pub(super) fn create(stage: &Stage, tenant: &str, server: &str, more: &[&str]) -> Value {
    let arguments = [&["tenant", "create", tenant, "--on", server], more].concat();
    stage.json(&arguments)["setup"].clone()
}

pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).expect(path)
}

/// A stage whose worker serves a tenant by the address that is kept for workers.
pub(super) fn lane(setup: &Value) -> Stage {
    let mut lane = stage()
        .with("broker", text(setup, "/workers/broker"))
        .with("result_backend", text(setup, "/workers/result_backend"))
        .with("worker.consumer_timeout", "2h");
    if let Some(prefix) = setup["prefix"].as_str() {
        for key in ["broker", "result_backend"] {
            lane = lane.with(&format!("{key}_transport_options.global_keyprefix"), prefix);
        }
    }
    lane
}

/// Calls a task with Celery's own client, by the address that is told to the tenant.
fn words(setup: &Value) -> Value {
    let options = match setup["prefix"].as_str() {
        Some(prefix) => json!({"global_keyprefix": prefix}),
        None => json!({}),
    };
    let addresses = [
        text(setup, "/clients/broker"),
        text(setup, "/clients/result_backend"),
    ];
    let arguments = ["snippet", addresses[0], addresses[1], &options.to_string()];
    python("5.7").run("client.py", &arguments)["words"].clone()
}

#[test]
fn a_tenant_of_redis_uses_its_prefix_and_is_refused_all_that_is_others() {
    let (stage, redis) = (stage(), Redis::start());
    let acme = create(&stage, "acme", &redis.url(0), &["--apply"]);
    assert_eq!(acme["applied"], true);
    // What is printed does the same.
    let other = create(&stage, "other", &redis.url(0), &[]);
    for line in other["commands"].as_array().expect("commands") {
        let line = line.as_str().expect("a line");
        let ran = std::process::Command::new("sh").args(["-c", line]).output();
        assert_eq!(ran.expect("it runs").stdout, b"OK\n", "{line}");
    }
    for setup in [&acme, &other] {
        let lane = lane(setup);
        lane.push("text");
        let worker = lane.server(&["worker"]);
        assert_eq!(words(setup), 6);
        assert_eq!(worker.stop().code, Some(0));
    }
    assert_eq!(redis.cli(0, &["SET", "plain", "x"]), "OK");
    let url = text(&acme, "/clients/broker");
    let told = python("5.7").run("tenants.py", &["redis", url]);
    for (command, told) in told.as_object().expect("answers") {
        let told = told.as_str().unwrap_or_default();
        let is_refused = told.starts_with("NoPermissionError");
        assert!(is_refused, "{command}: {told:?}");
    }
    let with = |prefix: &str| json!({"global_keyprefix": prefix}).to_string();
    for (what, prefix, works) in [
        ("send", "celeriac:acme:", true),
        ("events", "celeriac:acme:", true),
        ("send", "celeriac:other:", false),
        ("events", "celeriac:other:", false),
        ("send", "", false),
    ] {
        let told = python("5.7").run("tenants.py", &[what, url, &with(prefix)]);
        let told = told.as_str().unwrap_or_default();
        let is_refused = told.contains("no permissions");
        assert_eq!(is_refused, !works, "{what} {prefix}: {told}");
    }
}

#[test]
fn a_tenant_of_rabbitmq_uses_its_virtual_host_and_is_refused_that_of_others() {
    let (stage, rabbit) = (stage(), RabbitServer::start());
    let server = format!("amqp://127.0.0.1:{}", rabbit.ports()[0]);
    let [acme, other] = ["acme", "other"].map(|tenant| {
        let setup = create(&stage, tenant, &server, &[]);
        for line in setup["commands"].as_array().expect("commands") {
            rabbit.shell(line.as_str().expect("a line"));
        }
        setup
    });
    let lane = lane(&acme);
    lane.push("text");
    let worker = lane.server(&["worker"]);
    assert_eq!(words(&acme), 6);
    assert_eq!(worker.stop().code, Some(0));
    let own = text(&acme, "/clients/broker");
    let theirs = text(&other, "/clients/broker");
    let foreign = own.replace("/acme", "/other");
    for (url, works) in [(own, true), (theirs, true), (&foreign, false)] {
        let told = python("5.7").run("tenants.py", &["send", url]);
        assert_eq!(told.is_null(), works, "{told}");
    }
}

#[test]
fn tenants_are_made_shown_changed_stopped_and_deleted() {
    let stage = stage();
    let made = stage.run(&[
        "tenant",
        "create",
        "acme",
        "--cpu-per-day",
        "2h",
        "--memory",
        "64MiB",
        "--may",
        "http:api.acme.example",
        "--weight",
        "200",
    ]);
    assert_eq!(made.good().out, "tenant acme created\n");
    let shown = stage.run(&["tenant", "show", "acme"]).good().out;
    for fact in [
        "weight: 200",
        "quota: cpu 2 h a day",
        "one attempt at most: memory 64 MiB",
        "may reach: http:api.acme.example",
        "broker: that of the configuration",
    ] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    let secret = "amqp://acme:s3cret@h/acme";
    let arguments = ["tenant", "change", "acme", "--tenant-broker", secret];
    let changed = stage.json(&[&arguments[..], &["--cpu-per-day", "none"]].concat());
    assert_eq!(changed["tenant"]["broker"], "amqp://acme:…@h/acme");
    assert_eq!(changed["tenant"]["quota"], json!({}));
    assert_eq!(changed["tenant"]["weight"], 200);
    let refused = |arguments: &[&str], code, words: &[&str]| {
        stage.run(arguments).refused(code, words);
    };
    refused(&["tenant", "create", "acme"], 3, &["acme", "already"]);
    refused(
        &["tenant", "show", "acm"],
        5,
        &["there is no tenant", "acm"],
    );
    refused(&["tenant", "create", "Acme"], 2, &["not a tenant's name"]);
    refused(
        &["tenant", "change", "acme", "--may", "files:/"],
        2,
        &["submit:PATTERN"],
    );
    refused(&["tenant", "delete", "acme"], 3, &["suspend it first"]);
    refused(&["tenant", "delete", "default", "--force"], 3, &["stays"]);
    tokens_are_made_rotated_and_revoked(&stage);
    let suspended = stage.run(&["tenant", "suspend", "acme"]).good();
    assert!(suspended.out.contains("suspended"), "{}", suspended.out);
    let gone = stage.json(&["tenant", "delete", "acme"]);
    let removal = [
        "rabbitmqctl -q delete_user acme",
        "rabbitmqctl -q delete_vhost acme",
    ];
    assert_eq!(gone["commands"], json!(removal));
    all_is_in_the_audit(&stage);
}

fn tokens_are_made_rotated_and_revoked(stage: &Stage) {
    let refused = |arguments: &[&str], code, words: &[&str]| {
        stage.run(arguments).refused(code, words);
    };
    let token = stage.json(&["token", "create", "--scope", "deploy", "-T", "acme"]);
    let id = text(&token, "/token/id").to_owned();
    refused(&["token", "revoke", &id], 5, &["there is no token", &id]);
    let next = stage.json(&["token", "rotate", &id, "-T", "acme", "--grace", "1h"]);
    let listed = stage.json(&["token", "list", "-T", "acme"]);
    assert_eq!(listed["tokens"].as_array().map(Vec::len), Some(2));
    for made in [&token, &next] {
        assert!(!listed.to_string().contains(text(made, "/text")));
    }
    refused(
        &["token", "create", "--scope", "call"],
        2,
        &["for one tenant", "--tenant"],
    );
}

fn all_is_in_the_audit(stage: &Stage) {
    let audit = stage.json(&["audit"]);
    let rows = audit["audit"].as_array().expect("rows");
    let told: Vec<&str> = rows.iter().map(|row| text(row, "/action")).collect();
    let expected = [
        "tenant.delete",
        "tenant.suspend",
        "token.rotate",
        "token.create",
        "tenant.change",
        "tenant.create",
    ];
    assert_eq!(told, expected);
    assert!(
        rows.iter()
            .all(|row| row["who"] == "operator on the machine")
    );
    assert!(!audit.to_string().contains("s3cret"));
    let page = stage.run(&["audit", "-N", "2"]).good().out;
    assert!(page.contains("more: celeriac audit --before 5"), "{page}");
}
