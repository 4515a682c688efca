//! The rows of the embedded bus.

use crate::celery::broadcast::EVENTS;
use crate::database::{Database, DatabaseError, SqliteConnection, Statement};

/// Most rows that are kept (1,000); the oldest go first.
pub(super) const ROWS: i64 = 1_000;
/// How long a row is kept, milliseconds (1 min): who listens reads within one.
pub(super) const KEPT: i64 = 60_000;
/// How long a monitor counts as listening since it said so, milliseconds.
pub(super) const LISTENS: i64 = 15_000;
/// Most rows of one look.
const LOOK: i64 = 100;

const LAST: &str = "SELECT coalesce(max(id), 0) FROM broadcasts";
const AFTER: &str = "SELECT id, message FROM broadcasts
    WHERE id > ?1 AND exchange = ?2 AND (key = ?3 OR ?2 = ?4) ORDER BY id LIMIT ?5";
const ANYBODY: &str = "SELECT EXISTS (SELECT 1 FROM monitors WHERE until > ?1)";
const INSERT: &str = "INSERT INTO broadcasts (exchange, key, message, at) VALUES (?1, ?2, ?3, ?4)";
const PRUNE: &str = "DELETE FROM broadcasts WHERE at < ?1
    OR id <= (SELECT max(id) FROM broadcasts) - ?2";
const RENEW: &str = "INSERT INTO monitors (name, until) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET until = excluded.until";
const FORGET: &str = "DELETE FROM monitors WHERE until <= ?1";

/// An exchange, and a key within it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) exchange: String,
    key: String,
}

impl Place {
    pub(super) fn of(exchange: &str, key: &str) -> Self {
        Self {
            exchange: exchange.to_owned(),
            key: key.to_owned(),
        }
    }
}

/// Returns the number of the newest row, or 0.
pub(super) async fn last(db: &Database) -> Result<i64, DatabaseError> {
    let mut conn = db.read().await?;
    Ok(sqlx::query_scalar(LAST).fetch_one(&mut *conn).await?)
}

/// Returns rows that came after one, oldest first. Of events, all keys.
pub(super) async fn after(
    db: &Database,
    place: &Place,
    last: i64,
) -> Result<Vec<(i64, String)>, DatabaseError> {
    let mut conn = db.read().await?;
    let rows = sqlx::query_as(AFTER)
        .bind(last)
        .bind(&place.exchange)
        .bind(&place.key)
        .bind(EVENTS)
        .bind(LOOK)
        .fetch_all(&mut *conn)
        .await?;
    Ok(rows)
}

/// Tells whether a monitor listens.
pub(super) async fn somebody_listens(db: &Database, now: i64) -> Result<bool, DatabaseError> {
    let mut conn = db.read().await?;
    Ok(sqlx::query_scalar(ANYBODY)
        .bind(now)
        .fetch_one(&mut *conn)
        .await?)
}

/// Leaves a message, and removes what is old.
#[derive(Debug)]
pub(super) struct Leave {
    pub(super) place: Place,
    pub(super) text: String,
    pub(super) now: i64,
}

impl Statement for Leave {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        let mut now = 0;
        for leave in batch {
            now = now.max(leave.now);
            sqlx::query(INSERT)
                .bind(&leave.place.exchange)
                .bind(&leave.place.key)
                .bind(&leave.text)
                .bind(leave.now)
                .execute(&mut *conn)
                .await?;
        }
        sqlx::query(PRUNE)
            .bind(now.saturating_sub(KEPT))
            .bind(ROWS)
            .execute(&mut *conn)
            .await?;
        Ok(vec![(); batch.len()])
    }

    fn weight(&self) -> usize {
        self.text.len()
    }
}

/// Says that a monitor listens.
#[derive(Debug)]
pub(super) struct Listen {
    pub(super) name: String,
    pub(super) now: i64,
}

impl Statement for Listen {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for listen in batch {
            sqlx::query(FORGET)
                .bind(listen.now)
                .execute(&mut *conn)
                .await?;
            sqlx::query(RENEW)
                .bind(&listen.name)
                .bind(listen.now.saturating_add(LISTENS))
                .execute(&mut *conn)
                .await?;
        }
        Ok(vec![(); batch.len()])
    }

    fn wakes(&self) -> bool {
        false
    }
}
