//! Which workers run, and what each of them has loaded.

use crate::database::{Database, DatabaseError, Statement};
use crate::registry::presence::Wanted;
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
    /// How many changes of kills it obeys.
    pub(in crate::registry) kills: u64,
    /// Whether one of the two is new: somebody may wait for that.
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
                "INSERT INTO workers (id, name, pid, started_at, seen_at, generation, kills) VALUES (?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, generation = excluded.generation, \
                 kills = excluded.kills",
            )
            .bind(&one.id)
            .bind(&one.name)
            .bind(one.pid)
            .bind(one.started_at_ms)
            .bind(one.now_ms)
            .bind(i64::try_from(one.generation).unwrap_or(i64::MAX))
            .bind(i64::try_from(one.kills).unwrap_or(i64::MAX))
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

/// Counts the workers that run, and those that are as far as `wanted`.
pub(in crate::registry) async fn workers(
    database: &Database,
    wanted: Wanted,
    now_ms: i64,
) -> Result<(u32, u32), DatabaseError> {
    let fresh = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
    let mut conn = database.read().await?;
    let (sql, number) = match wanted {
        Wanted::Generation(number) => (
            "SELECT count(*), count(*) FILTER (WHERE generation >= ?) FROM workers WHERE seen_at > ?",
            number,
        ),
        Wanted::Kills(number) => (
            "SELECT count(*), count(*) FILTER (WHERE kills >= ?) FROM workers WHERE seen_at > ?",
            number,
        ),
    };
    let counts = sqlx::query_as(sql)
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .bind(now_ms.saturating_sub(fresh))
        .fetch_one(&mut *conn)
        .await?;
    Ok(counts)
}
