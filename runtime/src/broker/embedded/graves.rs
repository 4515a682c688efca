//! Dead letters: moved in one transaction, payload kept as it was, capped.

use super::payload::Payload;
use super::{DeadLetter, FETCH_BYTES, Receipt, list, moment, pairs};
use crate::broker::DEAD_LETTERS;
use crate::database::SqliteConnection;
use bytes::Bytes;
use sqlx::Row;
use std::collections::{BTreeSet, HashMap};

/// Longest reason that is kept, bytes; the rest is cut off.
const REASON_BYTES: usize = 4 << 10;

/// A dead message keeps its row and payload; its key is free again.
const DIE: &str =
    "UPDATE messages SET state = 3, due = 0, lease = lease + 1, key = NULL WHERE id IN (
    SELECT m.id FROM json_each(?1) AS s CROSS JOIN messages AS m
    WHERE m.id = s.value ->> 0 AND m.lease = s.value ->> 1) RETURNING id, queue";

const BURY: &str = "INSERT INTO dead_letters (message, queue, reason, died_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)";

const OVER_THE_CAP: &str = "DELETE FROM dead_letters WHERE queue = ?1 AND number <= (
    SELECT number FROM dead_letters WHERE queue = ?1 ORDER BY number DESC LIMIT 1 OFFSET (?2 + 0)) RETURNING message";

const NEWEST: &str = "SELECT queue, reason, died_at, envelope, body FROM (
        SELECT d.*, p.envelope, p.body, sum(length(p.body)) OVER (ORDER BY number DESC ROWS UNBOUNDED PRECEDING)
            - length(p.body) AS before
        FROM (SELECT * FROM dead_letters WHERE queue = ?1 ORDER BY number DESC LIMIT ?2) AS d
        JOIN payloads AS p ON p.id = d.message)
    WHERE before < ?3 ORDER BY number DESC";

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
    let receipts = pairs(graves.iter().map(|grave| grave.receipt));
    let buried: Vec<(i64, String)> = sqlx::query_as(DIE)
        .bind(receipts)
        .fetch_all(&mut *conn)
        .await?;
    let graves: HashMap<i64, &Grave<'_>> = graves
        .iter()
        .map(|grave| (grave.receipt.message, grave))
        .collect();
    let rows: Vec<_> = buried
        .iter()
        .filter_map(|(id, queue)| {
            let Grave {
                reason, died_at, ..
            } = graves.get(id)?;
            let reason = &reason[..reason.floor_char_boundary(REASON_BYTES)];
            Some(serde_json::json!([id, queue, reason, died_at]))
        })
        .collect();
    sqlx::query(BURY)
        .bind(serde_json::Value::from(rows).to_string())
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
        sqlx::query("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(list(&gone))
            .execute(&mut *conn)
            .await?;
    }
    Ok(buried.into_iter().map(|(id, _)| id).collect())
}

/// Reads the newest dead letters of a queue, newest first.
pub(super) async fn newest(
    conn: &mut SqliteConnection,
    queue: &str,
    max: usize,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query(NEWEST)
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
                message: Payload {
                    envelope: row.try_get(3)?,
                    body: Bytes::from(row.try_get::<Vec<u8>, _>(4)?),
                }
                .read(),
            })
        })
        .collect()
}
