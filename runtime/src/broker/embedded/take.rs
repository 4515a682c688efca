//! Taking messages: what is due or lapsed becomes ready, the best become ours.

use super::payload::{COLUMNS, Payload};
use super::settle::GiveBack;
use super::{Delivery, FETCH_BYTES, Receipt, list, moment};
use crate::database::{Poster, SqliteConnection, Statement};
use sqlx::{AssertSqlSafe, Row};

/// Most parked or lapsed messages that one fetch makes ready; the next fetch,
/// which follows at once, goes on.
const PROMOTED: i64 = 1_000;

/// A bare parameter in a LIMIT would have SQLite plan the query again whenever
/// its value changes; a sum does not.
///
/// Parked rows that are due and leased rows whose lease lapsed become ready.
/// Their lease stays valid until somebody takes them.
const PROMOTE: &str = "UPDATE messages SET state = 0, due = 0 WHERE id IN (
    SELECT m.id FROM json_each(?1) AS q CROSS JOIN messages AS m
    WHERE m.queue = q.value AND m.state <> 0 AND m.state IN (1, 2) AND m.due <= ?2 LIMIT (?3 + 0))";

/// The earliest moment at which one of the queues has something new to take.
const NEXT_DUE: &str = "SELECT min(due) FROM (
    SELECT (SELECT due FROM messages WHERE queue = q.value AND state <> 0 AND state = 1 ORDER BY due LIMIT 1) AS due
    FROM json_each(?1) AS q
    UNION ALL
    SELECT (SELECT due FROM messages WHERE queue = q.value AND state <> 0 AND state = 2 ORDER BY due LIMIT 1)
    FROM json_each(?1) AS q)";

/// Takes the best ready messages of some queues.
#[derive(Debug)]
pub(super) struct Take {
    pub(super) queues: Vec<String>,
    pub(super) max: usize,
    pub(super) now: i64,
    pub(super) lease_end: i64,
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
        sqlx::query(PROMOTE)
            .bind(&queues)
            .bind(self.now)
            .bind(PROMOTED)
            .execute(&mut *conn)
            .await?;
        let ids = self.lease(conn).await?;
        let (deliveries, next_due) = if ids.is_empty() {
            (
                Vec::new(),
                sqlx::query_scalar(NEXT_DUE)
                    .bind(&queues)
                    .fetch_one(&mut *conn)
                    .await?,
            )
        } else {
            (read(conn, &ids).await?, None)
        };
        Ok(Taken {
            deliveries,
            next_due,
            poster: self.poster.clone(),
        })
    }

    /// Leases the best messages, and returns their ids in no particular order.
    async fn lease(&self, conn: &mut SqliteConnection) -> Result<Vec<i64>, sqlx::Error> {
        let sql = lease_sql(self.queues.len());
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(i64::try_from(self.max).unwrap_or(i64::MAX))
            .bind(FETCH_BYTES)
            .bind(self.lease_end);
        for queue in &self.queues {
            query = query.bind(queue);
        }
        query.fetch_all(conn).await
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
            WHERE before < ?2) RETURNING id"
    )
}

async fn read(conn: &mut SqliteConnection, ids: &[i64]) -> Result<Vec<Delivery>, sqlx::Error> {
    static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        format!(
            "SELECT m.id, m.lease, m.queue, m.deliveries, m.ready_at, {COLUMNS} \
             FROM json_each(?1) AS taken CROSS JOIN messages AS m CROSS JOIN payloads AS p \
             WHERE m.id = taken.value AND p.id = m.id ORDER BY m.priority DESC, m.id"
        )
    });
    let rows = sqlx::query(AssertSqlSafe(SQL.as_str()))
        .bind(list(ids))
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Delivery {
                receipt: Receipt {
                    message: row.try_get(0)?,
                    lease: row.try_get(1)?,
                },
                queue: row.try_get(2)?,
                deliveries: row.try_get(3)?,
                ready_at: moment(row.try_get(4)?),
                message: Payload::read(row, 5)?.0,
            })
        })
        .collect()
}

/// What was taken. When nobody keeps it, because the caller of the fetch went
/// away, it gives the messages back.
#[derive(Debug)]
pub(super) struct Taken {
    deliveries: Vec<Delivery>,
    next_due: Option<i64>,
    poster: Poster,
}

impl Taken {
    /// Returns the deliveries, if there are any.
    pub(super) fn keep(mut self) -> Option<Vec<Delivery>> {
        let deliveries = std::mem::take(&mut self.deliveries);
        (!deliveries.is_empty()).then_some(deliveries)
    }

    /// Returns when there will be something, if nothing was taken.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.next_due
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        let receipts = self
            .deliveries
            .drain(..)
            .map(|delivery| delivery.receipt)
            .collect();
        // Without room in the queue of the writer, the lease lapses instead.
        self.poster.post(GiveBack { receipts });
    }
}

/// The fixed queries, for the test that none of them reads a whole table.
#[cfg(test)]
pub(super) const QUERIES: [&str; 2] = [PROMOTE, NEXT_DUE];
