//! Settling: the end of a delivery, for those that still hold the lease.

use super::graves::{self, Grave};
use super::publish::Letter;
use super::{Receipt, Settlement, milliseconds, pairs};
use crate::database::{SqliteConnection, Statement};
use std::collections::HashSet;

const ACK: &str = "DELETE FROM messages WHERE id IN (
    SELECT m.id FROM json_each(?1) AS s CROSS JOIN messages AS m
    WHERE m.id = s.value ->> 0 AND m.lease = s.value ->> 1) RETURNING id";

/// The lease grows, so that the receipt is worth nothing any more.
const REQUEUE: &str = "UPDATE messages
    SET state = 0, due = 0, lease = lease + 1, deliveries = max(deliveries - ?2, 0) WHERE id IN (
    SELECT m.id FROM json_each(?1) AS s CROSS JOIN messages AS m
    WHERE m.id = s.value ->> 0 AND m.lease = s.value ->> 1) RETURNING id";

const PARK: &str = "UPDATE messages
    SET state = 1, due = s.due, ready_at = s.due, lease = messages.lease + 1, deliveries = max(deliveries - 1, 0)
    FROM (SELECT value ->> 0 AS id, value ->> 1 AS lease, value ->> 2 AS due FROM json_each(?1)) AS s
    WHERE messages.id = s.id AND messages.lease = s.lease RETURNING messages.id";

/// Ends one delivery; the output tells whether the lease was still held.
#[derive(Debug)]
pub(super) struct Settle {
    pub(super) receipt: Receipt,
    pub(super) settlement: Settlement,
    pub(super) now: i64,
    /// What takes the place of the message first.
    pub(super) other: Option<Letter>,
}

impl Statement for Settle {
    type Output = bool;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<bool>, sqlx::Error> {
        let (mut acks, mut parks, mut graves) = (Vec::new(), Vec::new(), Vec::new());
        let (mut requeues, mut returns) = (Vec::new(), Vec::new());
        for Self {
            receipt,
            settlement,
            now,
            other,
        } in batch
        {
            if let Some(other) = other {
                other.replace(conn, receipt).await?;
            }
            match settlement {
                Settlement::Ack => acks.push(receipt),
                Settlement::Requeue => requeues.push(receipt),
                Settlement::Return => returns.push(receipt),
                Settlement::Park(until) => parks.push((receipt, milliseconds(*until))),
                Settlement::DeadLetter { reason } => graves.push(Grave {
                    receipt,
                    reason,
                    died_at: *now,
                }),
            }
        }
        let mut settled = HashSet::new();
        settled.extend(ack(conn, &acks).await?);
        settled.extend(requeue(conn, &requeues, 1).await?);
        settled.extend(requeue(conn, &returns, 0).await?);
        settled.extend(park(conn, &parks).await?);
        settled.extend(graves::bury(conn, &graves).await?);
        // Of two that settle one receipt, only the first did.
        Ok(batch
            .iter()
            .map(|settle| settled.remove(&settle.receipt.message))
            .collect())
    }

    fn wakes(&self) -> bool {
        self.settlement != Settlement::Ack
    }

    fn weight(&self) -> usize {
        self.other.as_ref().map_or(0, Letter::bytes)
    }
}

/// Gives messages back that were taken for a caller that went away.
#[derive(Debug)]
pub(super) struct GiveBack {
    pub(super) receipts: Vec<Receipt>,
}

impl Statement for GiveBack {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        let receipts: Vec<_> = batch.iter().flat_map(|back| &back.receipts).collect();
        requeue(conn, &receipts, 1).await?;
        Ok(vec![(); batch.len()])
    }
}

async fn ack(conn: &mut SqliteConnection, receipts: &[&Receipt]) -> Result<Vec<i64>, sqlx::Error> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(ACK)
        .bind(pairs(receipts.iter().copied()))
        .fetch_all(conn)
        .await
}

async fn requeue(
    conn: &mut SqliteConnection,
    receipts: &[&Receipt],
    forgotten: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(REQUEUE)
        .bind(pairs(receipts.iter().copied()))
        .bind(forgotten)
        .fetch_all(conn)
        .await
}

async fn park(
    conn: &mut SqliteConnection,
    parks: &[(&Receipt, i64)],
) -> Result<Vec<i64>, sqlx::Error> {
    if parks.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = parks
        .iter()
        .map(|(receipt, due)| serde_json::json!([receipt.message, receipt.lease, due]))
        .collect();
    sqlx::query_scalar(PARK)
        .bind(serde_json::Value::from(rows).to_string())
        .fetch_all(conn)
        .await
}

/// The fixed queries, for the test that none of them reads a whole table.
#[cfg(test)]
pub(super) const QUERIES: [&str; 3] = [ACK, REQUEUE, PARK];
