//! A tenant with a client of Celery and addresses of its own tries whatever might be another
//! tenant's, on one worker and one broker that serve both.

use super::made::{create, text};
use crate::celery::python;
use crate::stage;
use serde_json::{Value, json};
use support::rabbitmq::RabbitServer;
use support::{Redis, Server, Stage};

/// Two tenants, and the worker of both.
struct Two {
    stage: Stage,
    worker: Server,
    acme: Value,
    other: Value,
}

impl Two {
    /// Serves two tenants as they were set up; `other` alone has the module `report`.
    fn new(acme: Value, other: Value) -> Self {
        let stage = stage().with("worker.consumer_timeout", "2h");
        let mut lines = "[worker]\ntask_events = true\n".to_owned();
        for (tenant, setup) in [("acme", &acme), ("other", &other)] {
            let addresses = ["broker", "result_backend"]
                .map(|key| format!("{key} = {:?}\n", text(setup, &format!("/workers/{key}"))));
            lines.push_str(&format!("[tenants.{tenant}]\n{}", addresses.concat()));
            let grants = format!("[tenants.{tenant}.grants.odd]\nkey_value = \"1MiB\"\n");
            lines.push_str(&grants);
        }
        stage.write("celeriac.toml", lines);
        for (tenant, modules) in [
            ("acme", &["text", "odd"][..]),
            ("other", &["text", "odd", "report"]),
        ] {
            for module in modules {
                stage.push_for(tenant, module);
            }
        }
        let worker = stage.server(&["worker"]);
        Self {
            stage,
            worker,
            acme,
            other,
        }
    }

    /// Plays scenes, and returns what was seen in each.
    fn play(&self, scenes: &[&str]) -> Value {
        let [here, there] = [&self.acme, &self.other].map(|setup| {
            let mut place = setup["clients"].clone();
            place["prefix"] = setup["prefix"].clone();
            place.to_string()
        });
        let arguments = [&[here.as_str(), there.as_str()], scenes].concat();
        python("5.7").run("crossing.py", &arguments)
    }

    /// The worker still serves whoever it is the operator's.
    fn ends_well(self) {
        let Self { stage, worker, .. } = self;
        assert_eq!(
            worker.get("/health/ready").map(|(status, _)| status),
            Some(200)
        );
        stage.push("text");
        assert_eq!(stage.call("text.echo", "[1]")["state"], "SUCCESS");
        assert_eq!(worker.stop().code, Some(0));
    }
}

/// Two tenants of one Redis, set up as an operator does it.
fn on_redis() -> (Redis, Two) {
    let (stage, redis) = (stage(), Redis::start());
    let [acme, other] =
        ["acme", "other"].map(|tenant| create(&stage, tenant, &redis.url(0), &["--apply"]));
    (redis, Two::new(acme, other))
}

/// Two tenants of one RabbitMQ, set up as an operator does it.
fn on_rabbitmq() -> (RabbitServer, Two) {
    let (stage, rabbit) = (stage(), RabbitServer::start());
    let server = format!("amqp://127.0.0.1:{}", rabbit.ports()[0]);
    let [acme, other] = ["acme", "other"].map(|tenant| {
        let setup = create(&stage, tenant, &server, &[]);
        for line in setup["commands"].as_array().expect("commands") {
            rabbit.shell(line.as_str().expect("a line"));
        }
        setup
    });
    (rabbit, Two::new(acme, other))
}

fn assert_names(seen: &Value) {
    let here = &seen["names"]["here"];
    assert_eq!(here[0], "celery.exceptions.NotRegistered", "{seen}");
    let words = here[1].as_str().unwrap_or_default();
    assert!(!words.contains("other"), "{words}");
    assert_eq!(seen["names"]["there"], 1);
}

fn assert_shelves(seen: &Value) {
    let expected = json!({
        "before": [null, null, "green", "red"],
        "cleared": ["colour"],
        "left": "black",
    });
    assert_eq!(seen["shelves"], expected);
}

/// Sees and steers itself alone, and the whole worker not at all.
fn assert_control(seen: &Value) {
    let control = &seen["control"];
    for (what, expected) in [
        ("active", json!(true)),
        ("query", json!(true)),
        ("registered", json!([])),
        ("total", json!(0)),
        ("revoked", json!([false, true])),
        ("queues", json!(["celery"])),
        ("terminated", json!(false)),
        ("meanwhile", json!([0, 1, 2])),
        ("limited", json!("returned")),
        ("own", json!("billiard.exceptions.TimeLimitExceeded")),
        ("at last", json!(8)),
    ] {
        assert_eq!(control[what], expected, "{what}: {control}");
    }
    let refused = control["refused"].as_object().expect("answers");
    assert_eq!(refused.len(), 8);
    for (command, told) in refused {
        let words = told["error"].as_str().unwrap_or_default();
        let expected = format!("{command} is for the operator of this worker");
        assert!(words.starts_with(&expected), "{command}: {told}");
    }
    assert_eq!(seen["events"], json!({"others": [], "forged": []}));
}

#[test]
fn a_tenant_of_redis_reaches_no_task_result_group_queue_or_shelf_of_another() {
    let (redis, two) = on_redis();
    let seen = two.play(&["names", "ids", "groups", "queues", "shelves"]);
    assert_names(&seen);
    let expected = json!({
        "looked": ["PENDING", null],
        "again": "mine",
        "forgotten": "PENDING",
        "theirs": "secret",
        "beside": "mine",
        "runs": ["STAYING", true],
    });
    assert_eq!(seen["ids"], expected);
    // `odd.waits` tells its deliveries and retries.
    let expected = json!({"restored": false, "ended": [1, [1, 0]], "mine": "PENDING"});
    assert_eq!(seen["groups"], expected);
    assert_eq!(seen["queues"], json!({"strays": 0, "here": 7}));
    assert_shelves(&seen);
    let keys = redis.cli(0, &["KEYS", "*"]);
    let strange = |key: &&str| {
        let theirs = ["celeriac:acme:", "celeriac:other:"];
        !theirs.iter().any(|prefix| key.starts_with(prefix)) && !key.is_empty()
    };
    let strange: Vec<&str> = keys.lines().filter(strange).collect();
    assert!(strange.is_empty(), "{strange:?}");
    two.ends_well();
}

#[test]
fn a_tenant_of_redis_hears_and_steers_itself_alone() {
    let (_redis, two) = on_redis();
    assert_control(&two.play(&["control", "events"]));
    two.ends_well();
}

#[test]
fn a_tenant_of_rabbitmq_reaches_no_task_reply_queue_or_shelf_of_another() {
    let (_rabbit, two) = on_rabbitmq();
    let seen = two.play(&["names", "replies", "queues", "shelves"]);
    assert_names(&seen);
    assert_eq!(seen["replies"], json!({"theirs": [1, 0]}));
    assert_eq!(seen["queues"], json!({"strays": 0, "here": 7}));
    assert_shelves(&seen);
    two.ends_well();
}

#[test]
fn a_tenant_of_rabbitmq_hears_and_steers_itself_alone() {
    let (_rabbit, two) = on_rabbitmq();
    assert_control(&two.play(&["control", "events"]));
    two.ends_well();
}
