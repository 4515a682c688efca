//! Emptying a queue.

use crate::database::{SqliteConnection, Statement};

/// Most messages removed in one transaction, so that workers are not held up.
const PURGED: i64 = 10_000;

const READY: &str = "DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE queue = ?1 AND state = 0 LIMIT (?2 + 0))";
const PARKED: &str = "DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE queue = ?1 AND state IN (1, 2) AND state = 1 LIMIT (?2 + 0))";

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
                let done = sqlx::query(sql)
                    .bind(&purge.queue)
                    .bind(PURGED)
                    .execute(&mut *conn)
                    .await?;
                removed += done.rows_affected();
            }
            outputs.push(removed);
        }
        Ok(outputs)
    }

    fn wakes(&self) -> bool {
        false
    }
}
