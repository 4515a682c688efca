//! Where what is published goes: exchanges, routes, zones, and a broker that is away.

use crate::{celery, stage, success};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use support::{Rabbit, Redis, Stage, free_port};

/// The queue `pictures` as the Python side declares it.
const PICTURES: &str = "[queues.pictures]
exchange = \"media\"
exchange_type = \"topic\"
routing_key = \"media.#\"
max_priority = 9

[queues.orders]
quorum = true
";

/// A stage with a file of configuration.
fn stage_with(broker: &str, backend: &str, file: &str) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    stage.write("celeriac.toml", file);
    stage.push("text");
    stage
}

fn ask(what: &str, broker: &str, backend: &str) -> Value {
    celery::python("5.7").run("routing.py", &[what, broker, backend])
}

#[test]
fn what_celery_publishes_to_a_topic_reaches_a_queue_in_redis() {
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let stage = stage_with(&broker, &backend, PICTURES);
    let _worker = stage.server(&["worker", "-Q", "pictures"]);
    assert_eq!(ask("exchange", &broker, &backend)["words"], 3);
    assert_eq!(ask("queue", &broker, &backend)["words"], 3);
    for table in ["_kombu.binding.media", "_kombu.binding_permanent.media"] {
        // Ours and that of Celery are one and the same entry.
        assert_eq!(redis.cli(0, &["SCARD", table]), "1", "{table}");
    }
    // Nothing is bound that nobody described, or that is not taken from.
    assert_eq!(redis.cli(0, &["KEYS", "_kombu.binding.orders"]), "");
}

#[test]
fn what_celery_publishes_to_a_topic_reaches_a_queue_in_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let (broker, backend) = (rabbit.url(), redis.url(1));
    let stage = stage_with(&broker, &backend, PICTURES);
    let _worker = stage.server(&["worker", "-Q", "pictures,orders"]);
    assert_eq!(ask("exchange", &broker, &backend)["words"], 3);
    assert_eq!(ask("queue", &broker, &backend)["words"], 3);
    let pictures = rabbit.queue("pictures");
    assert_eq!(pictures["arguments"], json!({"x-max-priority": 9}));
    assert_eq!(rabbit.queue("orders")["type"], "quorum");
    // What we publish goes to the queue itself, and so does a delayed message.
    let id = stage.send("text.word_count", &["-a", r#"["a b"]"#, "-Q", "pictures"]);
    assert_eq!(*success(&stage.ended(&id)), 2);
    let later = ["-a", r#"["a b"]"#, "-Q", "orders", "--countdown", "1"];
    let id = stage.send("text.word_count", &later);
    assert_eq!(*success(&stage.ended(&id)), 2);
}

#[test]
fn what_is_published_once_a_worker_is_ready_finds_its_queues() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let names: Vec<String> = (0..20).map(|number| format!("pictures{number}")).collect();
    let sections = names.iter().map(|name| {
        format!("[queues.{name}]\nexchange = \"media\"\nexchange_type = \"topic\"\nrouting_key = \"{name}.#\"\n")
    });
    let file: String = sections.collect();
    let stage = stage_with(&rabbit.url(), &redis.url(1), &file);
    let _worker = stage.server(&["worker", "-Q", &names.join(",")]);
    let path = format!("/api/exchanges/{}/media/publish", rabbit.vhost());
    let message = json!({
        "properties": {},
        "routing_key": "pictures19.new",
        "payload": "",
        "payload_encoding": "string",
    });
    let (status, answer) = rabbit.http("POST", &path, &message);
    assert_eq!((status, answer.as_str()), (200, r#"{"routed":true}"#));
}

#[test]
fn a_queue_or_an_exchange_that_is_there_is_used_as_it_is() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let backend = redis.url(1);
    // The exchange is of another type, one queue of other arguments.
    let path = format!("/api/exchanges/{}/media", rabbit.vhost());
    let fanout = json!({"type": "fanout", "durable": true});
    assert!(rabbit.http("PUT", &path, &fanout).0 < 300);
    rabbit.declare("orders", &json!({"x-max-length": 7}));
    let stage = stage_with(&rabbit.url(), &backend, PICTURES);
    let worker = stage.server(&["worker", "-Q", "pictures,orders"]);
    for queue in ["pictures", "orders"] {
        let id = stage.send("text.word_count", &["-a", r#"["a b"]"#, "-Q", queue]);
        assert_eq!(*success(&stage.ended(&id)), 2);
    }
    assert_eq!(
        rabbit.queue("orders")["arguments"],
        json!({"x-max-length": 7})
    );
    let (_, exchange) = rabbit.http("GET", &path, &Value::Null);
    assert!(exchange.contains("\"type\":\"fanout\""), "{exchange}");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_route_sends_a_call_to_a_queue_that_a_worker_takes() {
    let stage = stage();
    stage.write(
        "celeriac.toml",
        "[routes]\n\"text.*\" = \"heavy\"\n\"text.echo\" = \"light\"\n",
    );
    stage.push("text");
    let _worker = stage.server(&["worker", "-Q", "heavy"]);
    let queue = |more: &[&str]| {
        let command = [&["call"], more].concat();
        stage.json(&command)["queue"].clone()
    };
    assert_eq!(
        *success(&stage.call("text.word_count", r#"["a b"]"#)),
        2,
        "by the beginning of its name"
    );
    assert_eq!(queue(&["text.word_count", "-a", r#"["a"]"#]), "heavy");
    assert_eq!(queue(&["text.echo", "-a", "[1]"]), "light");
    assert_eq!(queue(&["text.echo", "-a", "[1]", "-Q", "mine"]), "mine");
    assert_eq!(queue(&["other.task"]), "celery");
    let queues = stage.json(&["queues", "light"]);
    assert_eq!(queues["queues"][0]["ready"], 1, "{queues}");
}

#[test]
fn a_moment_without_an_offset_is_of_the_zone_that_is_configured() {
    let redis = Redis::start();
    let (broker, backend) = (redis.url(0), redis.url(1));
    let stage = stage_with(&broker, &backend, "timezone = \"Asia/Tokyo\"\n");
    let _worker = stage.server(&["worker"]);
    // In UTC it would be due in nine hours.
    let seen = ask("naive", &broker, &backend);
    assert_eq!(seen, json!({"words": 3, "held": true}));
}

#[test]
fn a_call_is_tried_again_as_often_as_is_allowed_and_says_so() {
    let stage = stage()
        .with("broker", "redis://127.0.0.1:1/0")
        .with("publish.max_retries", "2")
        .with("publish.interval_step", "10ms");
    let ran = stage.run(&["call", "text.word_count"]);
    ran.refused(
        4,
        &[
            "trying again at once (1 of 2)",
            "trying again in 10 ms (2 of 2)",
            "broker redis is unavailable",
        ],
    );
    assert_eq!(ran.err.matches("trying again").count(), 2, "{ran}");
    let once = stage.with("publish.max_retries", "0");
    let ran = once.run(&["call", "text.word_count"]);
    assert!(!ran.err.contains("trying again"), "{ran}");
}

#[test]
fn a_call_succeeds_when_the_broker_comes_back_meanwhile() {
    let port = free_port();
    let stage = stage()
        .with("broker", &format!("redis://127.0.0.1:{port}/0"))
        .with("publish.max_retries", "1000")
        .with("publish.interval_step", "50ms")
        .with("publish.interval_max", "100ms");
    let mut calling = stage
        .command(&["call", "text.word_count"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let notes = calling.stderr.take().expect("it has a standard error");
    let mut notes = BufReader::new(notes).lines();
    let first = notes.next().expect("a note").expect("text");
    assert!(first.contains("trying again"), "{first}");
    let redis = Redis::start_on(port);
    // It must not wait for us to read.
    let rest = notes.map_while(Result::ok).count();
    assert!(
        calling.wait().expect("it ends").success(),
        "after {rest} notes"
    );
    assert_eq!(redis.cli(0, &["LLEN", "celery"]), "1");
}
