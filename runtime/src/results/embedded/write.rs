//! Writing states and results, conditional on the fence.

use super::super::{Write, Written};
use super::rounds;
use crate::clock::after;
use crate::database::rows::{Insert, parts};
use crate::database::{SqliteConnection, Statement};
use jiff::Timestamp;
use std::collections::HashSet;

/// A record past its time does not stand in the way. A run that goes on keeps
/// its lease.
static WRITE: Insert = Insert::new(
    "results (id, task, retries, deliveries, state, final, result, exception, due, worker,
     queue_wait_ms, run_us, cpu_us, memory_peak_bytes, log, written_at, expires_at,
     bytes_in, bytes_out, host_calls, uses)",
    21,
    "ON CONFLICT (id) DO UPDATE SET task = excluded.task, retries = excluded.retries,
     deliveries = excluded.deliveries, state = excluded.state, final = excluded.final, result = excluded.result,
     exception = excluded.exception, due = excluded.due, worker = excluded.worker,
     queue_wait_ms = excluded.queue_wait_ms, run_us = excluded.run_us, cpu_us = excluded.cpu_us,
     memory_peak_bytes = excluded.memory_peak_bytes, log = excluded.log, written_at = excluded.written_at,
     lease_until = CASE WHEN excluded.final = 1 OR excluded.state = 'RETRY' THEN NULL ELSE results.lease_until END,
     expires_at = excluded.expires_at, bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out,
     host_calls = excluded.host_calls, uses = excluded.uses
     WHERE (results.final = 0
        AND (results.retries, results.deliveries) <= (excluded.retries, excluded.deliveries))
        OR results.expires_at <= excluded.written_at
     RETURNING id",
);

/// Stores a state.
#[derive(Debug)]
pub(super) struct Put {
    write: Write,
    exception: Option<String>,
    uses: Option<String>,
    now: i64,
}

impl Put {
    pub(super) fn new(mut write: Write, now: i64) -> Self {
        let exception = write
            .exception
            .take()
            .map(|exception| serde_json::json!(exception).to_string());
        let uses = &write.usage.uses;
        let uses = (!uses.is_none()).then(|| serde_json::json!(uses).to_string());
        Self {
            write,
            exception,
            uses,
            now,
        }
    }

    fn expires_at(&self) -> Option<i64> {
        let now = Timestamp::from_millisecond(self.now).unwrap_or(Timestamp::MAX);
        self.write
            .keep
            .map(|keep| after(now, keep).as_millisecond())
    }
}

impl Statement for Put {
    type Output = Written;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Written>, sqlx::Error> {
        let mut outputs = vec![Written::Refused; batch.len()];
        for round in rounds(batch, |put| &put.write.id) {
            for part in parts(&round) {
                let stored = upsert(conn, part).await?;
                for (index, put) in part {
                    if let Some(output) = outputs
                        .get_mut(*index)
                        .filter(|_| stored.contains(put.write.id.as_str()))
                    {
                        *output = Written::Stored;
                    }
                }
            }
        }
        Ok(outputs)
    }

    fn weight(&self) -> usize {
        self.write.result.as_ref().map_or(0, bytes::Bytes::len)
            + self.write.log.as_ref().map_or(0, String::len)
            + self.exception.as_ref().map_or(0, String::len)
    }
}

async fn upsert(
    conn: &mut SqliteConnection,
    part: &[(usize, &Put)],
) -> Result<HashSet<String>, sqlx::Error> {
    let mut query = sqlx::query_scalar::<_, String>(WRITE.sql(part.len()));
    for (_, put) in part {
        let Write {
            id,
            task,
            fence,
            state,
            result,
            due,
            worker,
            usage,
            log,
            ..
        } = &put.write;
        query = query
            .bind(id.as_str())
            .bind(task)
            .bind(fence.retries)
            .bind(fence.deliveries)
            .bind(state.as_str())
            .bind(put.write.is_last())
            .bind(result.as_deref())
            .bind(put.exception.as_deref())
            .bind(due.map(|due| due.as_millisecond()))
            .bind(worker)
            .bind(signed(usage.queue_wait_ms))
            .bind(signed(usage.run_us))
            .bind(signed(usage.cpu_us))
            .bind(signed(usage.memory_peak_bytes))
            .bind(log.as_deref())
            .bind(put.now)
            .bind(put.expires_at())
            .bind(signed(usage.bytes_in))
            .bind(signed(usage.bytes_out))
            .bind(signed(usage.host_calls))
            .bind(put.uses.as_deref());
    }
    Ok(query.fetch_all(conn).await?.into_iter().collect())
}

/// SQLite's integers are signed; no run uses more than they hold.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
