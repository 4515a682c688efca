//! Which workers run, and what each of them has loaded.

use crate::database::{Database, DatabaseError, Statement};
use sqlx::SqliteConnection;
use std::time::Duration;

/// How long a worker counts as running after it was last seen (6 s): three of
/// the beats it gives every 2 s.
const FRESH: Duration = Duration::from_secs(6);

/// Says that a worker runs, and the newest generation it has loaded.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Announce {
    pub(in crate::registry) id: String,
    pub(in crate::registry) name: String,
    pub(in crate::registry) pid: u32,
    pub(in crate::registry) started_at_ms: i64,
    pub(in crate::registry) now_ms: i64,
    pub(in crate::registry) generation: u64,
    /// Whether the generation is a new one, for which somebody may wait.
    pub(in crate::registry) news: bool,
}

impl Statement for Announce {
    type Output = ();

    fn wakes(&self) -> bool {
        self.news
    }

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for one in batch {
            sqlx::query(
                "INSERT INTO workers (id, name, pid, started_at, seen_at, generation) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, generation = excluded.generation",
            )
            .bind(&one.id)
            .bind(&one.name)
            .bind(one.pid)
            .bind(one.started_at_ms)
            .bind(one.now_ms)
            .bind(i64::try_from(one.generation).unwrap_or(i64::MAX))
            .execute(&mut *conn)
            .await?;
        }
        Ok(vec![(); batch.len()])
    }
}

/// Says that a worker ended.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Leave {
    pub(in crate::registry) id: String,
}

impl Statement for Leave {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for one in batch {
            sqlx::query("DELETE FROM workers WHERE id = ?")
                .bind(&one.id)
                .execute(&mut *conn)
                .await?;
        }
        Ok(vec![(); batch.len()])
    }
}

/// Counts the workers that run, and those that have loaded `generation`.
pub(in crate::registry) async fn workers(
    database: &Database,
    generation: u64,
    now_ms: i64,
) -> Result<(u32, u32), DatabaseError> {
    let fresh = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
    let mut conn = database.read().await?;
    let sql =
        "SELECT count(*), count(*) FILTER (WHERE generation >= ?) FROM workers WHERE seen_at > ?";
    let counts = sqlx::query_as(sql)
        .bind(i64::try_from(generation).unwrap_or(i64::MAX))
        .bind(now_ms.saturating_sub(fresh))
        .fetch_one(&mut *conn)
        .await?;
    Ok(counts)
}
