//! What is read from the registry's rows.

use super::{REFUSAL_KEPT, digest, version};
use crate::registry::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::store::Store;
use crate::registry::{VersionInfo, moment};
use crate::sql::{Kind, Row, Value};
use crate::task::{ModuleName, NameError, TenantName, TenantNameError};
use celeriac_sandbox::TaskInfo;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::time::Duration;

/// Where every module points, at one generation.
#[derive(Debug)]
pub(in crate::registry) struct Pointers {
    pub(in crate::registry) generation: u64,
    /// The most recently pushed first.
    pub(in crate::registry) modules: Vec<Pointer>,
}

/// Where one module points.
#[derive(Debug)]
pub(in crate::registry) struct Pointer {
    pub(in crate::registry) tenant: TenantName,
    pub(in crate::registry) module: ModuleName,
    pub(in crate::registry) version: u32,
    pub(in crate::registry) digest: Digest,
    pub(in crate::registry) bytes: u64,
    pub(in crate::registry) pushed_at_ms: i64,
    pub(in crate::registry) tasks: Vec<TaskInfo>,
    pub(in crate::registry) imports: Vec<String>,
}

/// The pointers of the tenant that `$1` names, or of all where it is empty.
const POINTERS: &str = "SELECT r.generation, v.tenant, v.module, v.version, v.digest, c.bytes, \
     v.pushed_at, c.tasks, c.imports \
     FROM registry r LEFT JOIN (modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name AND v.version = m.current \
         JOIN components c ON c.digest = v.digest) ON $1 IN ('', m.tenant) \
     ORDER BY v.pushed_at DESC, v.tenant, v.module";

/// Reads all pointers and their generation in one statement, which sees one
/// state of the database.
pub(in crate::registry) async fn pointers(store: &Store) -> Result<Pointers, RegistryError> {
    collected(store, "").await
}

/// Reads the pointers of one tenant.
pub(in crate::registry) async fn pointers_of(
    store: &Store,
    tenant: &TenantName,
) -> Result<Pointers, RegistryError> {
    collected(store, tenant.as_str()).await
}

async fn collected(store: &Store, tenant: &str) -> Result<Pointers, RegistryError> {
    let kinds = [
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Text,
    ];
    let rows = store
        .rows(POINTERS, vec![Value::text(tenant)], &kinds)
        .await?;
    let mut pointers = Pointers {
        generation: 0,
        modules: Vec::with_capacity(rows.len()),
    };
    for mut row in rows {
        pointers.generation = row.int().unwrap_or(0).unsigned_abs();
        pointers.modules.extend(pointer(row));
    }
    Ok(pointers)
}

fn pointer(mut row: Row) -> Option<Pointer> {
    let (tenant, module) = (row.text()?, row.text()?);
    let mut read = || -> Result<Pointer, String> {
        Ok(Pointer {
            tenant: tenant
                .parse()
                .map_err(|error: TenantNameError| error.to_string())?,
            module: module
                .parse()
                .map_err(|error: NameError| error.to_string())?,
            version: version(row.int()),
            digest: digest(&mut row).map_err(|error| error.to_string())?,
            bytes: row.int().unwrap_or_default().unsigned_abs(),
            pushed_at_ms: row.int().unwrap_or_default(),
            tasks: json(&mut row).map_err(|error| error.to_string())?,
            imports: json(&mut row).map_err(|error| error.to_string())?,
        })
    };
    match read() {
        Ok(pointer) => Some(pointer),
        Err(reason) => {
            // One row that cannot be read should not stop every other module.
            tracing::error!(
                tenant,
                module,
                reason,
                "a row of the registry cannot be read; push the module again"
            );
            None
        }
    }
}

fn json<T: DeserializeOwned>(row: &mut Row) -> Result<T, serde_json::Error> {
    serde_json::from_str(&row.text().unwrap_or_default())
}

/// Reads the generation alone.
pub(in crate::registry) async fn generation_now(store: &Store) -> Result<u64, RegistryError> {
    let sql = "SELECT generation FROM registry";
    let rows = store.rows(sql, Vec::new(), &[Kind::Int]).await?;
    let number = rows.into_iter().next().and_then(|mut row| row.int());
    Ok(number.unwrap_or(0).unsigned_abs())
}

/// Reads how often files were swept.
pub(in crate::registry) async fn sweeps_now(store: &Store) -> Result<i64, RegistryError> {
    let sql = "SELECT sweeps FROM registry";
    let rows = store.rows(sql, Vec::new(), &[Kind::Int]).await?;
    let number = rows.into_iter().next().and_then(|mut row| row.int());
    Ok(number.unwrap_or(0))
}

/// Reads which components rows name.
pub(in crate::registry) async fn named(store: &Store) -> Result<HashSet<Digest>, RegistryError> {
    let sql = "SELECT digest FROM components";
    let rows = store.rows(sql, Vec::new(), &[Kind::Text]).await?;
    let named = rows.into_iter().filter_map(|mut row| digest(&mut row).ok());
    Ok(named.collect())
}

/// Reads the names of a tenant's modules.
pub(in crate::registry) async fn modules(
    store: &Store,
    tenant: &TenantName,
) -> Result<Vec<String>, RegistryError> {
    let sql = "SELECT name FROM modules WHERE tenant = $1 AND current IS NOT NULL ORDER BY name";
    let values = vec![Value::text(tenant.as_str())];
    let rows = store.rows(sql, values, &[Kind::Text]).await?;
    Ok(rows.into_iter().filter_map(|mut row| row.text()).collect())
}

/// Reads the versions of a module that are kept, the newest first.
pub(in crate::registry) async fn versions(
    store: &Store,
    tenant: &TenantName,
    module: &ModuleName,
) -> Result<Vec<VersionInfo>, RegistryError> {
    let sql = "SELECT m.current, v.version, v.digest, c.bytes, v.pushed_at, c.tasks FROM modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name \
         JOIN components c ON c.digest = v.digest \
         WHERE m.tenant = $1 AND m.name = $2 AND m.current IS NOT NULL ORDER BY v.version DESC";
    let values = vec![Value::text(tenant.as_str()), Value::text(module.as_str())];
    let kinds = [
        Kind::Int,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Int,
        Kind::Text,
    ];
    let rows = store.rows(sql, values, &kinds).await?;
    let read = |mut row: Row| {
        let (current, version) = (version(row.int()), version(row.int()));
        Ok(VersionInfo {
            version,
            current: version == current,
            digest: digest(&mut row).map_err(undecodable)?,
            bytes: row.int().unwrap_or_default().unsigned_abs(),
            pushed_at: moment(row.int().unwrap_or_default()),
            tasks: json(&mut row)
                .map_err(|error| undecodable(sqlx::Error::Decode(error.into())))?,
        })
    };
    rows.into_iter().map(read).collect()
}

fn undecodable(error: sqlx::Error) -> RegistryError {
    RegistryError::Database(error.into())
}

/// Reads what a component of a tenant said about its tasks, in JSON; `None` where no version
/// of this tenant is it, whoever else has it.
pub(in crate::registry) async fn component(
    store: &Store,
    tenant: &TenantName,
    digest: Digest,
) -> Result<Option<String>, RegistryError> {
    let sql = "SELECT c.tasks FROM components c WHERE c.digest = $1 \
         AND EXISTS (SELECT 1 FROM versions v WHERE v.digest = $1 AND v.tenant = $2)";
    let values = vec![Value::text(&digest.hex()), Value::text(tenant.as_str())];
    let rows = store.rows(sql, values, &[Kind::Text]).await?;
    Ok(rows.into_iter().next().and_then(|mut row| row.text()))
}

/// A refusal of the compiler that is still believed.
#[derive(Debug)]
pub(in crate::registry) struct Remembered {
    pub(in crate::registry) reason: String,
    pub(in crate::registry) ago: Duration,
}

/// Reads whether the compiler gave up lately on a component that this tenant pushed.
pub(in crate::registry) async fn refusal(
    store: &Store,
    (tenant, digest, compatibility): (&TenantName, Digest, &str),
    now_ms: i64,
) -> Result<Option<Remembered>, RegistryError> {
    let sql = "SELECT reason, refused_at FROM refusals \
         WHERE tenant = $1 AND digest = $2 AND compatibility = $3";
    let values = vec![
        Value::text(tenant.as_str()),
        Value::text(&digest.hex()),
        Value::text(compatibility),
    ];
    let rows = store.rows(sql, values, &[Kind::Text, Kind::Int]).await?;
    let row = rows.into_iter().next();
    let row = row.and_then(|mut row| Some((row.text()?, row.int()?)));
    Ok(row.and_then(|(reason, refused_at)| {
        let ago =
            Duration::from_millis(u64::try_from(now_ms.saturating_sub(refused_at)).unwrap_or(0));
        (ago < REFUSAL_KEPT).then_some(Remembered { reason, ago })
    }))
}
