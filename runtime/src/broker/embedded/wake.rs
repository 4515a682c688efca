//! Waking: what is parked becomes ready before its time.

use crate::database::{SqliteConnection, Statement};

/// Most messages that one statement wakes, so that it stays short.
const WOKEN: i64 = 1_000;

/// Those that are due already are left to whoever takes next.
const WAKE: &str = "UPDATE messages SET state = 0, due = 0, ready_at = ?2 WHERE id IN (
    SELECT id FROM messages
    WHERE queue = ?1 AND state IN (1, 2) AND state = 1 AND due > ?2 AND due <= ?3 LIMIT (?4 + 0))";

/// Makes parked messages of a queue ready; the output is how many.
#[derive(Debug)]
pub(super) struct Wake {
    pub(super) queue: String,
    pub(super) now: i64,
    pub(super) until: i64,
}

impl Statement for Wake {
    type Output = u64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<u64>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for wake in batch {
            let done = sqlx::query(WAKE)
                .bind(&wake.queue)
                .bind(wake.now)
                .bind(wake.until)
                .bind(WOKEN)
                .execute(&mut *conn)
                .await?;
            outputs.push(done.rows_affected());
        }
        Ok(outputs)
    }
}

/// The fixed query, for the test that none of them reads a whole table.
#[cfg(test)]
pub(super) const QUERIES: [&str; 1] = [WAKE];
