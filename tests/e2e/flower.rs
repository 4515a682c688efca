//! Flower, the monitor that most people watch Celery with, in front of ours.

use crate::{celery, stage};
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::{Rabbit, Redis, Server, Stage, free_port, http, until};

const NODE: &str = "w1@example";

/// Flower, by its programming interface.
struct Flower(SocketAddr);

impl Flower {
    fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = http::get(self.0, path).ok()?;
        (status == 200).then(|| serde_json::from_str(&body).ok())?
    }

    fn page(&self, path: &str, words: &str) {
        let (status, body) = http::get(self.0, path).expect("a page");
        assert_eq!(status, 200, "{path}");
        assert!(body.contains(words), "{path}: {body}");
    }

    /// Presses a button, and returns what Flower says then.
    fn press(&self, path: &str) -> String {
        let path = format!("/api/{path}");
        let (status, said) = http::send(self.0, "POST", &path, "", "").expect("an answer");
        assert_eq!(status, 200, "{path}: {said}");
        said
    }

    fn task(&self, id: &str, state: &str) -> Value {
        until(state, || {
            let task = self.get("/api/tasks")?.get(id)?.clone();
            (task["state"] == state).then_some(task)
        })
    }
}

fn assert_workers(flower: &Flower) {
    let worker = until("the worker is in Flower", || {
        let workers = flower.get("/api/workers?refresh=1")?;
        let worker = workers.get(NODE)?.clone();
        worker.get("registered").is_some().then_some(worker)
    });
    let registered = worker["registered"].as_array().expect("a list");
    assert!(registered.contains(&json!("text.word_count")), "{worker}");
    assert_eq!(worker["active_queues"][0]["name"], "celery");
    let alive = until("heartbeats", || {
        let alive = flower.get("/api/workers?status=1");
        alive.filter(|alive| alive[NODE] == true)
    });
    assert_eq!(alive, json!({NODE: true}));
}

fn assert_tasks(flower: &Flower, stage: &Stage) {
    let id = stage.send("text.word_count", &["-a", r#"["a b"]"#]);
    let task = flower.task(&id, "SUCCESS");
    let shown = (&task["worker"], &task["result"]);
    assert_eq!(shown, (&json!(NODE), &json!("2")));
    for page in ["/workers", "/worker/w1@example", "/tasks", "/broker"] {
        flower.page(page, "Flower");
    }
    flower.page(&format!("/task/{id}"), "text.word_count");
}

fn assert_buttons(flower: &Flower, stage: &Stage, worker: Server) {
    let inspect = |what: &str| {
        let seen = stage.json(&["inspect", what, "-d", NODE, "-t", "20"]);
        seen["workers"][NODE].clone()
    };
    let size = || inspect("stats")["pool"]["max-concurrency"].clone();
    flower.press(&format!("worker/pool/grow/{NODE}?n=2"));
    assert_eq!(size(), 66);
    flower.press(&format!("worker/pool/shrink/{NODE}?n=1"));
    assert_eq!(size(), 65);

    let queues = || inspect("active_queues").as_array().map(Vec::len);
    flower.press(&format!("worker/queue/add-consumer/{NODE}?queue=xq"));
    assert_eq!(queues(), Some(2));
    flower.press(&format!("worker/queue/cancel-consumer/{NODE}?queue=xq"));
    assert_eq!(queues(), Some(1));

    let waits = stage.send("report.nap", &["-a", "[600000]", "--countdown", "3600"]);
    flower.press(&format!("task/revoke/{waits}"));
    assert_eq!(stage.ended(&waits)["state"], "REVOKED");
    let runs = stage.send("report.nap", &["-a", "[600000]"]);
    flower.task(&runs, "STARTED");
    flower.press(&format!("task/revoke/{runs}?terminate=true"));
    assert_eq!(stage.ended(&runs)["state"], "REVOKED");
    flower.task(&runs, "REVOKED");

    flower.press(&format!("worker/shutdown/{NODE}"));
    assert_eq!(worker.ended().code, Some(0));
}

fn shows_and_controls(broker: &str, backend: &str) {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    stage.push("text");
    stage.push("report");
    let worker = stage.server(&["worker", "-E", "-n", NODE]);
    let port = free_port();
    let port_flag = format!("--port={port}");
    let arguments = ["-A", "app", "flower", "--address=127.0.0.1", &port_flag];
    let _flower = celery::python("5.7").celery(&arguments, broker, backend);
    let flower = Flower(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_workers(&flower);
    assert_tasks(&flower, &stage);
    assert_buttons(&flower, &stage, worker);
}

#[test]
fn flower_shows_our_worker_and_its_tasks_and_controls_it_over_redis() {
    let redis = Redis::start();
    shows_and_controls(&redis.url(0), &redis.url(1));
}

#[test]
fn flower_shows_our_worker_and_its_tasks_and_controls_it_over_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    shows_and_controls(&rabbit.url(), &redis.url(1));
}
