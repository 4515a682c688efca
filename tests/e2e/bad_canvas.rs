//! Canvases, bodies and orders that are wrong or too much: what a Celery program sees of
//! them, and that the worker goes on.

use crate::{celery, stage};
use serde_json::{Value, json};
use support::{Rabbit, Redis, Server, Stage};

const CHORD_ERROR: &str = "celery.exceptions.ChordError";
const REVOKED: &str = "celery.exceptions.TaskRevokedError";
/// The class of what is said of signatures that cannot be sent; made up by the client.
const SIGNATURE: &str = "celery.exceptions.InvalidSignature";
const DECODE: &str = "kombu.exceptions.DecodeError";
/// As much as a worker may have after the worst.
const MEMORY: u64 = 600 << 20;

fn beside(broker: &str, backend: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    for module in ["text", "flaky", "numbers", "odd"] {
        stage.push(module);
    }
    stage
}

/// Plays a scene of the client.
fn ask(scene: &str, stage: &[&str]) -> Value {
    celery::python("5.7").run("bad_canvas.py", &[&[scene], stage].concat())
}

/// The worker lives, holds nothing, and has no bug to report.
fn assert_well(seen: &Value, worker: Server) {
    assert_eq!(seen["alive"], "alive", "{seen}");
    assert!(worker.memory() < MEMORY, "{} bytes", worker.memory());
    let log = worker.log();
    assert!(!log.contains("panicked") && !log.contains("a bug"), "{log}");
    assert_eq!(worker.stop().code, Some(0));
}

/// Plays a scene against a worker of its own, which leaves no message behind.
fn play(release: &str, scene: &str, broker: &str, backend: &str) -> Value {
    let stage = beside(broker, backend);
    let worker = stage.server(&["worker"]);
    let seen = celery::python(release).run("bad_canvas.py", &[scene, broker, backend]);
    assert_well(&seen, worker);
    let left = stage.json(&["queues", "celery"]);
    let left = &left["queues"][0];
    assert_eq!(left["ready"], 0, "{scene}: {left}");
    // RabbitMQ cannot tell: what was held would be ready now.
    assert_eq!(left["leased"].as_u64().unwrap_or(0), 0, "{scene}: {left}");
    seen
}

/// Plays a scene over both brokers, over Redis with the oldest client too.
fn over_both(scene: &str, check: impl Fn(&Value)) {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let (ours, theirs) = (redis.url(0), rabbit.url());
    for (release, broker, results) in [("5.7", &ours, 1), ("5.4", &ours, 2), ("5.7", &theirs, 3)] {
        check(&play(release, scene, broker, &redis.url(results)));
    }
}

/// Plays a scene where nobody counts the parts of a chord.
fn uncounted(scene: &str, check: impl Fn(&Value)) {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let folder = stage();
    let database = folder.path("results.sqlite");
    let database = format!("db+sqlite:///{}", database.display());
    check(&play("5.7", scene, &rabbit.url(), &database));
    let files = format!("file://{}", folder.folder().display());
    check(&play("5.7", scene, &redis.url(0), &files));
}

fn class(seen: &Value) -> &str {
    seen[0].as_str().unwrap_or_default()
}

fn words(seen: &Value) -> &str {
    seen[1].as_str().unwrap_or_default()
}

fn assert_unknown_links(seen: &Value) {
    let unknown = "celery.exceptions.NotRegistered";
    assert_eq!(class(&seen["last"]), unknown, "{seen}");
    for failed in seen["rest"].as_array().expect("a list") {
        assert_eq!(class(failed), unknown, "{seen}");
    }
    assert_eq!(
        seen["states"],
        json!(["FAILURE", "FAILURE", "FAILURE", "SUCCESS"])
    );
    assert_eq!(seen["linked"], json!(["returned", 3]));
    assert_eq!(class(&seen["link"]), unknown);
    assert_eq!(seen["failed"], json!(["builtins.ValueError", "boom"]));
    assert_eq!(class(&seen["errback"]), unknown);
    assert_eq!(class(&seen["body"]), unknown);
}

#[test]
fn a_link_that_nobody_knows_fails_itself_and_what_would_follow() {
    over_both("unknown_links", assert_unknown_links);
}

#[test]
fn a_link_that_nobody_knows_fails_the_same_where_nobody_counts() {
    uncounted("unknown_links", assert_unknown_links);
}

fn assert_revoked_member(seen: &Value) {
    assert_eq!(class(&seen["member"]), REVOKED, "{seen}");
    assert_eq!(class(&seen["body"]), CHORD_ERROR, "{seen}");
    assert!(words(&seen["body"]).contains("TaskRevokedError('revoked')"));
}

#[test]
fn a_chord_of_which_a_member_is_revoked_fails() {
    over_both("revoked_member", assert_revoked_member);
}

#[test]
fn a_chord_of_which_a_member_is_revoked_fails_where_nobody_counts() {
    uncounted("revoked_member", assert_revoked_member);
}

#[test]
fn a_chord_of_which_a_member_is_terminated_fails() {
    over_both("terminated_member", |seen| {
        assert_eq!(class(&seen["ends"][0]), CHORD_ERROR, "{seen}");
        assert_eq!(class(&seen["ends"][1]), REVOKED, "{seen}");
    });
}

#[test]
fn a_chord_fails_as_well_when_our_command_revokes_or_terminates_a_member() {
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let stage = beside(&broker, &backend);
    let worker = stage.server(&["worker"]);
    let of = |ids: &Value, name: &str| ids[name].as_str().expect("an id").to_owned();
    for (scene, more) in [("begin", "--terminate"), ("held", "--json")] {
        let ids = ask(scene, &[&broker, &backend]);
        let (body, member) = (of(&ids, "body"), of(&ids, "member"));
        let _ran = stage.run(&["revoke", &member, more]).good();
        let seen = ask("ended", &[&broker, &backend, &body, &member]);
        assert_eq!(class(&seen["ends"][0]), CHORD_ERROR, "{scene}: {seen}");
        assert_eq!(class(&seen["ends"][1]), REVOKED, "{scene}: {seen}");
    }
    assert_eq!(worker.stop().code, Some(0));
}

fn assert_large_group(broker: &str, backend: &str) {
    let seen = play("5.7", "large_group", broker, backend);
    assert_eq!(
        (&seen["direct"], &seen["in_chain"]),
        (&json!(true), &json!(true))
    );
}

#[test]
fn ten_thousand_members_come_back_in_order_whoever_sends_them() {
    let redis = Redis::start();
    assert_large_group(&redis.url(0), &redis.url(1));
}

#[test]
fn ten_thousand_members_come_back_in_order_through_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_large_group(&rabbit.url(), &redis.url(1));
}

fn assert_large_chord(broker: &str, backend: &str) {
    let seen = play("5.7", "large_chord", broker, backend);
    assert_eq!(seen["total"], 50_005_000);
}

#[test]
fn ten_thousand_members_of_a_chord_are_brought_together() {
    let redis = Redis::start();
    assert_large_chord(&redis.url(0), &redis.url(1));
}

#[test]
fn ten_thousand_members_of_a_chord_are_brought_together_through_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_large_chord(&rabbit.url(), &redis.url(1));
}

fn assert_options(seen: &Value) {
    for name in [
        "countdown",
        "infinite",
        "link",
        "link_error",
        "list",
        "text",
        "priority",
        "queue",
        "eta",
        "expires",
        "headers",
        "stamped",
        "id",
        "args",
        "kwargs",
        "task",
        "type",
        "immutable",
    ] {
        // The options of a link are its own trouble, not of what it follows.
        let told = seen[name].as_array().and_then(|told| told.last());
        let told = told.unwrap_or(&Value::Null);
        match name {
            "id" | "link_error" => assert_eq!(*told, json!(["returned", "v"]), "{name}"),
            _ => assert_eq!(class(told), SIGNATURE, "{name}: {told}"),
        }
    }
    assert_eq!(class(&seen["time_limit"][1]), DECODE, "{seen}");
    assert_eq!(seen["retry_policy"][1], json!(["returned", "v"]));
}

#[test]
fn options_of_a_wrong_type_fail_the_task_whose_next_cannot_be_sent() {
    over_both("options", assert_options);
}

fn assert_embeds(seen: &Value) {
    for (name, expected) in [
        ("callbacks", SIGNATURE),
        ("callbacks text", SIGNATURE),
        ("callbacks list", SIGNATURE),
        ("twice", SIGNATURE),
        ("chain", SIGNATURE),
        ("chain numbers", SIGNATURE),
        ("list", DECODE),
        ("number", DECODE),
        ("group_index", DECODE),
        ("group", DECODE),
    ] {
        assert_eq!(class(&seen[name]), expected, "{name}: {}", seen[name]);
    }
    for name in [
        "errbacks",
        "chord",
        "chord in a group",
        "chord without id",
        "null",
        "stamps",
        "stamps numbers",
        "stamps without names",
        "names without stamps",
    ] {
        assert_eq!(seen[name], json!(["returned", "v"]), "{name}");
    }
}

#[test]
fn third_parts_of_a_body_of_wrong_types_are_told_to_their_callers() {
    over_both("embeds", assert_embeds);
}

fn assert_bodies(seen: &Value) {
    assert_eq!(seen["after"], json!(["returned", 3]), "{seen}");
}

#[test]
fn the_body_of_a_chord_needs_no_id() {
    over_both("bodies", assert_bodies);
}

fn assert_deep(seen: &Value) {
    for shape in ["group", "chain", "chord"] {
        for levels in [100, 10_000] {
            for place in ["", " callback"] {
                let told = &seen[format!("{shape} {levels}{place}")];
                assert_eq!(class(told), SIGNATURE, "{shape} {levels}: {told}");
            }
            let failed = &seen[format!("{shape} {levels} failed")];
            assert_eq!(*failed, "celery.exceptions.NotRegistered");
        }
    }
    for name in ["links", "last link"] {
        assert_eq!(seen[name], json!(["returned", "v"]), "{name}");
    }
    assert_eq!(class(&seen["lists"]), SIGNATURE, "{}", seen["lists"]);
    assert_eq!(seen["unclosed"], DECODE);
}

#[test]
fn canvases_nested_without_end_are_refused_and_harm_nobody() {
    let redis = Redis::start();
    assert_deep(&play("5.7", "deep", &redis.url(0), &redis.url(1)));
}

#[test]
fn canvases_nested_without_end_are_refused_through_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_deep(&play("5.7", "deep", &rabbit.url(), &redis.url(1)));
}

/// Sends pickles that call, to workers that accept pickles and to such that do not.
fn assert_pickles(broker: &str, backend: &str) {
    for accept in ["json", "json,pickle"] {
        let stage = beside(broker, backend).with("accept_content", accept);
        let worker = stage.server(&["worker"]);
        let file = stage.path("opened");
        let file = file.display().to_string();
        let seen = ask("pickles", &[broker, backend, &file]);
        assert_eq!(seen["ran"], false, "{seen}");
        for (name, told) in seen.as_object().expect("an object") {
            if told.is_array() && name != "good" {
                assert!(
                    class(told).starts_with("kombu.exceptions.")
                        || class(told) == "builtins.TypeError",
                    "{name}: {told}"
                );
            }
        }
        let is_read = class(&seen["good"]) == "returned";
        assert_eq!(is_read, accept != "json", "{seen}");
        assert_well(&seen, worker);
    }
}

#[test]
fn a_pickle_that_calls_a_function_is_not_run_whether_pickles_are_accepted_or_not() {
    let redis = Redis::start();
    assert_pickles(&redis.url(0), &redis.url(1));
}

#[test]
fn a_pickle_that_calls_a_function_is_not_run_through_rabbitmq_either() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_pickles(&rabbit.url(), &redis.url(1));
}

#[test]
fn a_body_that_expands_without_end_is_refused_in_each_compression() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let (ours, theirs, backend) = (redis.url(0), rabbit.url(), redis.url(1));
    let stages = [&ours, &theirs].map(|broker| beside(broker, &backend));
    let workers = stages.each_ref().map(|stage| stage.server(&["worker"]));
    // Made once: it takes the client longer than the workers.
    let arguments = ["bombs", &ours, &backend, &theirs];
    let seen = celery::python("5.7-formats").run("bad_canvas.py", &arguments);
    let told: Vec<_> = seen.as_object().expect("an object").iter().collect();
    assert_eq!(told.len(), 11, "{seen}");
    for (name, told) in told.into_iter().filter(|(name, _)| *name != "alive") {
        assert!(
            words(told).contains("expands to more than"),
            "{name}: {told}"
        );
    }
    for worker in workers {
        assert_well(&seen, worker);
    }
}

fn assert_control(broker: &str, backend: &str) {
    let stage = beside(broker, backend);
    let worker = stage.server(&["worker"]);
    let seen = ask("control", &[broker, backend]);
    assert_eq!(
        seen["unknown"],
        json!({"error": "KeyError('no_such_method')"})
    );
    let told = seen["arguments"]["error"].as_str().unwrap_or_default();
    assert!(told.contains("'task_id'"), "{seen}");
    // It is as true as in Python.
    let told = seen["terminate"]["ok"].as_str().unwrap_or_default();
    assert!(told.starts_with("terminate: "), "{seen}");
    assert_eq!(seen["ping"], json!({"ok": "pong"}), "{seen}");
    assert_well(&seen, worker);
}

#[test]
fn orders_that_nobody_can_carry_out_are_passed_over_by_redis() {
    let redis = Redis::start();
    assert_control(&redis.url(0), &redis.url(1));
}

#[test]
fn orders_that_nobody_can_carry_out_are_passed_over_by_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    assert_control(&rabbit.url(), &redis.url(1));
}
