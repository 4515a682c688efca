//! Keys and values as rows, with a count of each module's beside them.

use super::super::ResultsError;
use super::super::shelf::{Kept, LARGEST, PAGE, Refused, Shelves, Space};
use super::{EmbeddedResults, unavailable};
use crate::database::{SqliteConnection, Statement};
use async_trait::async_trait;
use sqlx::Row as _;

const ONE: &str = "SELECT value FROM shelf_values WHERE module = ?1 AND key = ?2";
const KEYS: &str = "SELECT key FROM shelf_values WHERE module = ?1 ORDER BY key LIMIT ?2 OFFSET ?3";
const LENGTH: &str = "SELECT length(value) FROM shelf_values WHERE module = ?1 AND key = ?2";
const COUNTS: &str = "SELECT keys, bytes FROM shelves WHERE module = ?1";
const PUT: &str = "INSERT INTO shelf_values (module, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (module, key) DO UPDATE SET value = excluded.value";
const COUNT: &str = "INSERT INTO shelves (module, keys, bytes) VALUES (?1, ?2, ?3)
    ON CONFLICT (module) DO UPDATE SET keys = keys + excluded.keys, bytes = bytes + excluded.bytes";
const REMOVE: &str = "DELETE FROM shelf_values WHERE module = ?1 AND key = ?2";

/// Keeps values.
#[derive(Debug)]
struct Put {
    module: String,
    pairs: Vec<(String, Vec<u8>)>,
    space: Space,
}

/// Removes keys.
#[derive(Debug)]
struct Remove {
    module: String,
    keys: Vec<String>,
}

/// Counts up.
#[derive(Debug)]
struct Add {
    module: String,
    key: String,
    delta: u64,
    space: Space,
}

impl Statement for Put {
    type Output = Kept<()>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Self::Output>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for one in batch {
            let mut output = Ok(());
            for (key, value) in &one.pairs {
                output = put(conn, &one.module, key, value, one.space).await?;
                if output.is_err() {
                    break;
                }
            }
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn weight(&self) -> usize {
        let pairs = self.pairs.iter();
        pairs.map(|(key, value)| key.len() + value.len()).sum()
    }

    fn wakes(&self) -> bool {
        false
    }
}

impl Statement for Remove {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for one in batch {
            for key in &one.keys {
                if let Some(length) = length(conn, &one.module, key).await? {
                    sqlx::query(REMOVE)
                        .bind(&one.module)
                        .bind(key)
                        .execute(&mut *conn)
                        .await?;
                    count(conn, &one.module, -1, -(size(key) + length)).await?;
                }
            }
        }
        Ok(vec![(); batch.len()])
    }

    fn weight(&self) -> usize {
        self.keys.iter().map(String::len).sum()
    }

    fn wakes(&self) -> bool {
        false
    }
}

impl Statement for Add {
    type Output = Kept<u64>;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Self::Output>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for one in batch {
            outputs.push(add(conn, one).await?);
        }
        Ok(outputs)
    }

    fn wakes(&self) -> bool {
        false
    }
}

async fn add(conn: &mut SqliteConnection, add: &Add) -> Result<Kept<u64>, sqlx::Error> {
    let known: Option<Vec<u8>> = sqlx::query_scalar(ONE)
        .bind(&add.module)
        .bind(&add.key)
        .fetch_optional(&mut *conn)
        .await?;
    let known = known.map_or(Some(0), |digits| number(&digits));
    let sum = known.and_then(|known| known.checked_add(add.delta));
    let Some(sum) = sum.filter(|sum| *sum <= LARGEST) else {
        return Ok(Err(Refused::NotANumber));
    };
    let digits = sum.to_string().into_bytes();
    let kept = put(conn, &add.module, &add.key, &digits, add.space).await?;
    Ok(kept.map(|()| sum))
}

async fn put(
    conn: &mut SqliteConnection,
    module: &str,
    key: &str,
    value: &[u8],
    space: Space,
) -> Result<Kept<()>, sqlx::Error> {
    let old = length(conn, module, key).await?;
    let new_keys = i64::from(old.is_none());
    let new_bytes = match old {
        Some(old) => i64::try_from(value.len()).unwrap_or(i64::MAX) - old,
        None => size(key).saturating_add(i64::try_from(value.len()).unwrap_or(i64::MAX)),
    };
    let counts = sqlx::query(COUNTS)
        .bind(module)
        .fetch_optional(&mut *conn)
        .await?;
    let (keys, bytes): (i64, i64) = match counts {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (0, 0),
    };
    let over = |now: i64, more: i64, most: u64| {
        let sum = u64::try_from(now.saturating_add(more)).unwrap_or(0);
        more > 0 && sum > most
    };
    if over(keys, new_keys, space.keys) {
        return Ok(Err(Refused::TooManyKeys));
    }
    if over(bytes, new_bytes, space.bytes) {
        return Ok(Err(Refused::TooManyBytes));
    }
    sqlx::query(PUT)
        .bind(module)
        .bind(key)
        .bind(value)
        .execute(&mut *conn)
        .await?;
    count(conn, module, new_keys, new_bytes).await?;
    Ok(Ok(()))
}

async fn length(
    conn: &mut SqliteConnection,
    module: &str,
    key: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(LENGTH)
        .bind(module)
        .bind(key)
        .fetch_optional(&mut *conn)
        .await
}

async fn count(
    conn: &mut SqliteConnection,
    module: &str,
    keys: i64,
    bytes: i64,
) -> Result<(), sqlx::Error> {
    let count = sqlx::query(COUNT).bind(module).bind(keys).bind(bytes);
    count.execute(&mut *conn).await.map(drop)
}

fn size(key: &str) -> i64 {
    i64::try_from(key.len()).unwrap_or(i64::MAX)
}

/// Reads a number as it is written here, and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == digits).then_some(number)
}

#[async_trait]
impl Shelves for EmbeddedResults {
    async fn get(
        &self,
        module: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, ResultsError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = sqlx::query_scalar(ONE)
                .bind(module)
                .bind(key)
                .fetch_optional(&mut *conn)
                .await
                .map_err(|error| unavailable(error.into()))?;
            values.push(value);
        }
        Ok(values)
    }

    async fn set(
        &self,
        module: &str,
        pairs: Vec<(String, Vec<u8>)>,
        space: Space,
    ) -> Result<Kept<()>, ResultsError> {
        let module = module.to_owned();
        let put = Put {
            module,
            pairs,
            space,
        };
        self.db.write(put).await.map_err(unavailable)
    }

    async fn delete(&self, module: &str, keys: Vec<String>) -> Result<(), ResultsError> {
        let module = module.to_owned();
        let remove = Remove { module, keys };
        self.db.write(remove).await.map_err(unavailable)
    }

    async fn keys(&self, module: &str, after: u64) -> Result<Vec<String>, ResultsError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        sqlx::query_scalar(KEYS)
            .bind(module)
            .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| unavailable(error.into()))
    }

    async fn increment(
        &self,
        module: &str,
        key: String,
        delta: u64,
        space: Space,
    ) -> Result<Kept<u64>, ResultsError> {
        let add = Add {
            module: module.to_owned(),
            key,
            delta,
            space,
        };
        self.db.write(add).await.map_err(unavailable)
    }
}
