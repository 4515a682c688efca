//! Real Celery clients and results in a Postgres database.

mod server;

use crate::backends::{
    assert_all_but_children, assert_everything, assert_tells_its_call, both_releases,
};
use crate::beside::{Beside, spelled};
use crate::builtins;
use serde_json::json;
use support::{Postgres, Rabbit, Redis};

/// The columns, indexes and sequences of Celery's tables.
const SHAPE: &str = "SELECT table_name, column_name, data_type, character_maximum_length, \
     is_nullable, column_default FROM information_schema.columns \
     WHERE table_name LIKE 'celery%' ORDER BY table_name, ordinal_position; \
     SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'celery%' ORDER BY indexname; \
     SELECT sequence_name, data_type, start_value, increment \
     FROM information_schema.sequences ORDER BY sequence_name";

/// Messages in Redis, results in Postgres.
fn beside() -> Beside {
    Beside::in_postgres(Beside::new)
}

#[test]
fn a_postgres_database_keeps_what_clients_of_every_release_store_restore_and_forget() {
    both_releases(&beside());
}

#[test]
fn a_postgres_database_keeps_what_clients_of_rabbitmq_store_restore_and_forget() {
    both_releases(&Beside::in_postgres(Beside::through_rabbitmq));
}

#[test]
fn clients_of_5_7_read_json_out_of_a_postgres_database() {
    let beside = beside().with("worker.pickled_results", "false");
    let _worker = beside.stage.server(&["worker"]);
    assert_everything(&beside.ask("5.7", "everything"));
}

#[test]
fn our_tables_in_postgres_are_those_that_celery_makes() {
    let (ours, theirs) = (beside(), beside());
    assert_eq!(theirs.ask("5.7", "tables"), json!({"status": "PENDING"}));
    assert_eq!(ours.stage.stored("nobody")["state"], "PENDING");
    let shape = theirs.postgres().ask(SHAPE);
    assert!(shape.contains("task_id_sequence"), "{shape}");
    assert_eq!(ours.postgres().ask(SHAPE), shape);
}

#[test]
fn tables_that_an_older_celery_made_in_postgres_are_used_as_they_are() {
    let beside = beside().with("worker.result_extended", "true");
    assert_eq!(beside.ask("5.4", "tables"), json!({"status": "PENDING"}));
    let shape = beside.postgres().ask(SHAPE);
    let worker = beside.stage.server(&["worker"]);
    assert_everything(&beside.ask("5.4", "everything"));
    assert_eq!(beside.postgres().ask(SHAPE), shape);
    // This release adds what it misses, which our worker does not know yet.
    assert_all_but_children(&beside.ask("5.7", "everything"));
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn an_extended_result_in_postgres_tells_which_call_it_answers() {
    let beside = beside()
        .with("worker.result_extended", "true")
        .with("worker.hostname", "w@host");
    let _worker = beside.stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        let seen = beside.ask(release, "extended");
        assert_tells_its_call(&seen);
    }
}

#[test]
fn dates_in_postgres_are_utc_whatever_the_zone_of_the_server() {
    let beside = beside();
    let _worker = beside.stage.server(&["worker"]);
    beside.stage.call("text.word_count", r#"["a b"]"#);
    let apart = "SELECT abs(extract(epoch FROM date_done - now() AT TIME ZONE 'UTC')) < 60 \
         FROM celery_taskmeta";
    assert_eq!(beside.postgres().ask(apart), "t");
}

#[test]
fn chords_come_together_in_a_postgres_database() {
    let (redis, rabbit) = (Redis::start(), Rabbit::start());
    for broker in [redis.url(0), rabbit.url()] {
        let postgres = Postgres::start();
        // The newer library is beside both releases.
        builtins::assert_chords(&broker, |_| spelled("5.7", &postgres));
    }
}
