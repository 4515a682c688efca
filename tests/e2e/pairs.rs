//! What holds with results in Redis, with those in tables and folders: the same scenes, and
//! values that JSON lacks, as our worker writes them for Python and as Python wrote them.

use crate::beside::{Beside, spelled};
use crate::canvas::{assert_all, assert_mixed, database, files};
use crate::submit::celery as sending;
use crate::{builtins, celery, stage, success};
use serde_json::{Value, json};
use support::{Postgres, Rabbit, Redis, Stage};

/// Plays a scene with results in a SQLite file, through Redis, and in a folder, through
/// RabbitMQ.
fn without_server(scene: impl Fn(&str, &str)) {
    let (redis, rabbit) = (Redis::start(), Rabbit::start());
    let folder = stage();
    scene(&redis.url(0), &database(folder.folder()));
    let folder = stage();
    scene(&rabbit.url(), &files(folder.folder()));
}

/// Plays a scene with results in a database of Postgres, which both releases reach with
/// the newer library.
fn in_postgres(broker: &str, scene: impl Fn(&str, &str)) {
    let postgres = Postgres::start();
    scene(broker, &spelled("5.7", &postgres));
}

#[test]
fn chains_groups_and_chords_come_out_where_results_are_in_postgres() {
    in_postgres(&Redis::start().url(0), |broker, results| {
        assert_all("5.4", broker, results);
    });
    in_postgres(&Rabbit::start().url(), |broker, results| {
        assert_all("5.7", broker, results);
    });
}

#[test]
fn chains_groups_and_chords_of_the_oldest_client_come_out_of_tables_and_folders() {
    without_server(|broker, results| assert_all("5.4", broker, results));
}

#[test]
fn links_and_parts_run_here_and_in_python_with_results_in_tables_and_folders() {
    without_server(|broker, results| assert_mixed("5.7", broker, results));
}

#[test]
fn links_and_parts_run_here_and_in_the_oldest_python_with_results_in_postgres() {
    in_postgres(&Rabbit::start().url(), |broker, results| {
        assert_mixed("5.4", broker, results);
    });
}

#[test]
fn maps_starmaps_and_chunks_come_out_of_tables_and_folders() {
    without_server(builtins::assert_calls);
    in_postgres(&Redis::start().url(0), builtins::assert_calls);
}

#[test]
fn the_children_of_a_task_are_seen_in_tables_and_folders() {
    without_server(|broker, results| sending::scenes("5.7", broker, results));
    in_postgres(&Redis::start().url(0), |broker, results| {
        sending::scenes("5.7", broker, results);
    });
}

/// Has a client call `text.echo` with every value, and compare.
fn assert_same(release: &str, broker: &str, backend: &str) {
    let seen = celery::python(release).run("typed.py", &[broker, backend, "text.echo"]);
    let same = seen["same"].as_object().expect("an object");
    assert!(same.values().all(|same| *same == true), "{release}: {seen}");
    assert_eq!(seen["other kinds"], json!([]), "{release}: {seen}");
}

fn ours(broker: &str, backend: &str, stage: Stage) {
    let stage = stage
        .with("broker", broker)
        .with("result_backend", backend)
        .with("worker.consumer_timeout", "2h");
    stage.push("text");
    let _worker = stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        assert_same(release, broker, backend);
    }
}

#[test]
fn moments_decimals_uuids_and_bytes_come_out_of_a_sqlite_file_as_what_they_were() {
    let (redis, stage) = (Redis::start(), stage());
    let backend = format!("db+sqlite:///{}", stage.path("results.sqlite").display());
    ours(&redis.url(0), &backend, stage);
}

#[test]
fn moments_decimals_uuids_and_bytes_come_out_of_a_postgres_database_as_what_they_were() {
    let beside = Beside::in_postgres(Beside::through_rabbitmq);
    let _worker = beside.stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        assert_same(
            release,
            &beside.broker,
            &spelled(release, beside.postgres()),
        );
    }
}

/// What a Python worker makes, as kombu marks it.
fn assert_read(release: &str, broker: &str, backend: &str, stage: &Stage) {
    let _python = celery::python(release).worker(broker, backend, "celery");
    let ended = stage.call("py.values", "[]");
    let mark = |kind: &str, value: Value| json!({"__type__": kind, "__value__": value});
    let expected = json!({
        "moment": mark("datetime", json!("2030-01-02T03:04:05.678901+00:00")),
        "there": mark("datetime", json!("2030-01-02T03:04:05+01:00")),
        "naive": mark("datetime", json!("2030-01-02T03:04:05")),
        "day": mark("date", json!("2028-02-29")),
        "time": mark("time", json!("23:59:59.500000")),
        "price": mark("decimal", json!("-12.50")),
        "id": mark("uuid", json!({"hex": "123456789abcdef00123456789abcdef"})),
        "bytes": mark("base64", json!("AP8=")),
        "list": [1, 2.5, null],
    });
    assert_eq!(*success(&ended), expected, "{release}");
    if release == "5.4" {
        // Later releases refuse it themselves, for it is no JSON.
        let id = stage.send("py.complex", &[]);
        let looked = stage.run(&["result", &id, "--wait", "--timeout", "50s"]);
        looked.refused(3, &["is no plain data"]);
    }
}

#[test]
fn moments_decimals_uuids_and_bytes_of_python_workers_are_read_out_of_a_sqlite_file() {
    let rabbit = Rabbit::start();
    for release in ["5.4", "5.7"] {
        let stage = stage().with("broker", &rabbit.url());
        let backend = format!("db+sqlite:///{}", stage.path("results.sqlite").display());
        let stage = stage.with("result_backend", &backend);
        assert_read(release, &rabbit.url(), &backend, &stage);
    }
}
