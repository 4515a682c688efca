//! Dead letters: moved in one transaction, payload kept as it was, capped.

use super::payload::{COLUMNS, Payload};
use super::settle::remove_payloads;
use super::{DeadLetter, FETCH_BYTES, Receipt, list, moment};
use crate::broker::DEAD_LETTERS;
use crate::database::SqliteConnection;
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Longest reason that is kept, bytes; the rest is cut off.
const REASON_BYTES: usize = 4 << 10;

const BURY: &str = "INSERT OR IGNORE INTO dead_letters (message, queue, reason, died_at)
    SELECT m.id, m.queue, s.value ->> 2, s.value ->> 3 FROM json_each(?1) AS s CROSS JOIN messages AS m
    WHERE m.id = s.value ->> 0 AND m.lease = s.value ->> 1
    RETURNING message, queue";

const OVER_THE_CAP: &str = "DELETE FROM dead_letters WHERE queue = ?1 AND number <= (
    SELECT number FROM dead_letters WHERE queue = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) RETURNING message";

static NEWEST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT queue, reason, died_at, {COLUMNS} FROM (
            SELECT d.*, sum(length(q.body)) OVER (ORDER BY d.number DESC ROWS UNBOUNDED PRECEDING)
                - length(q.body) AS before
            FROM (SELECT * FROM dead_letters WHERE queue = ?1 ORDER BY number DESC LIMIT ?2) AS d
            JOIN payloads AS q ON q.id = d.message) AS d
         JOIN payloads AS p ON p.id = d.message WHERE before < ?3 ORDER BY d.number DESC"
    )
});

/// A delivery to bury.
pub(super) struct Grave<'a> {
    pub(super) receipt: &'a Receipt,
    pub(super) reason: &'a str,
    pub(super) died_at: i64,
}

/// Moves messages to the dead letters, lets the oldest go where they are too
/// many, and returns the ids of those whose lease was still held.
pub(super) async fn bury(
    conn: &mut SqliteConnection,
    graves: &[Grave<'_>],
) -> Result<Vec<i64>, sqlx::Error> {
    if graves.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = graves
        .iter()
        .map(
            |Grave {
                 receipt,
                 reason,
                 died_at,
             }| {
                let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
                serde_json::json!([receipt.message, receipt.lease, reason, died_at])
            },
        )
        .collect();
    let buried: Vec<(i64, String)> = sqlx::query_as(BURY)
        .bind(serde_json::Value::from(rows).to_string())
        .fetch_all(&mut *conn)
        .await?;
    let ids: Vec<i64> = buried.iter().map(|(id, _)| *id).collect();
    sqlx::query("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(list(&ids))
        .execute(&mut *conn)
        .await?;
    for queue in buried
        .iter()
        .map(|(_, queue)| queue)
        .collect::<BTreeSet<_>>()
    {
        let gone: Vec<i64> = sqlx::query_scalar(OVER_THE_CAP)
            .bind(queue)
            .bind(i64::try_from(DEAD_LETTERS).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn)
            .await?;
        remove_payloads(conn, &gone).await?;
    }
    Ok(ids)
}

/// Reads the newest dead letters of a queue, newest first.
pub(super) async fn newest(
    conn: &mut SqliteConnection,
    queue: &str,
    max: usize,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(NEWEST.as_str()))
        .bind(queue)
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .bind(FETCH_BYTES)
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(DeadLetter {
                queue: row.try_get(0)?,
                reason: row.try_get(1)?,
                died_at: moment(row.try_get(2)?),
                message: Payload::read(row, 3)?.0,
            })
        })
        .collect()
}
