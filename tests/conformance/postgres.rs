//! What only Postgres does: limits, and tables that others fill.

use crate::results::{fence, id, write};
use crate::stage::START;
use celeriac::clock::Clock;
use celeriac::results::database::DatabaseResults;
use celeriac::results::{Extended, Results, ResultsError, Written};
use celeriac::sql::{Kind, Sql, SqlError, Value};
use celeriac::task::State;
use std::time::Duration;
use support::Postgres;

fn results(server: &Postgres) -> DatabaseResults {
    let sql = Sql::postgres(&server.url()).unwrap();
    DatabaseResults::new(sql, Clock::manual(START))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_has_at_most_eight_connections_however_many_ask() {
    let server = Postgres::start();
    let results = results(&server);
    let task = id("t");
    let many = (0..200).map(|_| results.get(&task));
    for found in futures::future::join_all(many).await {
        assert_eq!(found.unwrap(), None);
    }
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'celeriac'";
    let connections: u32 = server.ask(sql).parse().unwrap();
    assert!((2..=8).contains(&connections), "{connections}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_a_table_for_too_long_is_told_of_and_waited_for() {
    let server = Postgres::start();
    let results = results(&server);
    assert_eq!(results.get(&id("t")).await.unwrap(), None);
    let other = Sql::postgres(&server.url()).unwrap();
    let held = other.transaction(true, async |link| {
        link.execute("LOCK TABLE celery_taskmeta", Vec::new())
            .await?;
        Ok::<_, SqlError>(results.write(write("t", fence(0, 1), "SUCCESS")).await)
    });
    let error = held.await.unwrap().unwrap_err();
    assert!(matches!(error, ResultsError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("statement timeout"), "{error}");
    let again = results.write(write("t", fence(0, 1), "SUCCESS")).await;
    assert_eq!(again.unwrap(), Written::Stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_has_its_limits_and_leaves_the_connection_none() {
    let server = Postgres::start();
    let sql = Sql::postgres(&server.url()).unwrap();
    let ask = "SELECT current_setting('statement_timeout') || ' ' \
         || current_setting('idle_in_transaction_session_timeout') || ' ' \
         || current_setting('transaction_isolation')";
    for writes in [true, false] {
        let rows = sql.transaction(writes, async |link| {
            link.rows(ask, Vec::new(), &[Kind::Text]).await
        });
        let seen = rows.await.unwrap()[0].text();
        assert_eq!(seen.as_deref(), Some("10s 15s read committed"));
    }
    let write = "CREATE TABLE t (a integer)";
    let refused = sql.transaction(false, async |link| link.execute(write, Vec::new()).await);
    assert!(refused.await.unwrap_err().to_string().contains("read-only"));
    // What failed is undone, and its connection is of use again.
    let made = sql.transaction(true, async |link| link.execute(write, Vec::new()).await);
    made.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_no_column_holds_is_no_matter_of_waiting() {
    let server = Postgres::start();
    let sql = Sql::postgres(&server.url()).unwrap();
    let statement = "SELECT $1::integer::text";
    let asked = sql.transaction(false, async |link| {
        let values = vec![Value::from(i64::MAX)];
        link.rows(statement, values, &[Kind::Text]).await
    });
    let error = asked.await.unwrap_err();
    assert!(matches!(error, SqlError::Refused { .. }), "{error}");
    // The one number that a message has, and that is longer than its column.
    let mut most = write("t", fence(0, 1), "SUCCESS");
    most.extended = Some(Extended {
        name: "m.t".to_owned(),
        args: "[]".into(),
        kwargs: "{}".into(),
        worker: "w".to_owned(),
        retries: u32::MAX,
        queue: "q".to_owned(),
        stamps: serde_json::Map::new(),
    });
    let written = results(&server).write(most).await.unwrap();
    assert_eq!(written, Written::Stored);
    assert_eq!(
        server.ask("SELECT retries FROM celery_taskmeta"),
        i32::MAX.to_string()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_python_worker_stored_in_postgres_is_read_and_not_written_over() {
    let server = Postgres::start();
    let results = results(&server);
    assert_eq!(results.get(&id("t")).await.unwrap(), None);
    let stored = "INSERT INTO celery_taskmeta (id, task_id, status, result) \
         VALUES (nextval('task_id_sequence'), 't', 'SUCCESS', '\\x80024b072e')";
    assert_eq!(server.ask(stored), "");
    let record = results.get(&id("t")).await.unwrap().unwrap();
    assert_eq!(
        (record.state, record.result),
        (State::Success, Some("7".into()))
    );
    let late = results.write(write("t", fence(0, 1), "FAILURE")).await;
    assert_eq!(late.unwrap(), Written::Refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_left_in_postgres_goes_when_it_is_as_old_as_ours_may_be() {
    let server = Postgres::start();
    let clock = Clock::manual(START);
    let sql = Sql::postgres(&server.url()).unwrap();
    let keep = Some(Duration::from_secs(60));
    let results = DatabaseResults::new(sql, clock.clone()).with_keep(keep);
    let mut ours = write("ours", fence(0, 1), "SUCCESS");
    ours.keep = None;
    assert_eq!(results.write(ours).await.unwrap(), Written::Stored);
    for statement in [
        "INSERT INTO celery_taskmeta (id, task_id, date_done) \
         VALUES (nextval('task_id_sequence'), 't', '2026-09-21 14:13:20')",
        "INSERT INTO celery_tasksetmeta (id, taskset_id, date_done) \
         VALUES (nextval('taskset_id_sequence'), 'g', '2026-09-21 14:13:20')",
    ] {
        assert_eq!(server.ask(statement), "");
    }
    assert_eq!(results.sweep().await.unwrap(), 0);
    clock.advance(Duration::from_secs(61));
    assert_eq!(results.sweep().await.unwrap(), 2);
    assert_eq!(server.ask("SELECT task_id FROM celery_taskmeta"), "ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_cannot_be_read_is_a_matter_for_a_person() {
    let error = Sql::postgres("postgresql://h:5432/d?sslmode=on").unwrap_err();
    assert!(matches!(error, SqlError::Misconfigured { .. }), "{error}");
}
