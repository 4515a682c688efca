//! Renewing the leases of begun runs.

use super::{BEGUN_KEPT, DatabaseResults};
use crate::clock::after;
use crate::sql::{SqlError, Value};
use crate::task::{Fence, TaskId};
use jiff::Timestamp;

/// Only the very run that took the fence, and only while it runs. A record that has a
/// shorter time to live than the lease gets a longer one.
const RENEW: &str = "UPDATE celeriac_run SET lease_until = $1, \
     expires_at = CASE WHEN expires_at < $2 THEN $2 ELSE expires_at END \
     WHERE task_id = $3 AND retries = $4 AND deliveries = $5 AND lease_until IS NOT NULL";
/// Most leases of one transaction: others wait for the file, or for a lock, meanwhile.
const TOGETHER: usize = 128;

/// Renews leases.
pub(super) async fn renew(
    results: &DatabaseResults,
    runs: Vec<(TaskId, Fence)>,
    until: Timestamp,
) -> Result<(), SqlError> {
    let tables = results.tables().await?;
    let kept = after(until, BEGUN_KEPT).as_millisecond();
    for runs in runs.chunks(TOGETHER) {
        let renewed = results.sql.transaction(true, async |link| {
            tables
                .lock(link, runs.iter().map(|(id, _)| id.as_str()))
                .await?;
            for (id, fence) in runs {
                let values = vec![
                    until.as_millisecond().into(),
                    kept.into(),
                    Value::text(id.as_str()),
                    i64::from(fence.retries).into(),
                    i64::from(fence.deliveries).into(),
                ];
                link.execute(RENEW, values).await?;
            }
            Ok::<_, SqlError>(())
        });
        renewed.await?;
    }
    Ok(())
}
