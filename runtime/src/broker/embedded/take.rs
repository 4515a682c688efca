//! Taking messages: the best that are ready become ours.

use super::payload::Payload;
use super::settle::GiveBack;
use super::{Delivery, FETCH_BYTES, Receipt, moment};
use crate::database::{Poster, SqliteConnection, Statement};
use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

/// Most parked or lapsed messages that one fetch makes ready; the next fetch,
/// which follows at once, goes on.
const PROMOTED: i64 = 1_000;

/// Parked rows that are due and leased rows whose lease lapsed become ready.
/// Their lease stays valid until somebody takes them.
///
/// A bare parameter in a LIMIT would have SQLite plan the query again whenever
/// its value changes; a sum does not.
const PROMOTE: &str = "UPDATE messages SET state = 0, due = 0 WHERE id IN (
    SELECT m.id FROM json_each(?1) AS q CROSS JOIN messages AS m
    WHERE m.queue = q.value AND m.state IN (1, 2) AND m.due <= ?2 LIMIT (?3 + 0))";

/// The earliest moment at which one of the queues has something new to take.
const NEXT_DUE: &str = "SELECT min(due) FROM (
    SELECT (SELECT due FROM messages WHERE queue = q.value AND state IN (1, 2) AND state = 1
        ORDER BY due LIMIT 1) AS due FROM json_each(?1) AS q
    UNION ALL
    SELECT (SELECT due FROM messages WHERE queue = q.value AND state IN (1, 2) AND state = 2
        ORDER BY due LIMIT 1) FROM json_each(?1) AS q)";

/// Takes the best ready messages of some queues.
#[derive(Debug)]
pub(super) struct Take {
    pub(super) queues: Vec<String>,
    pub(super) max: usize,
    pub(super) now: i64,
    pub(super) lease_end: i64,
    /// Whether to look first for what is due or lapsed. Otherwise that is done
    /// only when the queues hold less than what is wanted.
    pub(super) promote: bool,
    pub(super) poster: Poster,
}

impl Statement for Take {
    type Output = Taken;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<Taken>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for take in batch {
            outputs.push(take.run(conn).await?);
        }
        Ok(outputs)
    }

    fn wakes(&self) -> bool {
        false
    }
}

impl Take {
    async fn run(&self, conn: &mut SqliteConnection) -> Result<Taken, sqlx::Error> {
        let queues = serde_json::Value::from(self.queues.clone()).to_string();
        if self.promote {
            self.promote(conn, &queues).await?;
        }
        let mut rows = self.lease(conn).await?;
        if !self.promote
            && rows.len() < self.max
            && self.promote(conn, &queues).await?
            && rows.is_empty()
        {
            rows = self.lease(conn).await?;
        }
        let next_due = match rows.is_empty() {
            true => {
                sqlx::query_scalar(NEXT_DUE)
                    .bind(&queues)
                    .fetch_one(&mut *conn)
                    .await?
            }
            false => None,
        };
        Ok(Taken {
            rows,
            next_due,
            poster: self.poster.clone(),
        })
    }

    /// Makes ready what is due or lapsed, and tells whether there was anything.
    async fn promote(
        &self,
        conn: &mut SqliteConnection,
        queues: &str,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(PROMOTE)
            .bind(queues)
            .bind(self.now)
            .bind(PROMOTED)
            .execute(conn)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Leases the best messages, and returns them best first.
    async fn lease(&self, conn: &mut SqliteConnection) -> Result<Vec<TakenRow>, sqlx::Error> {
        let sql = lease_sql(self.queues.len());
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(i64::try_from(self.max).unwrap_or(i64::MAX))
            .bind(FETCH_BYTES)
            .bind(self.lease_end);
        for queue in &self.queues {
            query = query.bind(queue);
        }
        let rows = query.fetch_all(conn).await?;
        let mut rows = rows
            .iter()
            .map(TakenRow::read)
            .collect::<Result<Vec<_>, _>>()?;
        rows.sort_unstable_by_key(|row| (std::cmp::Reverse(row.priority), row.receipt.message));
        Ok(rows)
    }
}

/// Writes the query that leases from a number of queues. Each queue is looked at
/// by itself, so that its index gives the order and long queues are not sorted.
pub(super) fn lease_sql(queues: usize) -> String {
    let arm = |queue| {
        format!(
            "SELECT * FROM (SELECT id, priority, bytes FROM messages WHERE queue = ?{queue} AND state = 0 \
             ORDER BY priority DESC, id LIMIT (?1 + 0))"
        )
    };
    let arms = (0..queues)
        .map(|queue| arm(queue + 4))
        .collect::<Vec<_>>()
        .join(" UNION ALL ");
    format!(
        "UPDATE messages SET state = 2, due = ?3, lease = lease + 1, deliveries = deliveries + 1 WHERE id IN (
            SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY priority DESC, id ROWS UNBOUNDED PRECEDING) - bytes AS before
                FROM (SELECT * FROM ({arms}) ORDER BY priority DESC, id LIMIT (?1 + 0)))
            WHERE before < ?2)
         RETURNING id, lease, priority, queue, deliveries, ready_at,
            (SELECT envelope FROM payloads AS p WHERE p.id = messages.id),
            (SELECT body FROM payloads AS p WHERE p.id = messages.id)"
    )
}

/// A message that was taken, not decoded yet: that is work for the caller, not
/// for the one writer.
#[derive(Debug)]
struct TakenRow {
    receipt: Receipt,
    priority: i64,
    queue: String,
    deliveries: u32,
    ready_at: i64,
    payload: Payload,
}

impl TakenRow {
    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let body = Bytes::from(row.try_get::<Vec<u8>, _>(7)?);
        Ok(Self {
            receipt: Receipt {
                message: row.try_get(0)?,
                lease: row.try_get(1)?,
            },
            priority: row.try_get(2)?,
            queue: row.try_get(3)?,
            deliveries: row.try_get(4)?,
            ready_at: row.try_get(5)?,
            payload: Payload {
                envelope: row.try_get(6)?,
                body,
            },
        })
    }

    fn decode(self) -> Delivery {
        Delivery {
            queue: self.queue,
            message: self.payload.read(),
            receipt: self.receipt,
            deliveries: self.deliveries,
            ready_at: moment(self.ready_at),
            replaced: false,
        }
    }
}

/// What was taken. When nobody keeps it, because the caller of the fetch went
/// away, it gives the messages back.
#[derive(Debug)]
pub(super) struct Taken {
    rows: Vec<TakenRow>,
    next_due: Option<i64>,
    poster: Poster,
}

impl Taken {
    /// Returns the deliveries, if there are any.
    pub(super) fn keep(mut self) -> Option<Vec<Delivery>> {
        let rows = std::mem::take(&mut self.rows);
        let deliveries: Vec<_> = rows.into_iter().map(TakenRow::decode).collect();
        (!deliveries.is_empty()).then_some(deliveries)
    }

    /// Returns when there will be something, if nothing was taken.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.next_due
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let receipts = self.rows.drain(..).map(|row| row.receipt).collect();
        // Without room in the queue of the writer, the lease lapses instead.
        self.poster.post(GiveBack { receipts });
    }
}

/// The fixed queries, for the test that none of them reads a whole table.
#[cfg(test)]
pub(super) const QUERIES: [&str; 2] = [PROMOTE, NEXT_DUE];
