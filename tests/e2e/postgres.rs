//! Real Celery clients and results in a Postgres database.

use crate::backends::{assert_all_but_children, assert_everything, assert_tells_its_call};
use crate::celery::python;
use crate::{builtins, stage};
use serde_json::{Value, json};
use support::{Postgres, Redis, Stage};

/// The columns, indexes and sequences of Celery's tables.
const SHAPE: &str = "SELECT table_name, column_name, data_type, character_maximum_length, \
     is_nullable, column_default FROM information_schema.columns \
     WHERE table_name LIKE 'celery%' ORDER BY table_name, ordinal_position; \
     SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'celery%' ORDER BY indexname; \
     SELECT sequence_name, data_type, start_value, increment \
     FROM information_schema.sequences ORDER BY sequence_name";

/// A stage whose messages are in Redis, and whose results are in Postgres.
struct Beside {
    redis: Redis,
    postgres: Postgres,
    stage: Stage,
}

impl Beside {
    fn new() -> Self {
        let (redis, postgres) = (Redis::start(), Postgres::start());
        let stage = stage()
            .with("broker", &redis.url(0))
            .with("result_backend", &format!("db+{}", postgres.url()));
        for module in ["text", "flaky", "report"] {
            stage.push(module);
        }
        Self {
            redis,
            postgres,
            stage,
        }
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.stage = self.stage.with(key, value);
        self
    }

    fn ask(&self, release: &str, what: &str) -> Value {
        let arguments = [what, &self.redis.url(0), &spelled(release, &self.postgres)];
        python(release).run("backends.py", &arguments)
    }
}

/// The address as SQLAlchemy wants it, with the client library that is beside a release.
fn spelled(release: &str, postgres: &Postgres) -> String {
    let library = if release == "5.4" {
        "psycopg2"
    } else {
        "psycopg"
    };
    let url = postgres.url();
    format!(
        "db+{}",
        url.replace("postgresql", &format!("postgresql+{library}"))
    )
}

#[test]
fn a_postgres_database_keeps_what_clients_of_every_release_store_restore_and_forget() {
    let beside = Beside::new();
    let worker = beside.stage.server(&["worker"]);
    for release in ["5.4", "5.7"] {
        assert_everything(&beside.ask(release, "everything"));
    }
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn clients_of_5_7_read_json_out_of_a_postgres_database() {
    let beside = Beside::new().with("worker.pickled_results", "false");
    let _worker = beside.stage.server(&["worker"]);
    assert_everything(&beside.ask("5.7", "everything"));
}

#[test]
fn our_tables_in_postgres_are_those_that_celery_makes() {
    let (ours, theirs) = (Beside::new(), Beside::new());
    assert_eq!(theirs.ask("5.7", "tables"), json!({"status": "PENDING"}));
    assert_eq!(ours.stage.stored("nobody")["state"], "PENDING");
    let shape = theirs.postgres.ask(SHAPE);
    assert!(shape.contains("task_id_sequence"), "{shape}");
    assert_eq!(ours.postgres.ask(SHAPE), shape);
}

#[test]
fn tables_that_an_older_celery_made_in_postgres_are_used_as_they_are() {
    let beside = Beside::new().with("worker.result_extended", "true");
    assert_eq!(beside.ask("5.4", "tables"), json!({"status": "PENDING"}));
    let shape = beside.postgres.ask(SHAPE);
    let worker = beside.stage.server(&["worker"]);
    assert_everything(&beside.ask("5.4", "everything"));
    assert_eq!(beside.postgres.ask(SHAPE), shape);
    // This release adds what it misses, which our worker does not know yet.
    assert_all_but_children(&beside.ask("5.7", "everything"));
    assert_eq!(worker.stop().code, Some(0));
}

#[test]
fn an_extended_result_in_postgres_tells_which_call_it_answers() {
    let beside = Beside::new()
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
    let beside = Beside::new();
    let _worker = beside.stage.server(&["worker"]);
    beside.stage.call("text.word_count", r#"["a b"]"#);
    let apart = "SELECT abs(extract(epoch FROM date_done - now() AT TIME ZONE 'UTC')) < 60 \
         FROM celery_taskmeta";
    assert_eq!(beside.postgres.ask(apart), "t");
}

#[test]
fn chords_come_together_in_a_postgres_database() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    // The newer library is beside both releases.
    builtins::assert_chords(&redis.url(0), |_| spelled("5.7", &postgres));
}
