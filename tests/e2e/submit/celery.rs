//! What clients and workers of Celery see of tasks that tasks send.

use crate::{celery, stage};
use serde_json::json;
use support::{Rabbit, Redis};

const FILE: &str = r#"[grants.odd]
submit = ["odd.*", "py.*", "numbers.*"]
[grants.shop]
submit = ["shop.*"]
[routes]
"py.*" = "py"
"#;

/// Runs all scenes of the client, of one release, over one broker.
pub(crate) fn scenes(release: &str, broker: &str, backend: &str) {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend);
    stage.write("celeriac.toml", FILE);
    for module in ["odd", "shop", "numbers", "text"] {
        stage.push(module);
    }
    let worker = stage.server(&["worker", "-Q", "celery,side"]);
    let python = celery::python(release);
    let _theirs = python.worker(broker, backend, "py");
    let seen = python.run("submitted.py", &[broker, backend]);
    let children = &seen["children"];
    assert_eq!(children["same"], true, "{seen}");
    assert_eq!(children["parents"], true, "{seen}");
    assert_eq!(children["collected"], 4, "{seen}");
    assert_eq!(seen["python"]["said"], "from Python", "{seen}");
    assert_eq!(seen["replaced"]["same"], true, "{seen}");
    assert_eq!(
        seen["divided"],
        json!({
            "chain": 36, "group": [6, 7], "chord": 13,
            "chain in a chain": 36, "group in a chain": [6, 7], "chord in a chain": 13,
            "header": [36, [6, 7], 13],
        })
    );
    assert_eq!(
        seen["composed"],
        json!({
            "news": "order 17: tea, cup, pot",
            "job": [true, "side", 0, "7", 7],
        })
    );
    assert_eq!(
        seen["grouped"],
        json!({"same": true, "members": [0, 1, 2], "collected": 5})
    );
    let said = seen["denied"]["said"].as_str().expect("a text");
    let line = r#"[grants."odd"] submit = ["numbers.*", "odd.*", "py.*", "text.word_count"]"#;
    assert!(said.contains(line), "{said}");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_client_of_celery_sees_the_children_of_a_task_over_redis() {
    let redis = Redis::start();
    scenes("5.7", &redis.url(0), &redis.url(1));
}

#[test]
fn the_oldest_client_that_is_supported_sees_them_too() {
    let redis = Redis::start();
    scenes("5.4", &redis.url(0), &redis.url(1));
}

#[test]
fn a_client_of_celery_sees_the_children_of_a_task_over_rabbitmq() {
    let rabbit = Rabbit::start();
    let redis = Redis::start();
    for release in ["5.7", "5.4"] {
        scenes(release, &rabbit.url(), &redis.url(1));
    }
}
