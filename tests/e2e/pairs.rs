//! What holds with results in Redis, with those in tables and folders: the same scenes.

use crate::beside::spelled;
use crate::canvas::{assert_all, assert_mixed, database, files};
use crate::{builtins, stage, submit_celery};
use support::{Postgres, Rabbit, Redis};

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
    without_server(|broker, results| submit_celery::scenes("5.7", broker, results));
    in_postgres(&Redis::start().url(0), |broker, results| {
        submit_celery::scenes("5.7", broker, results);
    });
}
