//! Which workers run, and what each of them has loaded.

use super::{number, version};
use crate::registry::error::RegistryError;
use crate::registry::presence::Wanted;
use crate::registry::store::{Store, Work};
use crate::sql::{Kind, Line, Row, Value};
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

impl Work for Announce {
    type Output = ();

    fn wakes(&self) -> bool {
        self.news
    }

    fn is_alone(&self) -> bool {
        false
    }

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO workers (id, name, pid, started_at, seen_at, generation, kills) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE \
             SET seen_at = excluded.seen_at, generation = excluded.generation, \
             kills = excluded.kills";
        let values = vec![
            Value::text(&self.id),
            Value::text(&self.name),
            Value::from(i64::from(self.pid)),
            Value::from(self.started_at_ms),
            Value::from(self.now_ms),
            Value::from(number(self.generation)),
            Value::from(number(self.kills)),
        ];
        line.execute(sql, values).await.map(drop)
    }
}

/// Says that a worker ended.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Leave {
    pub(in crate::registry) id: String,
}

impl Work for Leave {
    type Output = ();

    fn is_alone(&self) -> bool {
        false
    }

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM workers WHERE id = $1";
        line.execute(sql, vec![Value::text(&self.id)])
            .await
            .map(drop)
    }
}

/// Counts the workers that run, and those that are as far as `wanted`.
pub(in crate::registry) async fn workers(
    store: &Store,
    wanted: Wanted,
    now_ms: i64,
) -> Result<(u32, u32), RegistryError> {
    let fresh = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
    let (sql, far) = match wanted {
        Wanted::Generation(number) => (
            "SELECT count(*), count(*) FILTER (WHERE generation >= $1) FROM workers WHERE seen_at > $2",
            number,
        ),
        Wanted::Kills(number) => (
            "SELECT count(*), count(*) FILTER (WHERE kills >= $1) FROM workers WHERE seen_at > $2",
            number,
        ),
    };
    let values = vec![
        Value::from(number(far)),
        Value::from(now_ms.saturating_sub(fresh)),
    ];
    let rows = store.rows(sql, values, &[Kind::Int, Kind::Int]).await?;
    let mut row = rows.into_iter().next();
    let mut count = || version(row.as_mut().and_then(Row::int));
    Ok((count(), count()))
}
