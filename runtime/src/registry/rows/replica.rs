//! A replica's rows: whose it is and how far, kills, and whom to serve. Where its modules
//! point is in [`super::goal`].

use super::number;
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::kills::Kill;
use crate::registry::store::{Store, Work};
use crate::sql::{Kind, Line, Row, Value};
use std::collections::HashSet;

/// What of a control plane is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Part {
    Modules,
    Kills,
    Tenants,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Kills => "kills",
            Self::Tenants => "tenants",
        }
    }
}

/// Where something was read, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Origin {
    pub(in crate::registry) server: String,
    pub(in crate::registry) installation: String,
    pub(in crate::registry) number: u64,
}

/// How far one part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Far {
    pub(in crate::registry) origin: Origin,
    /// What that was written as here.
    pub(in crate::registry) own: u64,
}

/// Reads how far a part is; `None` where it was never read.
pub(in crate::registry) async fn far(
    store: &Store,
    part: Part,
) -> Result<Option<Far>, RegistryError> {
    let sql = "SELECT server, installation, number, own FROM replica WHERE part = $1";
    let kinds = [Kind::Text, Kind::Text, Kind::Int, Kind::Int];
    let rows = store
        .rows(sql, vec![Value::text(part.word())], &kinds)
        .await?;
    let read = |mut row: Row| {
        Some(Far {
            origin: Origin {
                server: row.text()?,
                installation: row.text()?,
                number: row.int()?.unsigned_abs(),
            },
            own: row.int()?.unsigned_abs(),
        })
    };
    Ok(rows.into_iter().next().and_then(read))
}

/// Reads the tenants that were written down, in JSON.
pub(in crate::registry) async fn body(store: &Store) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT body FROM replica WHERE part = 'tenants'";
    let rows = store.rows(sql, Vec::new(), &[Kind::Text]).await?;
    Ok(rows.into_iter().next().and_then(|mut row| row.text()))
}

/// Counts what is in a file that was never a replica: modules, and tokens.
pub(in crate::registry) async fn own_things(store: &Store) -> Result<u64, RegistryError> {
    let sql = "SELECT (SELECT count(*) FROM modules) + (SELECT count(*) FROM tokens)";
    let rows = store.rows(sql, Vec::new(), &[Kind::Int]).await?;
    let count = rows.into_iter().next().and_then(|mut row| row.int());
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// Reads which components pointers name.
pub(in crate::registry) async fn pointed(store: &Store) -> Result<HashSet<Digest>, RegistryError> {
    let sql = "SELECT DISTINCT digest FROM versions";
    let rows = store.rows(sql, Vec::new(), &[Kind::Text]).await?;
    let named = rows.into_iter().filter_map(|mut row| row.text());
    Ok(named.filter_map(|text| text.parse().ok()).collect())
}

pub(super) async fn note(
    line: &mut Line<'_>,
    part: Part,
    (origin, own): (&Origin, u64),
    body: Option<&str>,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO replica (part, server, installation, number, own, body) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (part) DO UPDATE \
         SET server = excluded.server, installation = excluded.installation, \
           number = excluded.number, own = excluded.own, body = excluded.body";
    let values = vec![
        Value::text(part.word()),
        Value::text(&origin.server),
        Value::text(&origin.installation),
        Value::from(number(origin.number)),
        Value::from(number(own)),
        Value::maybe(body),
    ];
    line.execute(sql, values).await.map(drop)
}

/// Kills what a control plane kills, and nothing else.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Obey {
    pub(in crate::registry) origin: Origin,
    pub(in crate::registry) kills: Vec<Kill>,
}

impl Work for Obey {
    type Output = ();

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        line.execute("DELETE FROM kills", Vec::new()).await?;
        for kill in &self.kills {
            let sql = "INSERT INTO kills (tenant, kind, name, reason, hold, killed_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, kind, name) DO NOTHING";
            let mut values = super::kills::key(&kill.aim);
            values.extend([
                Value::text(&kill.reason),
                Value::from(i64::from(kill.hold)),
                Value::from(kill.killed_at.as_millisecond()),
            ]);
            line.execute(sql, values).await?;
        }
        let own = super::kills::grow(line).await?;
        note(line, Part::Kills, (&self.origin, own), None).await
    }
}

/// Writes down whom a control plane says to serve.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Serve {
    pub(in crate::registry) origin: Origin,
    pub(in crate::registry) tenants: String,
}

impl Work for Serve {
    type Output = ();

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        note(line, Part::Tenants, (&self.origin, 0), Some(&self.tenants)).await
    }
}

/// Forgets components whose files went to make room.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Unlist {
    pub(in crate::registry) digests: Vec<Digest>,
}

impl Work for Unlist {
    type Output = ();

    fn wakes(&self) -> bool {
        false
    }

    async fn work(&self, line: &mut Line<'_>) -> Result<(), sqlx::Error> {
        for digest in &self.digests {
            let sql = "DELETE FROM components WHERE digest = $1 \
                 AND digest NOT IN (SELECT digest FROM versions)";
            line.execute(sql, vec![Value::text(&digest.hex())]).await?;
        }
        Ok(())
    }
}
