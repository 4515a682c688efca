//! Tests of the database: group commit, isolation of failures, what it refuses.

use super::*;
use sqlx::Row;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// More than any step of a test needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Adds a note; an empty one is refused by the table.
struct Note(String);

static LARGEST: AtomicUsize = AtomicUsize::new(0);

impl Statement for Note {
    type Output = i64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<i64>, sqlx::Error> {
        LARGEST.fetch_max(batch.len(), Ordering::Relaxed);
        let mut ids = Vec::new();
        for note in batch {
            let sql = "INSERT INTO notes (text) VALUES (?) RETURNING id";
            ids.push(
                sqlx::query_scalar(sql)
                    .bind(&note.0)
                    .fetch_one(&mut *conn)
                    .await?,
            );
        }
        Ok(ids)
    }

    fn weight(&self) -> usize {
        self.0.len()
    }
}

/// Runs any SQL.
struct Sql(&'static str);

impl Statement for Sql {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for sql in batch {
            sqlx::raw_sql(sql.0).execute(&mut *conn).await?;
        }
        Ok(vec![(); batch.len()])
    }
}

/// Forgets its outputs.
struct Forgetful;

impl Statement for Forgetful {
    type Output = ();

    async fn apply(_: &mut SqliteConnection, _: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        Ok(Vec::new())
    }
}

async fn with_notes(dir: &Path) -> Database {
    let db = Database::open(dir, Clock::System).await.unwrap();
    db.write(Sql(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (text <> ''))",
    ))
    .await
    .unwrap();
    db
}

async fn count(db: &Database) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(&mut *db.read().await.unwrap())
        .await
        .unwrap()
}

async fn notes(
    db: &Database,
    texts: impl IntoIterator<Item = &str>,
) -> Vec<Result<i64, DatabaseError>> {
    futures::future::join_all(
        texts
            .into_iter()
            .map(|text| db.write(Note(text.to_owned()))),
    )
    .await
}

#[tokio::test]
async fn many_callers_share_a_transaction_and_read_what_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    let answers = notes(&db, std::iter::repeat_n("x", 3 * BATCH_STATEMENTS)).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(
        count(&db).await,
        i64::try_from(3 * BATCH_STATEMENTS).unwrap()
    );
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(
        (2..=BATCH_STATEMENTS).contains(&largest),
        "largest batch {largest}"
    );
    db.close().await;
}

#[tokio::test]
async fn one_bad_statement_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    let texts = (0..100).map(|i| if i == 37 { "" } else { "x" });
    let (answers, ()) = tokio::join!(notes(&db, texts), async {
        assert!(matches!(
            db.write(Forgetful).await,
            Err(DatabaseError::Statement { .. })
        ));
    });
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), i == 37, "{i}: {answer:?}");
    }
    assert_eq!(count(&db).await, 99);
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening_without_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    db.write(Note("kept".to_owned())).await.unwrap();
    drop(db);
    let db = Database::open(dir.path(), Clock::System).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn a_close_finishes_what_is_queued_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    let (answers, ()) = tokio::join!(notes(&db, std::iter::repeat_n("x", 100)), db.close());
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(matches!(
        db.write(Note("late".to_owned())).await,
        Err(DatabaseError::Closed)
    ));
    assert!(!db.poster().post(Note("late".to_owned())));
    assert!(matches!(db.read().await, Err(DatabaseError::Closed)));
    assert!(matches!(
        db.watch().changed().await,
        Err(DatabaseError::Closed)
    ));
}

#[tokio::test]
async fn a_statement_larger_than_the_queue_goes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    let huge = "x".repeat(QUEUE_BYTES + 1);
    let (a, b) = tokio::join!(
        db.write(Note(huge.clone())),
        db.write(Note("y".repeat(QUEUE_BYTES / 2)))
    );
    assert!(a.is_ok() && b.is_ok());
}

#[tokio::test]
async fn a_watcher_notices_commits_of_its_own_and_of_another_handle() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    let other = Database::open(dir.path(), Clock::System).await.unwrap();
    let (mut here, mut there) = (db.watch(), other.watch());
    db.write(Note("x".to_owned())).await.unwrap();
    tokio::time::timeout(PATIENCE, here.changed())
        .await
        .unwrap()
        .unwrap();
    tokio::time::timeout(PATIENCE, there.changed())
        .await
        .unwrap()
        .unwrap();
    // Also when it waits already.
    let (woken, written) = tokio::join!(
        tokio::time::timeout(PATIENCE, there.changed()),
        db.write(Note("y".to_owned()))
    );
    woken.unwrap().unwrap();
    written.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    db.write(Sql("PRAGMA max_page_count = 60")).await.unwrap();
    let large = "x".repeat(1 << 20);
    let (full, small) = tokio::join!(
        db.write(Note(large.clone())),
        db.write(Note("small".to_owned()))
    );
    let full = full.unwrap_err();
    assert!(
        matches!(full, DatabaseError::Full { .. }) && full.is_passing(),
        "{full:?}"
    );
    assert_eq!(
        full.to_string(),
        "the disk with the database is full; free some space or move the --data folder"
    );
    assert!(small.is_ok(), "what still fits is stored: {small:?}");
    db.write(Sql("PRAGMA max_page_count = 100000"))
        .await
        .unwrap();
    db.write(Note(large)).await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_written_any_more_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    db.write(Sql("PRAGMA query_only = ON")).await.unwrap();
    let error = db.write(Note("x".to_owned())).await.unwrap_err();
    assert!(matches!(error, DatabaseError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("writable"), "{error}");
}

#[tokio::test]
async fn readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    let mut reader = db.read().await.unwrap();
    assert!(
        sqlx::query("DELETE FROM notes")
            .execute(&mut *reader)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = with_notes(dir.path()).await;
    db.write(Sql("INSERT INTO migrations VALUES (9999, 'future', 0)"))
        .await
        .unwrap();
    db.close().await;
    let error = Database::open(dir.path(), Clock::System).await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::Newer { found: 9999, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("9999") && error.to_string().contains("use the newer celeriac"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(FILE_NAME),
        "not a database, but long enough to be looked at".repeat(30),
    )
    .unwrap();
    let error = Database::open(dir.path(), Clock::System)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not a SQLite database") && error.contains("--data"),
        "{error}"
    );

    let dir = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(dir.path().join(FILE_NAME))
        .create_if_missing(true);
    let mut foreign = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("CREATE TABLE accounts (id INTEGER)")
        .execute(&mut foreign)
        .await
        .unwrap();
    sqlx::Connection::close(foreign).await.unwrap();
    let error = Database::open(dir.path(), Clock::System)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("another program"), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Database::open(&path, Clock::System).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Unusable { .. }), "{error:?}");
        assert!(
            error.to_string().contains("name a folder with --data"),
            "{error}"
        );
    }
    // A folder where the file should be cannot be opened either.
    std::fs::create_dir_all(dir.path().join("data").join(FILE_NAME)).unwrap();
    let error = Database::open(&dir.path().join("data"), Clock::System)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot be opened for writing"), "{error}");
}

#[tokio::test]
async fn a_new_folder_is_for_its_owner_only_and_commits_are_synced() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("a/b"), Clock::System)
        .await
        .unwrap();
    let mode = std::fs::metadata(dir.path().join("a/b"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    struct Settings;
    impl Statement for Settings {
        type Output = (String, i64, i64);
        async fn apply(
            conn: &mut SqliteConnection,
            _: &[Self],
        ) -> Result<Vec<Self::Output>, sqlx::Error> {
            let mode = sqlx::query("PRAGMA journal_mode")
                .fetch_one(&mut *conn)
                .await?
                .get(0);
            let synchronous = sqlx::query("PRAGMA synchronous")
                .fetch_one(&mut *conn)
                .await?
                .get(0);
            let keys = sqlx::query("PRAGMA foreign_keys")
                .fetch_one(&mut *conn)
                .await?
                .get(0);
            Ok(vec![(mode, synchronous, keys)])
        }
    }
    assert_eq!(
        db.write(Settings).await.unwrap(),
        ("wal".to_owned(), 2, 1),
        "write-ahead log, FULL, checked"
    );
}

#[tokio::test]
async fn many_may_create_the_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let opened =
        futures::future::join_all((0..8).map(|_| Database::open(dir.path(), Clock::System))).await;
    for db in opened {
        db.unwrap().close().await;
    }
}
