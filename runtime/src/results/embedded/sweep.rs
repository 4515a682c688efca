//! Removing records past their time.

use super::SWEPT;
use crate::database::{SqliteConnection, Statement};

const SWEEP: &str = "DELETE FROM results WHERE rowid IN (
    SELECT rowid FROM results WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

const SWEEP_PARTS: &str = "DELETE FROM chord_parts WHERE chord IN (
    SELECT chord FROM chords WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
const SWEEP_CHORDS: &str = "DELETE FROM chords WHERE rowid IN (
    SELECT rowid FROM chords WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
/// Most chords removed by one sweep: each may have thousands of parts.
const CHORDS: i64 = 100;

/// Removes expired records; the output is how many.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) now: i64,
}

impl Statement for Sweep {
    type Output = u64;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<u64>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for sweep in batch {
            let limit = i64::try_from(SWEPT).unwrap_or(i64::MAX);
            let done = sqlx::query(SWEEP)
                .bind(sweep.now)
                .bind(limit)
                .execute(&mut *conn)
                .await?;
            for sql in [SWEEP_PARTS, SWEEP_CHORDS] {
                sqlx::query(sql)
                    .bind(sweep.now)
                    .bind(CHORDS)
                    .execute(&mut *conn)
                    .await?;
            }
            outputs.push(done.rows_affected());
        }
        Ok(outputs)
    }

    fn wakes(&self) -> bool {
        false
    }
}
