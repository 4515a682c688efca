//! Revocations as rows, for every worker on the file.

use super::super::ResultsError;
use super::super::orders::{
    Ask, Mark, Orders, PAGE, REVOCATIONS, Revocation, STAMP_BYTES, Spending, Target, Totals,
};
use super::{EmbeddedResults, SYSTEM, unavailable};
use crate::database::{SqliteConnection, Statement};
use crate::task::{TaskId, Turn};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A row of its own for every order, at the end, in the place of an earlier one.
const INSERT: &str = "INSERT OR REPLACE INTO revocations (stamp, value, terminate, expires_at)
    SELECT ?1, ?2, max(?3, coalesce((SELECT terminate FROM revocations WHERE stamp = ?1 AND value = ?2), 0)), ?4";
const TRIM: &str = "DELETE FROM revocations WHERE expires_at <= ?1 OR place <=
    (SELECT place FROM revocations ORDER BY place DESC LIMIT 1 OFFSET ?2)";
const AFTER: &str = "SELECT place, stamp, value, terminate, expires_at FROM revocations
    WHERE place > ?1 ORDER BY place LIMIT ?2";

/// Records revocations.
#[derive(Debug)]
struct Revoke {
    revocations: Vec<Revocation>,
    now: i64,
}

impl Statement for Revoke {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for revoke in batch {
            for one in &revoke.revocations {
                let (stamp, value) = match &one.target {
                    Target::Task(id) => ("", id.as_str()),
                    Target::Stamp { name, value } => (name.as_str(), value.as_str()),
                };
                sqlx::query(INSERT)
                    .bind(stamp)
                    .bind(value)
                    .bind(one.terminate)
                    .bind(one.until.as_millisecond())
                    .execute(&mut *conn)
                    .await?;
            }
            sqlx::query(TRIM)
                .bind(revoke.now)
                .bind(i64::try_from(REVOCATIONS).unwrap_or(i64::MAX))
                .execute(&mut *conn)
                .await?;
        }
        Ok(vec![(); batch.len()])
    }

    fn weight(&self) -> usize {
        self.revocations.len().saturating_mul(STAMP_BYTES)
    }

    fn wakes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Orders for EmbeddedResults {
    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<(), ResultsError> {
        let now = self.db.clock().now_ms();
        let revoke = Revoke { revocations, now };
        self.db.write(revoke).await.map_err(unavailable)
    }

    async fn revoked(
        &self,
        after: Option<&Mark>,
    ) -> Result<(Vec<Revocation>, Option<Mark>), ResultsError> {
        let place: i64 = after.map_or(0, |mark| mark.0.parse().unwrap_or_default());
        let mut conn = self.db.read().await.map_err(unavailable)?;
        let rows = sqlx::query(AFTER)
            .bind(place)
            .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| unavailable(error.into()))?;
        let read: Result<Vec<_>, sqlx::Error> = rows.iter().map(read).collect();
        let read = read.map_err(|error| unavailable(error.into()))?;
        let mark = read.last().map(|(place, _)| Mark(place.to_string()));
        let revocations = read.into_iter().filter_map(|(_, one)| one).collect();
        Ok((revocations, mark.or_else(|| after.cloned())))
    }

    async fn turn(&self, _ask: Ask) -> Result<Turn, ResultsError> {
        Err(ResultsError::Misconfigured {
            system: SYSTEM,
            reason: "workers share rates through Redis alone; use rate_limit_scope = \"worker\""
                .to_owned(),
        })
    }

    async fn spend(&self, spending: Spending) -> Result<Totals, ResultsError> {
        self.db.write(spending).await.map_err(unavailable)
    }
}

/// A row of somebody else, whose id is none, is passed over.
fn read(row: &SqliteRow) -> Result<(i64, Option<Revocation>), sqlx::Error> {
    let (stamp, value): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let target = match stamp {
        "" => TaskId::parse(value).ok().map(Target::Task),
        name => Some(Target::Stamp {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
    };
    let terminate: bool = row.try_get(3)?;
    let until = Timestamp::from_millisecond(row.try_get(4)?).unwrap_or(Timestamp::MAX);
    let revocation = target.map(|target| Revocation {
        target,
        terminate,
        until,
    });
    Ok((row.try_get(0)?, revocation))
}
