//! Nothing of one tenant is where another looks.

use super::{ended, push, send};
use crate::{failure, stage, success};
use serde_json::Value;
use support::{Rabbit, Redis, Stage, until};

/// What `acme` may do and `default` may not.
const GRANTS: &str = "[tenants.acme.grants.odd]\nsubmit = [\"odd.*\"]\nkey_value = \"1MiB\"\n";

/// A stage where `acme` has the same module as `default`, and grants and a ceiling of its own.
fn both(stage: Stage, broker: &str, results: &str, more: &str) -> Stage {
    let text = format!(
        "[tenants.acme]\nbroker = \"{broker}\"\nresult_backend = \"{results}\"\n{more}\n{GRANTS}"
    );
    stage.write("celeriac.toml", text);
    for name in ["odd", "report"] {
        stage.push(name);
    }
    push(&stage, "odd");
    stage
}

/// Sends what sends others, keeps something and looks for what is not there; returns the ids
/// of all tasks of `acme`.
fn work(stage: &Stage) -> Vec<String> {
    let parent = send(stage, "odd.sends", r#"["odd.told", 2, "now", "ok"]"#);
    let sent = ended(stage, &parent);
    let children = success(&sent).as_array().expect("a list").clone();
    let mut ids: Vec<String> = children
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    assert_eq!(ids.len(), 2, "{sent}");
    for child in &ids {
        success(&ended(stage, child));
    }
    ids.push(parent);
    let kept = send(stage, "odd.keeps", r#"["colour", "green"]"#);
    assert_eq!(*success(&ended(stage, &kept)), Value::Null);
    // The grants of one are not the other's, whatever their modules are called.
    let denied = stage.call("odd.keeps", r#"["colour", "red"]"#);
    assert_eq!(denied["state"], "FAILURE", "{denied}");
    let denied = stage.call("odd.sends", r#"["odd.told", 1, "now", "ok"]"#);
    assert_eq!(denied["state"], "FAILURE", "{denied}");
    // Nor are modules.
    let unknown = send(stage, "report.build", "[1]");
    let unknown = ended(stage, &unknown);
    let words = failure(&unknown, "celery.exceptions.NotRegistered");
    assert!(!words.contains("default"), "{words}");
    ids.push(kept);
    for id in &ids {
        let asked = stage.stored(id);
        assert_eq!(asked["state"], "PENDING", "{asked}");
    }
    ids
}

#[test]
fn two_prefixes_of_one_redis_with_users_of_their_own_share_nothing() {
    let redis = Redis::start();
    let user = [
        "ACL",
        "SETUSER",
        "acme",
        "on",
        ">hunter2",
        "~celeriac:acme:*",
        "&celeriac:acme:*",
        "+@all",
        "-@admin",
    ];
    assert_eq!(redis.cli(0, &user), "OK");
    let url = format!("redis://acme:hunter2@127.0.0.1:{}/0", redis.port());
    let own = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &redis.url(0));
    let stage = both(own, &url, &url, "");
    let _worker = stage.server(&["worker"]);
    let ids = work(&stage);
    let keys = redis.cli(0, &["KEYS", "*"]);
    let (theirs, ours): (Vec<&str>, Vec<&str>) = keys
        .lines()
        .partition(|key| key.starts_with("celeriac:acme:"));
    for id in &ids {
        assert!(
            theirs.iter().any(|key| key.contains(id.as_str())),
            "{theirs:?}"
        );
        assert!(
            !ours.iter().any(|key| key.contains(id.as_str())),
            "{ours:?}"
        );
    }
    assert!(theirs.iter().any(|key| key.contains("shelf")), "{theirs:?}");
}

#[test]
fn two_virtual_hosts_of_rabbitmq_share_nothing() {
    let (own, other) = (Rabbit::start(), Rabbit::start());
    let results = stage().path("results").display().to_string();
    let stage = stage()
        .with("broker", &own.url())
        .with("result_backend", "sqlite://results")
        .with("worker.consumer_timeout", "2h");
    let stage = both(stage, &other.url(), &format!("sqlite://{results}"), "");
    let _worker = stage.server(&["worker"]);
    work(&stage);
    for rabbit in [&own, &other] {
        until("nothing is left", || {
            (rabbit.queue("celery")["messages"] == 0).then_some(())
        });
    }
}

#[test]
fn the_ceiling_of_one_is_not_the_others_and_two_in_one_place_are_refused() {
    let stage = stage();
    stage.write(
        "celeriac.toml",
        "[tenants.acme]\nwall = \"200ms\"\n[tenants.other]\n",
    );
    stage.push("odd");
    push(&stage, "odd");
    let _worker = stage.server(&["worker"]);
    let long = send(&stage, "odd.waits", "[60000]");
    let words = ended(&stage, &long);
    let words = failure(&words, "billiard.exceptions.TimeLimitExceeded");
    assert!(words.contains("200 ms"), "{words}");
    success(&stage.call("odd.waits", "[400]"));

    let text = "[tenants.acme]\nbroker = \"redis://h/1\"\nprefix = \"a:\"\n\
        [tenants.other]\nbroker = \"redis://other:pw@h/1\"\nprefix = \"a:\"\n";
    stage.write("celeriac.toml", text);
    let told = ["tenants.other.broker", "tenant acme", "prefix in Redis"];
    stage.run(&["config", "check"]).refused(2, &told);
    let listed = acme_is_unknown(&stage);
    assert!(listed.contains("[tenants.acme]"), "{listed}");
}

/// Returns what is said of a tenant that is not there.
fn acme_is_unknown(stage: &Stage) -> String {
    stage.write("celeriac.toml", "");
    let ran = stage.run(&["call", "odd.waits", "-a", "[1]", "-T", "acme"]);
    assert_eq!(ran.code, 2, "{ran}");
    ran.to_string()
}
