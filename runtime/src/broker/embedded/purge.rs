//! Emptying a queue.

use crate::broker::Purge;
use crate::database::{SqliteConnection, Statement};

/// Most messages removed in one transaction, so that workers are not held up.
const PURGED: i64 = 10_000;

const READY: &str = "DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE queue = ?1 AND state = 0 AND id < ?3 LIMIT (?2 + 0))";
const PARKED: &str = "DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE queue = ?1 AND state IN (1, 2) AND state = 1 AND id < ?3
    LIMIT (?2 + 0))";
/// The messages of dead letters, which go with them.
const BURIED: &str = "DELETE FROM messages WHERE id IN (
    SELECT message FROM dead_letters WHERE queue = ?1 AND message < ?3
    ORDER BY number LIMIT (?2 + 0))";
/// Dead letters whose messages are gone.
const GRAVES: &str = "DELETE FROM dead_letters WHERE number IN (
    SELECT number FROM dead_letters AS d WHERE queue = ?1 AND message < ?3
        AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = d.message)
    ORDER BY number LIMIT (?2 + 0))";

/// Returns the id that the next message will have: what a purge leaves alone.
#[derive(Debug)]
pub(super) struct Next;

impl Statement for Next {
    type Output = i64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<i64>, sqlx::Error> {
        let next = sqlx::query_scalar("SELECT next FROM message_ids")
            .fetch_one(conn)
            .await?;
        Ok(vec![next; batch.len()])
    }

    fn wakes(&self) -> bool {
        false
    }
}

/// Removes some messages that are older than an id; the output is how many.
#[derive(Debug)]
pub(super) struct Remove {
    pub(super) queue: String,
    pub(super) what: Purge,
    pub(super) before: i64,
}

impl Statement for Remove {
    type Output = u64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<u64>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for remove in batch {
            outputs.push(match remove.what {
                Purge::Waiting => remove.run(conn, READY).await? + remove.run(conn, PARKED).await?,
                Purge::Dead => {
                    remove.run(conn, BURIED).await?;
                    remove.run(conn, GRAVES).await?
                }
            });
        }
        Ok(outputs)
    }

    fn wakes(&self) -> bool {
        false
    }
}

impl Remove {
    async fn run(
        &self,
        conn: &mut SqliteConnection,
        sql: &'static str,
    ) -> Result<u64, sqlx::Error> {
        let done = sqlx::query(sql)
            .bind(&self.queue)
            .bind(PURGED)
            .bind(self.before)
            .execute(conn)
            .await?;
        Ok(done.rows_affected())
    }
}
