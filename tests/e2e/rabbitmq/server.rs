//! A RabbitMQ server that comes late, goes away, or speaks TLS.

use crate::{stage, success};
use std::net::SocketAddr;
use support::certificates::Certificates;
use support::rabbitmq::RabbitServer;
use support::{Proxy, Rabbit, Redis, Stage, free_port, http, until};

fn beside(broker: &str, redis: &Redis) -> Stage {
    let stage = stage()
        .with("broker", broker)
        .with("result_backend", &redis.url(1))
        .with("worker.lease", "2s")
        .with("worker.consumer_timeout", "2h");
    stage.push("text");
    stage.push("report");
    stage
}

#[test]
fn a_worker_waits_for_a_server_that_is_not_there_yet() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let port = free_port();
    let health = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let stage =
        beside(&rabbit.url_through(port), &redis).with("worker.listen", &health.to_string());
    std::thread::scope(|scope| {
        // It is up when it has its broker.
        let starting = scope.spawn(|| stage.server(&["worker"]));
        until("it waits", || {
            let answer = http::get(health, "/health/ready").ok()?;
            (answer.0 == 503).then_some(())
        });
        let _way = Proxy::on(port, rabbit.port());
        let _worker = starting.join().expect("the worker is up");
        assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    });
}

#[test]
fn a_server_that_dies_and_comes_back_has_lost_nothing() {
    let (mut server, redis) = (RabbitServer::start(), Redis::start());
    let stage = beside(&server.url(), &redis);
    let worker = stage.server(&["worker", "-c", "1"]);
    let running = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    let parked = stage.send(
        "text.word_count",
        &["-a", r#"["a b c"]"#, "--countdown", "3s"],
    );
    let waiting = stage.send("text.word_count", &["-a", r#"["a b"]"#]);
    until("PROGRESS", || {
        (stage.stored(&running)["state"] == "PROGRESS").then_some(())
    });
    server.kill();
    let health = || worker.get("/health/ready").map(|(status, _)| status);
    until("red", || (health() == Some(503)).then_some(()));
    server.restart();
    until("green", || (health() == Some(200)).then_some(()));
    assert_eq!(success(&stage.ended(&running))["pages"], 20);
    assert_eq!(*success(&stage.ended(&waiting)), 2);
    assert_eq!(*success(&stage.ended(&parked)), 3);
}

#[test]
fn a_queue_that_somebody_deleted_is_declared_again() {
    let (rabbit, redis) = (Rabbit::start(), Redis::start());
    let stage = beside(&rabbit.url(), &redis);
    let _worker = stage.server(&["worker"]);
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    rabbit.delete("celery");
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b c"]"#)), 3);
}

#[test]
fn a_server_with_tls_knows_us_by_our_certificate_and_we_know_it_by_its_authority() {
    let (server, redis) = (RabbitServer::with_tls(Certificates::new()), Redis::start());
    let authority = ("cacertfile", "ca.pem");
    let ours = [
        authority,
        ("certfile", "client.pem"),
        ("keyfile", "client.key"),
    ];
    let stage = beside(&server.tls_url(&ours), &redis);
    let _worker = stage.server(&["worker"]);
    assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
    let without = |options: &[(&str, &str)]| stage_of(&server.tls_url(options));
    for options in [&ours[1..], &ours[..1]] {
        let ran = without(options).run(&["call", "text.word_count", "-a", r#"["a"]"#]);
        ran.refused(2, &["broker rabbitmq cannot be used", "certificate"]);
    }
}

fn stage_of(broker: &str) -> Stage {
    stage().with("broker", broker)
}
