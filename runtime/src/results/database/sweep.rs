//! Removing what is past its time: ours, and what Celery's own clients and workers left.

use super::{DatabaseResults, SWEPT, write::date};
use crate::clock::before;
use crate::sql::{Kind, SqlError, Value};
use serde_json::json;

const PAST: &str =
    "SELECT task_id FROM celeriac_run WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";

/// What is older than `$1`, at most `$2` rows, and not ours to say when it is over.
const LEFT: [&str; 2] = [
    "DELETE FROM celery_taskmeta WHERE id IN (SELECT t.id FROM celery_taskmeta t \
     WHERE t.date_done < $1 AND NOT EXISTS \
     (SELECT 1 FROM celeriac_run r WHERE r.task_id = t.task_id) LIMIT $2)",
    "DELETE FROM celery_tasksetmeta WHERE id IN (SELECT t.id FROM celery_tasksetmeta t \
     WHERE t.date_done < $1 LIMIT $2)",
];

/// Sweeps, and returns how many tasks and groups went.
pub(super) async fn sweep(results: &DatabaseResults) -> Result<u64, SqlError> {
    results.tables().await?;
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
            let ids = Value::Text(Some(json!(ids).to_string()));
            let mut gone = 0;
            for table in ["celery_taskmeta", "celeriac_run"] {
                let sql = format!(
                    "DELETE FROM {table} WHERE task_id IN (SELECT value FROM json_each($1))"
                );
                gone = link.execute(&sql, vec![ids.clone()]).await?;
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
        for sql in LEFT {
            let values = vec![Value::text(&limit), SWEPT.into()];
            gone += link.execute(sql, values).await?;
        }
        Ok::<_, SqlError>(gone)
    });
    Ok(ours.saturating_add(theirs.await?))
}
