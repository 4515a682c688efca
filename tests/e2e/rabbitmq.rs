//! Real Celery clients and workers beside ours, over a real RabbitMQ.

mod server;

use crate::{celery, failure, stage, success};
use serde_json::{Value, json};
use support::{Proxy, Rabbit, Redis, Stage, until};

/// Longer than any task of the tests may take.
const CONSUMER_TIMEOUT: (&str, &str) = ("worker.consumer_timeout", "2h");

/// A stage whose messages are in RabbitMQ and whose results go where `results` says.
fn beside(broker: &str, results: &str) -> Stage {
    let (key, value) = CONSUMER_TIMEOUT;
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", results)
        .with(key, value);
    for module in ["text", "flaky", "report"] {
        stage.push(module);
    }
    stage
}

fn ask(release: &str, what: &str, broker: &str, backend: &str) -> Value {
    celery::python(release).run("client.py", &[what, broker, backend])
}

#[test]
fn a_client_of_celery_gets_everything_through_rabbitmq_with_results_in_redis() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = beside(&rabbit.url(), &redis.url(1));
    let worker = stage.server(&["worker"]);
    let seen = ask("5.7", "everything", &rabbit.url(), &redis.url(1));
    celery::assert_everything("5.7", &seen);
    assert_eq!(worker.stop().code, Some(0));
    until("nothing is left", || {
        let queue = rabbit.queue("celery");
        (queue["messages"] == 0 && queue["consumers"] == 0).then_some(())
    });
}

#[test]
fn a_client_of_celery_gets_everything_as_a_reply() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url(), "rpc://");
    let _worker = stage.server(&["worker"]);
    let seen = ask("5.7", "everything", &rabbit.url(), "rpc://");
    celery::assert_everything("5.7", &seen);
}

#[test]
fn replies_go_through_redis_too() {
    let redis = Redis::start();
    let stage = beside(&redis.url(0), "rpc://");
    let _worker = stage.server(&["worker"]);
    let seen = ask("5.7", "everything", &redis.url(0), "rpc://");
    celery::assert_everything("5.7", &seen);
}

#[test]
fn the_oldest_client_that_is_supported_is_answered_through_rabbitmq() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url(), "rpc://");
    let _worker = stage.server(&["worker"]);
    let seen = ask("5.4", "everything", &rabbit.url(), "rpc://");
    celery::assert_everything("5.4", &seen);
}

#[test]
fn a_task_whose_worker_is_killed_runs_again_from_rabbitmq() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = beside(&rabbit.url(), &redis.url(1)).with("worker.lease", "2s");
    let first = stage.server(&["worker", "-n", "first@%h"]);
    let id = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    until("PROGRESS", || {
        (stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    first.kill();
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(ended["deliveries"], 2, "{ended}");
}

#[test]
fn a_queue_that_was_declared_otherwise_is_used_as_it_is() {
    let rabbit = Rabbit::start();
    rabbit.declare(
        "celery",
        &json!({"x-queue-type": "quorum", "x-max-length": 5_000}),
    );
    let stage = beside(&rabbit.url(), "rpc://");
    let _worker = stage.server(&["worker"]);
    let seen = ask("5.7", "quorum", &rabbit.url(), "rpc://");
    assert_eq!(seen["words"], 6, "{seen}");
    assert_eq!(seen["retry"], "succeeded after 2 retries", "{seen}");
    assert_eq!(rabbit.queue("celery")["type"], "quorum");
}

#[test]
fn a_python_worker_and_ours_share_a_server() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = beside(&rabbit.url(), &redis.url(1));
    let _ours = stage.server(&["worker", "-Q", "celery"]);
    let _python = celery::python("5.7").worker(&rabbit.url(), &redis.url(1), "py");
    let theirs = stage.send("py.nap", &["-a", "[1]", "-Q", "py"]);
    let ours = stage.send("report.nap", &["-a", "[1000]"]);
    assert_eq!(*success(&stage.ended(&theirs)), "from Python");
    assert_eq!(*success(&stage.ended(&ours)), 1000);
}

#[test]
fn a_connection_that_is_cut_comes_back_and_nothing_is_lost() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let proxy = Proxy::to(rabbit.port());
    let stage = beside(&rabbit.url_through(proxy.port()), &redis.url(1)).with("worker.lease", "2s");
    let worker = stage.server(&["worker"]);
    let id = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    until("PROGRESS", || {
        (stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    proxy.cut();
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(
        ended["deliveries"], 2,
        "its lease went with the connection: {ended}"
    );
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_server_that_does_not_answer_turns_health_red_and_work_goes_on_by_itself() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let proxy = Proxy::to(rabbit.port());
    let stage = beside(&rabbit.url_through(proxy.port()), &redis.url(1));
    let worker = stage.server(&["worker"]);
    let health = || worker.get("/health/ready").map(|(status, _)| status);
    until("green", || (health() == Some(200)).then_some(()));
    proxy.stop();
    until("red", || (health() == Some(503)).then_some(()));
    proxy.go_on();
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    until("green", || (health() == Some(200)).then_some(()));
}

#[test]
fn a_wrong_password_or_virtual_host_fails_the_start_and_is_not_shown() {
    let rabbit = Rabbit::start();
    let wrong = rabbit.url().replace("guest:guest", "guest:wr0ng");
    let ran = stage().with("broker", &wrong).run(&["worker"]);
    ran.refused(2, &["broker rabbitmq cannot be used", "password"]);
    assert!(!ran.err.contains("wr0ng"), "{ran}");
    let nowhere = format!("{}-not", rabbit.url());
    let ran = stage().with("broker", &nowhere).run(&["worker"]);
    ran.refused(2, &["broker rabbitmq cannot be used", "virtual host"]);
}

#[test]
fn a_task_that_may_outlast_the_servers_patience_is_refused() {
    let rabbit = Rabbit::start();
    let stage = stage()
        .with("broker", &rabbit.url())
        .with("result_backend", "rpc://")
        .with("worker.consumer_timeout", "5m");
    // `text` asks for no time limit, so it has the default of five minutes.
    stage.push("text");
    stage.run(&["worker"]).refused(
        2,
        &[
            "module text",
            "takes its message back after 300 s",
            "consumer_timeout",
        ],
    );
}

#[test]
fn a_caller_that_is_gone_is_nobodys_trouble() {
    let rabbit = Rabbit::start();
    let stage = beside(&rabbit.url(), "rpc://");
    let worker = stage.server(&["worker"]);
    let seen = ask("5.7", "gone", &rabbit.url(), "rpc://");
    assert_eq!(seen["words"], 6, "{seen}");
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn headers_that_would_break_a_reader_are_dead_letters_and_the_worker_goes_on() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = beside(&rabbit.url(), &redis.url(1));
    let worker = stage.server(&["worker"]);
    let sent = celery::python("5.7").run("hostile_headers.py", &[&rabbit.url()]);
    until("all are dead", || {
        let queues = stage.json(&["queues", "celery"]);
        (queues["queues"][0]["dead"] == sent["sent"]).then_some(())
    });
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn what_is_no_message_is_a_dead_letter_and_the_worker_goes_on() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = beside(&rabbit.url(), &redis.url(1));
    let _worker = stage.server(&["worker"]);
    let seen = ask("5.7", "nonsense", &rabbit.url(), &redis.url(1));
    assert_eq!(seen["sent"], 5, "{seen}");
    until("all are dead", || {
        (stage.json(&["queues", "celery"])["queues"][0]["dead"] == 5).then_some(())
    });
    failure(&stage.ended("shape"), "kombu.exceptions.DecodeError");
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
}
