//! Removing what is past its time: ours, and what Celery's own clients and workers left.

use super::{DatabaseResults, SWEPT, write::date};
use crate::clock::before;
use crate::sql::{Kind, SqlError, Value};
use serde_json::json;

const PAST: &str =
    "SELECT task_id FROM celeriac_run WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";

/// Sweeps, and returns how many tasks and groups went.
pub(super) async fn sweep(results: &DatabaseResults) -> Result<u64, SqlError> {
    let tables = results.tables().await?;
    let now = results.clock.now();
    let ours = results
        .sql
        .transaction(true, async |link| {
            let values = vec![now.as_millisecond().into(), SWEPT.into()];
            let rows = link.rows(PAST, values, &[Kind::Text]).await?;
            let ids: Vec<String> = rows.into_iter().filter_map(|mut row| row.text()).collect();
            if ids.is_empty() {
                return Ok(0);
            }
            // One of them may be begun or renewed just now.
            tables.lock(link, ids.iter().map(String::as_str)).await?;
            let values = vec![
                Value::Text(Some(json!(ids).to_string())),
                now.as_millisecond().into(),
            ];
            let mut gone = 0;
            for table in ["celery_taskmeta", "celeriac_run"] {
                let past = tables.ids();
                let sql = format!(
                    "DELETE FROM {table} WHERE task_id IN (SELECT i.id FROM ({past}) i \
                     JOIN celeriac_run r ON r.task_id = i.id AND r.expires_at <= $2)"
                );
                gone = link.execute(&sql, values.clone()).await?;
            }
            Ok::<_, SqlError>(gone)
        })
        .await?;
    let Some(keep) = results.keep else {
        return Ok(ours);
    };
    let limit = date(before(now, keep));
    let theirs = results.sql.transaction(true, async |link| {
        let mut gone = 0;
        for sql in tables.left() {
            let values = vec![Value::text(&limit), SWEPT.into()];
            gone += link.execute(sql, values).await?;
        }
        Ok::<_, SqlError>(gone)
    });
    Ok(ours.saturating_add(theirs.await?))
}
