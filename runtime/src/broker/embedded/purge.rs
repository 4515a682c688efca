//! Emptying a queue.

use super::settle::remove_payloads;
use crate::database::{SqliteConnection, Statement};

/// Most messages removed in one transaction, so that workers are not held up.
const PURGED: i64 = 10_000;

const READY: &str = "DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE queue = ?1 AND state = 0 LIMIT ?2) RETURNING id";
const PARKED: &str = "DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE queue = ?1 AND state <> 0 AND state = 1 LIMIT ?2) RETURNING id";

/// Removes some waiting and parked messages; the output is how many.
#[derive(Debug)]
pub(super) struct Purge {
    pub(super) queue: String,
}

impl Statement for Purge {
    type Output = u64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<u64>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for purge in batch {
            let mut removed = 0;
            for sql in [READY, PARKED] {
                let ids: Vec<i64> = sqlx::query_scalar(sql)
                    .bind(&purge.queue)
                    .bind(PURGED)
                    .fetch_all(&mut *conn)
                    .await?;
                remove_payloads(conn, &ids).await?;
                removed += u64::try_from(ids.len()).unwrap_or(u64::MAX);
            }
            outputs.push(removed);
        }
        Ok(outputs)
    }

    fn wakes(&self) -> bool {
        false
    }
}
