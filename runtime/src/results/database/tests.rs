//! What only this driver does: Celery's tables as others made and filled them.

use super::super::{Reply, RunUsage};
use super::*;
use crate::sql::{Kind, Value};
use crate::task::State;

const START: Timestamp = Timestamp::constant(1_790_000_000, 562_224_000);
/// The table as Celery 5.4 makes it without `result_extended`.
const OLD: &str = "CREATE TABLE celery_taskmeta (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \
     task_id VARCHAR(155), status VARCHAR(50), result BLOB, date_done DATETIME, traceback TEXT, \
     UNIQUE (task_id))";

fn write(id: &str) -> Write {
    Write {
        id: TaskId::parse(id).unwrap(),
        task: "m.t".to_owned(),
        fence: Fence {
            retries: 0,
            deliveries: 1,
        },
        state: State::Success,
        result: Some("5".into()),
        exception: None,
        due: None,
        worker: "w".to_owned(),
        usage: RunUsage::default(),
        log: None,
        keep: None,
        reply: Reply::default(),
        children: r#"[[["c", null], null]]"#.to_owned(),
        extended: Some(super::super::Extended {
            name: "m.t".to_owned(),
            args: "[1]".into(),
            kwargs: "{}".into(),
            worker: "w@h".to_owned(),
            retries: 2,
            queue: "q".repeat(200),
            stamps: serde_json::Map::from_iter([("st".to_owned(), "v".into())]),
        }),
    }
}

fn sql(dir: &tempfile::TempDir) -> Sql {
    Sql::sqlite(&dir.path().join("results.sqlite"))
}

fn results(dir: &tempfile::TempDir) -> DatabaseResults {
    DatabaseResults::new(sql(dir), Clock::manual(START))
}

async fn run(dir: &tempfile::TempDir, statement: &str) -> u64 {
    let sql = sql(dir);
    let done = sql.transaction(true, async |link| link.execute(statement, Vec::new()).await);
    done.await.unwrap()
}

async fn cells(dir: &tempfile::TempDir, statement: &str) -> Vec<Option<String>> {
    let kinds = [Kind::Text; 10];
    let columns = statement.matches(',').count() + 1;
    let sql = sql(dir);
    let rows = sql.transaction(false, async |link| {
        link.rows(statement, Vec::<Value>::new(), &kinds[..columns])
            .await
    });
    let mut rows = rows.await.unwrap();
    let row = &mut rows[0];
    (0..columns).map(|_| row.text()).collect()
}

/// As in the capture `backend_database_sqlite`.
#[tokio::test]
async fn a_row_has_what_celery_5_7_writes_with_extended_results() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir).with_form(Form::Json);
    results.write(write("t")).await.unwrap();
    let row = cells(
        &dir,
        "SELECT status, result, date_done, traceback, children, name, args, worker, retries, stamps FROM celery_taskmeta",
    )
    .await;
    let row: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
    assert_eq!(
        row,
        [
            Some("SUCCESS"),
            Some("5"),
            Some("2026-09-21 14:13:20.562000"),
            None,
            Some(r#"[[["c", null], null]]"#),
            Some("m.t"),
            Some("[1]"),
            Some("w@h"),
            Some("2"),
            Some(r#"{"stamped_headers":["st"],"stamps":{"st":"v"}}"#),
        ]
    );
    let queue = cells(&dir, "SELECT queue FROM celery_taskmeta").await;
    assert_eq!(queue, [Some("q".repeat(155))], "as long as the column");
}

#[tokio::test]
async fn a_table_of_an_older_celery_gets_what_it_has_columns_for() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir, OLD).await;
    let results = results(&dir);
    assert_eq!(results.write(write("t")).await.unwrap(), Written::Stored);
    let row = cells(&dir, "SELECT status, hex(result) FROM celery_taskmeta").await;
    assert_eq!(row[1].as_deref(), Some("80024C354C0A2E"));
}

#[tokio::test]
async fn what_a_python_worker_stored_is_read_and_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir);
    let id = TaskId::parse("t").unwrap();
    assert_eq!(results.get(&id).await.unwrap(), None);
    run(
        &dir,
        "INSERT INTO celery_taskmeta (task_id, status, result) VALUES ('t', 'SUCCESS', x'80024B072E')",
    )
    .await;
    let record = results.get(&id).await.unwrap().unwrap();
    assert_eq!(
        (record.state, record.result),
        (State::Success, Some("7".into()))
    );
    assert_eq!(results.write(write("t")).await.unwrap(), Written::Refused);
}

#[tokio::test]
async fn a_task_that_a_client_made_it_forget_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir);
    results.write(write("t")).await.unwrap();
    run(&dir, "DELETE FROM celery_taskmeta").await;
    let id = TaskId::parse("t").unwrap();
    assert_eq!(results.get(&id).await.unwrap(), None);
    assert_eq!(results.write(write("t")).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn what_others_left_goes_when_it_is_as_old_as_ours_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir).with_keep(Some(Duration::from_secs(60)));
    results.write(write("ours")).await.unwrap();
    for statement in [
        "INSERT INTO celery_taskmeta (task_id, date_done) VALUES ('t', '2026-09-21 14:13:20.000000')",
        "INSERT INTO celery_tasksetmeta (taskset_id, date_done) VALUES ('g', '2026-09-21 14:13:20.000000')",
    ] {
        run(&dir, statement).await;
    }
    assert_eq!(results.sweep().await.unwrap(), 0);
    results.clock.advance(Duration::from_secs(60));
    assert_eq!(results.sweep().await.unwrap(), 2);
    let left = cells(&dir, "SELECT task_id FROM celery_taskmeta").await;
    assert_eq!(left, [Some("ours".to_owned())], "kept for ever");
}

#[tokio::test]
async fn what_is_longer_than_a_column_is_no_matter_of_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir);
    let long = Write {
        state: State::Custom("x".repeat(51)),
        ..write("t")
    };
    for bad in [long, write(&"x".repeat(156))] {
        let error = results.write(bad).await.unwrap_err();
        assert!(matches!(error, ResultsError::Malformed { .. }), "{error}");
    }
    let longest = write(&"ä".repeat(127));
    assert_eq!(results.write(longest).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn a_file_that_is_no_database_fails_the_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("results.sqlite"), "x".repeat(5_000)).unwrap();
    let error = results(&dir).get(&TaskId::random()).await.unwrap_err();
    assert!(
        matches!(error, ResultsError::Misconfigured { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn who_goes_away_in_the_middle_costs_the_others_nothing_but_a_new_try() {
    let dir = tempfile::tempdir().unwrap();
    let results = results(&dir);
    let mut undone = 0;
    for round in 0..50 {
        let [a, b, c] = ["a", "b", "c"].map(|name| write(&format!("{name}{round}")));
        let mut first = Box::pin(results.write(a));
        let mut second = Box::pin(results.write(b));
        let mut third = Box::pin(results.write(c.clone()));
        // The first has the turn, the others wait for it.
        let mut is_over = false;
        for call in [&mut first, &mut second, &mut third] {
            is_over |= futures::poll!(call).is_ready();
        }
        drop(first);
        // The second takes its own work and that of the third, and goes away.
        is_over = is_over || futures::poll!(&mut second).is_ready();
        drop(second);
        if is_over {
            // The file answered within one look: nobody went away in the middle.
            continue;
        }
        match third.await {
            Ok(written) => assert_eq!(written, Written::Stored),
            Err(error) => {
                assert!(matches!(error, ResultsError::Unavailable { .. }), "{error}");
                undone += 1;
                // It was undone, or done and not told: either way it is there now.
                let id = c.id.clone();
                results.write(c).await.unwrap();
                assert!(results.get(&id).await.unwrap().is_some());
            }
        }
    }
    assert!(undone > 0, "it happened");
}
