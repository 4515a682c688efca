//! What is read for workers that follow over HTTP.

use super::release::release;
use super::{digest, version};
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::store::Store;
use crate::sql::{Kind, Row, Value};
use crate::task::Release;

/// Where a module points, without what its component says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Place {
    pub(in crate::registry) tenant: String,
    pub(in crate::registry) module: String,
    pub(in crate::registry) version: u32,
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) bytes: u64,
    pub(in crate::registry) pushed_at_ms: i64,
    pub(in crate::registry) release: Option<Release>,
    pub(in crate::registry) pinned: bool,
    /// Of a canary; `None` for the current version.
    pub(in crate::registry) canary: Option<Rules>,
}

/// How a canary runs, as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) struct Rules {
    pub(in crate::registry) share: i64,
    pub(in crate::registry) runs: i64,
    pub(in crate::registry) points: i64,
    pub(in crate::registry) began_at_ms: i64,
}

/// All places at one generation.
#[derive(Debug, Default)]
pub(in crate::registry) struct Places {
    pub(in crate::registry) installation: String,
    pub(in crate::registry) generation: u64,
    /// By tenant and module, the current version before its canary.
    pub(in crate::registry) places: Vec<Place>,
}

const PLACES: &str = "SELECT r.installation, r.generation, v.tenant, v.module, v.version, \
       v.digest, c.bytes, v.pushed_at, v.release, m.pinned, \
       CASE WHEN v.version = m.current THEN NULL ELSE k.share END, k.runs, k.points, k.began_at \
     FROM registry r LEFT JOIN (modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name \
         JOIN components c ON c.digest = v.digest \
         LEFT JOIN canaries k ON k.tenant = v.tenant AND k.module = v.module \
           AND k.version = v.version AND k.state = 'runs') \
       ON v.version = m.current OR k.share IS NOT NULL \
     ORDER BY v.tenant, v.module, CASE WHEN v.version = m.current THEN 0 ELSE 1 END";

/// Reads all places in one statement, which sees one state of the database.
pub(in crate::registry) async fn places(store: &Store) -> Result<Places, RegistryError> {
    let kinds = [
        Kind::Text,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Int,
    ];
    let rows = store.rows(PLACES, Vec::new(), &kinds).await?;
    let mut all = Places::default();
    for mut row in rows {
        all.installation = row.text().unwrap_or_default();
        all.generation = row.int().unwrap_or(0).unsigned_abs();
        all.places.extend(place(row));
    }
    Ok(all)
}

/// `None` of a registry without modules, and of what cannot be read.
fn place(mut row: Row) -> Option<Place> {
    let (tenant, module) = (row.text()?, row.text()?);
    let version = version(row.int());
    let digest = digest(&mut row).ok()?;
    Some(Place {
        tenant,
        module,
        version,
        digest,
        bytes: row.int().unwrap_or_default().unsigned_abs(),
        pushed_at_ms: row.int().unwrap_or_default(),
        release: release(&mut row).ok()?,
        pinned: row.int() == Some(1),
        canary: rules(row),
    })
}

fn rules(mut row: Row) -> Option<Rules> {
    Some(Rules {
        share: row.int()?,
        runs: row.int()?,
        points: row.int()?,
        began_at_ms: row.int()?,
    })
}

/// Reads whose registry it is, and its two numbers: the generation, and that of kills.
pub(in crate::registry) async fn numbers(
    store: &Store,
) -> Result<(String, u64, u64), RegistryError> {
    let sql = "SELECT installation, generation, kills FROM registry";
    let kinds = [Kind::Text, Kind::Int, Kind::Int];
    let rows = store.rows(sql, Vec::new(), &kinds).await?;
    let mut row = rows.into_iter().next();
    let installation = row.as_mut().and_then(Row::text).unwrap_or_default();
    let mut number = || {
        let number = row.as_mut().and_then(Row::int);
        number.unwrap_or(0).unsigned_abs()
    };
    Ok((installation, number(), number()))
}

/// What a component says about itself, in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Description {
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) bytes: u64,
    pub(in crate::registry) tasks: String,
    pub(in crate::registry) imports: String,
}

/// Reads what a component of whichever tenant says; `None` where nobody has it.
pub(in crate::registry) async fn description(
    store: &Store,
    digest: Digest,
) -> Result<Option<Description>, RegistryError> {
    let sql = "SELECT bytes, tasks, imports FROM components WHERE digest = $1";
    let values = vec![Value::text(&digest.hex())];
    let kinds = [Kind::Int, Kind::Text, Kind::Text];
    let rows = store.rows(sql, values, &kinds).await?;
    let read = |mut row: Row| {
        Some(Description {
            digest,
            bytes: row.int()?.unsigned_abs(),
            tasks: row.text()?,
            imports: row.text()?,
        })
    };
    Ok(rows.into_iter().next().and_then(read))
}
