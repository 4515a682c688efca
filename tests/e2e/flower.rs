//! Flower, the monitor that most people watch Celery with, in front of ours.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::{Redis, free_port, http, until};

const NODE: &str = "w1@example";

#[test]
fn flower_shows_our_worker_and_its_tasks_and_controls_it() {
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let stage = stage()
        .with("broker", &broker)
        .with("result_backend", &backend);
    stage.push("text");
    let _worker = stage.server(&["worker", "-E", "-n", NODE]);
    let port = free_port();
    let port_flag = format!("--port={port}");
    let arguments = ["-A", "app", "flower", "--address=127.0.0.1", &port_flag];
    let _flower = celery::python("5.7").celery(&arguments, &broker, &backend);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let api = |path: &str| {
        let (status, body) = http::get(address, path).ok()?;
        (status == 200).then(|| serde_json::from_str::<Value>(&body).ok())?
    };

    let worker = until("the worker is in Flower", || {
        let workers = api("/api/workers?refresh=1")?;
        let worker = workers.get(NODE)?.clone();
        worker.get("registered").is_some().then_some(worker)
    });
    assert!(
        worker["registered"]
            .as_array()
            .is_some_and(|names| names.contains(&json!("text.word_count")))
    );
    assert_eq!(worker["active_queues"][0]["name"], "celery");
    let alive = until("heartbeats", || {
        api("/api/workers?status=1").filter(|alive| alive[NODE] == true)
    });
    assert_eq!(alive, json!({NODE: true}));

    let id = stage.send("text.word_count", &["-a", r#"["a b"]"#]);
    let task = until("the task is in Flower", || {
        let tasks = api("/api/tasks")?;
        let task = tasks.get(&id)?.clone();
        (task["state"] == "SUCCESS").then_some(task)
    });
    assert_eq!(
        (&task["worker"], &task["result"]),
        (&json!(NODE), &json!("2"))
    );

    for page in ["/workers", "/worker/w1@example", "/tasks", "/broker"] {
        let (status, body) = http::get(address, page).expect("a page");
        assert_eq!(status, 200, "{page}");
        assert!(body.contains("Flower"), "{page}");
    }
    let (status, body) = http::get(address, &format!("/task/{id}")).expect("a page");
    assert!(status == 200 && body.contains("text.word_count"));

    let grow = format!("/api/worker/pool/grow/{NODE}?n=2");
    let (status, said) = http::send(address, "POST", &grow, "", "").expect("an answer");
    assert_eq!(status, 200, "{said}");
    let stats = stage.json(&["inspect", "stats", "-d", NODE, "-t", "20"]);
    assert_eq!(stats["workers"][NODE]["pool"]["max-concurrency"], 66);
}
