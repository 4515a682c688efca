//! A Postgres server that is away, goes away, or refuses us.

use crate::{stage, success};
use support::{Certificates, Postgres, Proxy, Redis, Stage, until};

fn beside(redis: &Redis, results: &str) -> Stage {
    let stage = stage()
        .with("broker", &redis.url(0))
        .with("result_backend", &format!("db+{results}"));
    for module in ["text", "report"] {
        stage.push(module);
    }
    stage
}

/// Counts the rows of tasks that succeeded.
fn over(postgres: &Postgres) -> u64 {
    let sql = "SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'";
    postgres.ask(sql).parse().expect("a number")
}

#[test]
fn a_wrong_password_or_database_of_postgres_fails_the_start_and_is_not_shown() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let wrong = postgres.url().replace("s3cret", "wr0ng");
    let ran = beside(&redis, &wrong).run(&["worker"]);
    ran.refused(2, &["result backend database cannot be used", "password"]);
    assert!(!ran.err.contains("wr0ng"), "{ran}");
    let nowhere = format!("{}-not", postgres.url());
    let ran = beside(&redis, &nowhere).run(&["worker"]);
    ran.refused(
        2,
        &["result backend database cannot be used", "results-not"],
    );
    assert!(!ran.err.contains("s3cret"), "{ran}");
}

#[test]
fn a_table_that_is_not_celerys_fails_the_start() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let made = "CREATE TABLE celery_taskmeta (id integer, task_id text, status text, \
         result text, date_done timestamp, traceback text)";
    assert_eq!(postgres.ask(made), "");
    beside(&redis, &postgres.url()).run(&["worker"]).refused(
        2,
        &["column result of table celery_taskmeta is text", "bytea"],
    );
}

#[test]
fn who_may_not_make_tables_is_told_so() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let made = "CREATE ROLE reader LOGIN PASSWORD 's3cret'";
    assert_eq!(postgres.ask(made), "");
    let url = postgres.url().replace("//celeriac:", "//reader:");
    let ran = beside(&redis, &url).run(&["worker"]);
    ran.refused(2, &["permission denied", "who may use its tables"]);
}

#[test]
fn a_worker_waits_for_a_postgres_server_that_is_away() {
    let (redis, mut postgres) = (Redis::start(), Postgres::start());
    postgres.kill();
    let stage = beside(&redis, &postgres.url());
    let worker = stage.server(&["worker"]);
    assert!(worker.log().contains("waits for its result backend"));
    let id = stage.send("text.word_count", &["-a", r#"["a b"]"#]);
    postgres.revive();
    assert_eq!(*success(&stage.ended(&id)), 2);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_postgres_server_that_crashes_in_the_middle_loses_no_result() {
    let (redis, mut postgres) = (Redis::start(), Postgres::start());
    let stage = beside(&redis, &postgres.url()).with("worker.lease", "2s");
    let worker = stage.server(&["worker"]);
    let send = || stage.send("report.build", &["-a", r#"["Sales", 4, 200]"#]);
    let ids: Vec<String> = (0..12).map(|_| send()).collect();
    for crash in [2, 6] {
        until("some are over", || (over(&postgres) >= crash).then_some(()));
        postgres.kill();
        postgres.revive();
    }
    for id in &ids {
        assert_eq!(success(&stage.ended(id))["pages"], 4);
    }
    assert_eq!(over(&postgres), 12);
    until("everything is acknowledged", || {
        (redis.cli(0, &["HLEN", "unacked"]) == "0").then_some(())
    });
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn a_postgres_server_that_does_not_answer_holds_back_what_is_not_stored() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let proxy = Proxy::to(postgres.port());
    let (from, to) = (postgres.port().to_string(), proxy.port().to_string());
    let stage = beside(&redis, &postgres.url().replace(&from, &to));
    let worker = stage.server(&["worker"]);
    let id = stage.send("report.build", &["-a", r#"["Sales", 20, 400]"#]);
    until("PROGRESS", || {
        (stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    proxy.stop();
    until("the worker tries again", || {
        let says = "trying again error=result backend database is unavailable: \
                    no connection to the database within 5 s";
        worker.log().contains(says).then_some(())
    });
    assert_eq!(over(&postgres), 0);
    proxy.go_on();
    assert_eq!(success(&stage.ended(&id))["pages"], 20);
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn two_workers_share_a_postgres_database_and_a_killed_one_is_followed() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let stage = beside(&redis, &postgres.url()).with("worker.lease", "2s");
    let first = stage.server(&["worker", "-n", "first@%h"]);
    let id = stage.send("report.build", &["-a", r#"["Sales", 20, 300]"#]);
    until("PROGRESS", || {
        (stage.stored(&id)["state"] == "PROGRESS").then_some(())
    });
    let _second = stage.server(&["worker", "-n", "second@%h"]);
    first.kill();
    let ended = stage.ended(&id);
    assert_eq!(success(&ended)["pages"], 20);
    assert_eq!(ended["deliveries"], 2, "{ended}");
}

#[test]
fn postgres_is_spoken_to_over_tls_as_sslmode_says() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let (redis, secured) = (Redis::start(), Postgres::start_with_tls(&ours));
    let url = |mode: &str, known: &Certificates| {
        let authority = known.path("ca.pem");
        format!(
            "{}?sslmode={mode}&sslrootcert={}",
            secured.url(),
            authority.display()
        )
    };
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'celeriac'";
    for mode in ["require", "verify-ca", "verify-full"] {
        let stage = beside(&redis, &url(mode, &ours));
        let worker = stage.server(&["worker"]);
        assert_eq!(*success(&stage.call("text.word_count", r#"["a b"]"#)), 2);
        assert_eq!(secured.ask(sql), "t", "{mode}");
        assert_eq!(worker.stop().code, Some(0));
    }
    beside(&redis, &url("verify-full", &others))
        .run(&["worker"])
        .refused(
            2,
            &["result backend database cannot be used", "certificate"],
        );
    let plain = Postgres::start();
    beside(&redis, &format!("{}?sslmode=require", plain.url()))
        .run(&["worker"])
        .refused(2, &["result backend database cannot be used", "TLS"]);
}
