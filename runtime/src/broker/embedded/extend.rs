//! Extending leases.

use super::{Receipt, pairs};
use crate::database::{SqliteConnection, Statement};
use std::collections::HashSet;

/// A lease that lapsed is taken up again while nobody else took the message.
const EXTEND: &str = "UPDATE messages SET state = 2, due = ?2 WHERE id IN (
    SELECT m.id FROM json_each(?1) AS s CROSS JOIN messages AS m
    WHERE m.id = s.value ->> 0 AND m.lease = s.value ->> 1) RETURNING id, lease";

/// Extends leases; the output is those that were lost.
#[derive(Debug)]
pub(super) struct Extend {
    pub(super) receipts: Vec<Receipt>,
    pub(super) lease_end: i64,
}

impl Statement for Extend {
    type Output = Vec<Receipt>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Vec<Receipt>>, sqlx::Error> {
        let latest = batch
            .iter()
            .map(|extend| extend.lease_end)
            .max()
            .unwrap_or_default();
        let held: Vec<(i64, i64)> = sqlx::query_as(EXTEND)
            .bind(pairs(batch.iter().flat_map(|extend| &extend.receipts)))
            .bind(latest)
            .fetch_all(conn)
            .await?;
        let held: HashSet<Receipt> = held
            .into_iter()
            .map(|(message, lease)| Receipt { message, lease })
            .collect();
        let lost = |extend: &Self| {
            extend
                .receipts
                .iter()
                .filter(|receipt| !held.contains(receipt))
                .cloned()
                .collect()
        };
        Ok(batch.iter().map(lost).collect())
    }

    fn wakes(&self) -> bool {
        false
    }
}
