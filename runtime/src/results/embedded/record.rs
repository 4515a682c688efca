//! Reading records.

use super::super::decide::Recorded;
use super::super::{Record, RunUsage};
use crate::database::SqliteConnection;
use crate::task::{Fence, State, TaskId};
use bytes::Bytes;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};
use std::sync::LazyLock;

const COLUMNS: &str = "id, task, retries, deliveries, state, result, exception, due, worker, \
     queue_wait_ms, run_us, cpu_us, memory_peak_bytes, log, written_at, lease_until, \
     bytes_in, bytes_out, host_calls, uses";

static ONE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM results WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)"
    )
});
static SOME: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM results WHERE id IN (SELECT value FROM json_each(?1)) \
         AND (expires_at IS NULL OR expires_at > ?2)"
    )
});

/// Reads the record of a task unless its time is over.
pub(super) async fn one(
    conn: &mut SqliteConnection,
    id: &TaskId,
    now: i64,
) -> Result<Option<Record>, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(ONE.as_str()))
        .bind(id.as_str())
        .bind(now)
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(read(&row)?.record)).transpose()
}

/// Reads the records of some tasks, in no particular order.
pub(super) async fn some(
    conn: &mut SqliteConnection,
    ids: impl Iterator<Item = &TaskId>,
    now: i64,
) -> Result<Vec<Recorded>, sqlx::Error> {
    let ids = serde_json::Value::from(ids.map(TaskId::as_str).collect::<Vec<_>>()).to_string();
    let rows = sqlx::query(AssertSqlSafe(SOME.as_str()))
        .bind(ids)
        .bind(now)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<Recorded, sqlx::Error> {
    let id: &str = row.try_get(0)?;
    let exception: Option<&str> = row.try_get(6)?;
    let uses: Option<&str> = row.try_get(19)?;
    let record = Record {
        id: TaskId::parse(id).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        task: row.try_get(1)?,
        fence: Fence {
            retries: row.try_get(2)?,
            deliveries: row.try_get(3)?,
        },
        state: State::from_word(row.try_get(4)?),
        result: row.try_get::<Option<Vec<u8>>, _>(5)?.map(Bytes::from),
        exception: exception
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        due: row.try_get::<Option<i64>, _>(7)?.map(moment),
        worker: row.try_get(8)?,
        usage: RunUsage {
            queue_wait_ms: count(row.try_get(9)?),
            run_us: count(row.try_get(10)?),
            cpu_us: count(row.try_get(11)?),
            memory_peak_bytes: count(row.try_get(12)?),
            bytes_in: count(row.try_get(16)?),
            bytes_out: count(row.try_get(17)?),
            host_calls: count(row.try_get(18)?),
            // Numbers for people: what cannot be read hides no result.
            uses: uses
                .and_then(|uses| serde_json::from_str(uses).ok())
                .unwrap_or_default(),
        },
        log: row.try_get(13)?,
        written_at: moment(row.try_get(14)?),
    };
    Ok(Recorded {
        record,
        lease_until: row.try_get::<Option<i64>, _>(15)?.map(moment),
    })
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
