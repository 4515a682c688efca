//! Counting messages, by the indexes alone.

use super::Depth;
use crate::database::SqliteConnection;
use std::collections::BTreeMap;

/// What is due or lapsed counts as ready: the next fetch takes it.
const ALL: &str = "SELECT queue, 0, count(*) FROM messages WHERE state = 0 GROUP BY queue
    UNION ALL
    SELECT queue, CASE WHEN due <= ?1 THEN 0 ELSE state END AS now, count(*) FROM messages
    WHERE state IN (1, 2) GROUP BY queue, now
    UNION ALL
    SELECT queue, 3, count(*) FROM dead_letters GROUP BY queue";

const ONE: &str = "SELECT ?2, 0, count(*) FROM messages WHERE state = 0 AND queue = ?2
    UNION ALL
    SELECT queue, CASE WHEN due <= ?1 THEN 0 ELSE state END AS now, count(*) FROM messages
    WHERE state IN (1, 2) AND queue = ?2 GROUP BY queue, now
    UNION ALL
    SELECT ?2, 3, count(*) FROM dead_letters WHERE queue = ?2";

/// Counts the messages of one queue.
pub(super) async fn one(
    conn: &mut SqliteConnection,
    queue: &str,
    now: i64,
) -> Result<Depth, sqlx::Error> {
    let rows = sqlx::query_as(ONE)
        .bind(now)
        .bind(queue)
        .fetch_all(conn)
        .await?;
    Ok(add_up(rows).into_values().next().unwrap_or_default())
}

/// Counts the messages of every queue, by name.
pub(super) async fn all(
    conn: &mut SqliteConnection,
    now: i64,
) -> Result<Vec<(String, Depth)>, sqlx::Error> {
    let rows = sqlx::query_as(ALL).bind(now).fetch_all(conn).await?;
    Ok(add_up(rows).into_iter().collect())
}

fn add_up(rows: Vec<(String, i64, i64)>) -> BTreeMap<String, Depth> {
    let mut queues: BTreeMap<String, Depth> = BTreeMap::new();
    for (queue, state, count) in rows {
        let depth = queues.entry(queue).or_default();
        let count = u64::try_from(count).unwrap_or_default();
        match state {
            0 => depth.ready += count,
            1 => depth.parked = depth.parked.map(|parked| parked + count),
            2 => depth.leased = depth.leased.map(|leased| leased + count),
            _ => depth.dead += count,
        }
    }
    queues
}
