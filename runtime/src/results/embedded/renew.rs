//! Renewing the leases of begun runs.

use super::BEGUN_KEPT;
use crate::database::{SqliteConnection, Statement};
use crate::task::{Fence, TaskId};

/// Only the very run that took the fence, and only while it runs. A record that
/// has a shorter time to live than the lease gets a longer one.
const RENEW: &str = "UPDATE results SET lease_until = s.until,
        expires_at = CASE WHEN expires_at IS NULL THEN NULL ELSE max(expires_at, s.until + ?2) END
    FROM (SELECT value ->> 0 AS id, value ->> 1 AS retries, value ->> 2 AS deliveries, value ->> 3 AS until
        FROM json_each(?1)) AS s
    WHERE results.id = s.id AND results.retries = s.retries AND results.deliveries = s.deliveries
        AND results.lease_until IS NOT NULL AND results.final = 0";

/// Renews leases.
#[derive(Debug)]
pub(super) struct Renew {
    pub(super) runs: Vec<(TaskId, Fence)>,
    pub(super) until: i64,
}

impl Statement for Renew {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        let rows: Vec<_> = batch
            .iter()
            .flat_map(|renew| renew.runs.iter().map(|run| (run, renew.until)))
            .map(|((id, fence), until)| {
                serde_json::json!([id.as_str(), fence.retries, fence.deliveries, until])
            })
            .collect();
        sqlx::query(RENEW)
            .bind(serde_json::Value::from(rows).to_string())
            .bind(i64::try_from(BEGUN_KEPT.as_millis()).unwrap_or(i64::MAX))
            .execute(conn)
            .await?;
        Ok(vec![(); batch.len()])
    }

    fn wakes(&self) -> bool {
        false
    }
}
