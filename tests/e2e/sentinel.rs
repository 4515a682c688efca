//! Redis whose master changes: sentinels watch over it, Celery and we ask them.

use crate::celery::python;
use crate::{stage, success};
use serde_json::{Value, json};
use support::sentinel::{MASTER, SENTINEL_PASSWORD, SERVER_PASSWORD};
use support::{Sentinels, Stage, until};

/// Servers, sentinels and a stage whose messages and results are there.
struct Watched {
    redis: Sentinels,
    stage: Stage,
}

impl Watched {
    fn new() -> Self {
        let redis = Sentinels::start();
        let mut stage = stage()
            .with("broker", &redis.url(0))
            .with("result_backend", &redis.url(1))
            .with("worker.lease", "2s");
        for section in ["broker", "result_backend"] {
            let section = format!("{section}_transport_options");
            stage = stage.with(&format!("{section}.master_name"), MASTER).with(
                &format!("{section}.sentinel_kwargs.password"),
                SENTINEL_PASSWORD,
            );
        }
        for module in ["text", "report"] {
            stage.push(module);
        }
        Self { redis, stage }
    }

    /// Lets a client of Celery with the same addresses and options call.
    fn python(&self) -> Value {
        let options = json!({
            "master_name": MASTER,
            "sentinel_kwargs": {"password": SENTINEL_PASSWORD},
        });
        let [broker, results] = [0, 1].map(|database| self.redis.url(database));
        let arguments = ["snippet", &broker, &results, &options.to_string()];
        python("5.7").run("client.py", &arguments)
    }

    fn count(&self, server: usize, command: &str, key: &str) -> u64 {
        let answer = self.redis.cli(server, 0, &[command, key]);
        answer.parse().unwrap_or_else(|_| panic!("{answer}"))
    }

    fn is_master(&self, server: usize) {
        until("it is the master", || {
            (self.redis.master() == Some(server)).then_some(())
        });
    }

    /// Calls until a master takes it; a call of the command line tries once.
    fn call(&self) {
        until("a call works", || {
            let ran = self
                .stage
                .run(&["call", "text.word_count", "-a", r#"["a b"]"#]);
            (ran.code == 0).then_some(())
        });
    }
}

#[test]
fn when_the_master_dies_its_replica_is_served_and_nothing_replicated_is_lost() {
    let mut watched = Watched::new();
    let worker = watched.stage.server(&["worker"]);
    assert_eq!(watched.python()["words"], 6);
    let running = watched
        .stage
        .send("report.build", &["-a", r#"["Sales", 4, 1500]"#]);
    let waiting: Vec<String> = (0..20)
        .map(|_| {
            let arguments = ["-Q", "later", "-a", r#"["a b"]"#];
            watched.stage.send("text.word_count", &arguments)
        })
        .collect();
    until("the replica has them", || {
        let later = watched.count(1, "LLEN", "later");
        let held = watched.count(1, "HLEN", "unacked");
        (later == 20 && held == 1).then_some(())
    });
    watched.redis.kill(0);
    watched.is_master(1);
    watched.call();
    assert_eq!(watched.python()["words"], 6);
    let ended = watched.stage.ended(&running);
    assert_eq!(success(&ended)["pages"], 4);
    // Once more where its lease lapsed while there was no master.
    let later = watched
        .stage
        .server(&["worker", "-Q", "later", "-n", "later@%h"]);
    for id in &waiting {
        assert_eq!(*success(&watched.stage.ended(id)), 2);
    }
    until("all settled", || {
        (watched.count(1, "HLEN", "unacked") == 0).then_some(())
    });
    for worker in [worker, later] {
        let ended = worker.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        for secret in [SERVER_PASSWORD, SENTINEL_PASSWORD] {
            assert!(!ended.log.contains(secret), "{}", ended.log);
        }
    }
}

#[test]
fn a_failover_that_somebody_asked_for_is_followed_by_idle_workers() {
    let watched = Watched::new();
    let worker = watched.stage.server(&["worker"]);
    watched.call();
    watched.redis.fail_over();
    watched.is_master(1);
    watched.call();
    assert_eq!(watched.python()["words"], 6);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_master_that_no_sentinel_knows_fails_the_start() {
    let watched = Watched::new();
    let stage = watched
        .stage
        .with("broker_transport_options.master_name", "other");
    let refused = stage.run(&["worker"]);
    refused.refused(
        2,
        &[
            "broker redis cannot be used",
            "the sentinels know no master of this name",
            "\"other\"",
        ],
    );
    let stage = stage.with("broker_transport_options.master_name", "");
    stage
        .run(&["worker"])
        .refused(2, &["broker_transport_options.master_name", "by its name"]);
    let stage = stage
        .with("broker_transport_options.master_name", MASTER)
        .with("broker_transport_options.sentinel_kwargs.password", "wrong");
    let refused = stage.run(&["worker"]);
    refused.refused(2, &["broker redis cannot be used", "sentinel_kwargs"]);
    assert!(!format!("{refused}").contains(SERVER_PASSWORD), "{refused}");
}
