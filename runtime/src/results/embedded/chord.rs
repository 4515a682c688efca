//! Counting the parts of a chord.

use crate::clock::after;
use crate::database::{SqliteConnection, Statement};
use crate::results::chord::{Ending, Expect, JOINED_BYTES, JoinPart, Joined};
use crate::task::Json;
use jiff::Timestamp;
use sqlx::Row as _;
use std::time::Duration;

/// How long one worker may take to send a body (30 s), as long as a lease.
const CLAIM: Duration = Duration::from_secs(30);

/// Where a chord is announced again, what is there stays.
const EXPECT: &str =
    "INSERT INTO chords (chord, size, structure, expires_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (chord) DO UPDATE SET size = excluded.size, structure = excluded.structure,
    expires_at = excluded.expires_at,
    done = CASE WHEN ?5 THEN chords.done ELSE 0 END,
    claim = CASE WHEN ?5 THEN chords.claim ELSE NULL END";

/// Announces a chord.
#[derive(Debug)]
pub(super) struct Announce {
    pub(super) chord: Expect,
    pub(super) now: i64,
}

impl Statement for Announce {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for Self { chord, now } in batch {
            sqlx::query(EXPECT)
                .bind(&chord.group)
                .bind(i64::try_from(chord.size).unwrap_or(i64::MAX))
                .bind(chord.structure.as_ref().map(Json::as_str))
                .bind(expiry(*now, chord.keep))
                .bind(chord.again)
                .execute(&mut *conn)
                .await?;
        }
        Ok(vec![(); batch.len()])
    }

    fn wakes(&self) -> bool {
        false
    }
}

/// Counts a part.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) part: JoinPart,
    pub(super) now: i64,
}

impl Statement for Count {
    type Output = Joined;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Joined>, sqlx::Error> {
        let mut outputs = Vec::with_capacity(batch.len());
        for count in batch {
            outputs.push(count.count(conn).await?);
        }
        Ok(outputs)
    }

    fn weight(&self) -> usize {
        match &self.part.end {
            Ending::Returned(value) => value.as_str().len(),
            Ending::Failed { exception, .. } => exception.message.len(),
        }
    }

    fn wakes(&self) -> bool {
        false
    }
}

impl Count {
    async fn count(&self, conn: &mut SqliteConnection) -> Result<Joined, sqlx::Error> {
        let Self { part, now } = self;
        // Parts may be over before their chord is announced by somebody else.
        sqlx::query(
            "INSERT INTO chords (chord, expires_at) VALUES (?1, ?2) ON CONFLICT (chord) DO NOTHING",
        )
        .bind(&part.group)
        .bind(expiry(*now, part.keep))
        .execute(&mut *conn)
        .await?;
        let row = sqlx::query(
            "SELECT size, structure, claim, claimed_until, done FROM chords WHERE chord = ?1",
        )
        .bind(&part.group)
        .fetch_one(&mut *conn)
        .await?;
        if row.try_get::<bool, _>("done")? {
            return Ok(Joined::Waiting);
        }
        keep(conn, part).await?;
        let (there, bytes): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(length(value)), 0) FROM chord_parts WHERE chord = ?1",
        )
        .bind(&part.group)
        .fetch_one(&mut *conn)
        .await?;
        let size: Option<i64> = row.try_get("size")?;
        if size.is_none_or(|size| there < size) {
            return Ok(Joined::Waiting);
        }
        let claim: Option<String> = row.try_get("claim")?;
        let until: Option<i64> = row.try_get("claimed_until")?;
        let until = until.filter(|until| until > now && claim.as_ref() != Some(&part.id));
        if let Some(until) = until {
            let until = Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX);
            return Ok(Joined::Held { until });
        }
        sqlx::query("UPDATE chords SET claim = ?2, claimed_until = ?3 WHERE chord = ?1")
            .bind(&part.group)
            .bind(&part.id)
            .bind(expiry(*now, Some(CLAIM)))
            .execute(&mut *conn)
            .await?;
        if u64::try_from(bytes).unwrap_or(0) > JOINED_BYTES {
            return Ok(Joined::TooLarge);
        }
        let structure: Option<String> = row.try_get("structure")?;
        Ok(Joined::Complete {
            parts: parts(conn, &part.group).await?,
            structure: structure.and_then(|text| Json::read(&text)),
        })
    }
}

/// Keeps a part, unless it is there.
async fn keep(conn: &mut SqliteConnection, part: &JoinPart) -> Result<(), sqlx::Error> {
    let place = part.index.map(|index| index.to_string());
    let (state, value) = match &part.end {
        Ending::Returned(value) => ("SUCCESS", value.to_string()),
        Ending::Failed { state, exception } => {
            (state.as_str(), serde_json::json!(exception).to_string())
        }
    };
    sqlx::query(
        "INSERT INTO chord_parts (chord, name, place, id, state, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (chord, name) DO NOTHING",
    )
    .bind(&part.group)
    .bind(format!("{}:{}", part.id, place.unwrap_or_default()))
    .bind(part.index)
    .bind(&part.id)
    .bind(state)
    .bind(value)
    .execute(conn)
    .await?;
    Ok(())
}

async fn parts(
    conn: &mut SqliteConnection,
    chord: &str,
) -> Result<Vec<(String, Ending)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, state, value FROM chord_parts WHERE chord = ?1 ORDER BY place IS NULL, place, name",
    )
    .bind(chord)
    .fetch_all(&mut *conn)
    .await?;
    let mut parts = Vec::with_capacity(rows.len());
    for row in rows {
        let (state, value): (String, String) = (row.try_get("state")?, row.try_get("value")?);
        let unreadable = |error: serde_json::Error| sqlx::Error::Decode(error.into());
        let end = match state.as_str() {
            "SUCCESS" => Ending::Returned(Json::read(&value).unwrap_or_else(Json::null)),
            _ => Ending::Failed {
                exception: serde_json::from_str(&value).map_err(unreadable)?,
                state,
            },
        };
        parts.push((row.try_get("id")?, end));
    }
    Ok(parts)
}

/// Forgets the parts of a chord whose body was sent.
#[derive(Debug)]
pub(super) struct Close {
    pub(super) chord: String,
}

impl Statement for Close {
    type Output = ();

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<()>, sqlx::Error> {
        for Self { chord } in batch {
            sqlx::query("UPDATE chords SET done = 1 WHERE chord = ?1")
                .bind(chord)
                .execute(&mut *conn)
                .await?;
            sqlx::query("DELETE FROM chord_parts WHERE chord = ?1")
                .bind(chord)
                .execute(&mut *conn)
                .await?;
        }
        Ok(vec![(); batch.len()])
    }

    fn wakes(&self) -> bool {
        false
    }
}

fn expiry(now: i64, keep: Option<Duration>) -> Option<i64> {
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX);
    keep.map(|keep| after(now, keep).as_millisecond())
}
