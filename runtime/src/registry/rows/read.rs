//! What is read from the registry's rows.

use super::REFUSAL_KEPT;
use crate::database::{Database, DatabaseError};
use crate::registry::digest::{Digest, DigestError};
use crate::registry::{VersionInfo, moment};
use crate::task::{
    ModuleName, NameError, Release, Share, TenantName, TenantNameError, VersionError,
};
use celeriac_sandbox::TaskInfo;
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
    pub(in crate::registry) release: Option<Release>,
    pub(in crate::registry) pinned: bool,
    /// The share of the tasks that a canary gets; `None` for the current version.
    pub(in crate::registry) share: Option<Share>,
}

type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<u32>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<i64>,
);

/// The pointers of all tenants.
const ALL: &str = "SELECT r.generation, v.tenant, v.module, v.version, v.digest, c.bytes, v.pushed_at, c.tasks, c.imports, \
       v.release, m.pinned <> 0, CASE WHEN v.version = m.current THEN NULL ELSE k.share END \
     FROM registry r LEFT JOIN (modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name \
         JOIN components c ON c.digest = v.digest \
         LEFT JOIN canaries k ON k.tenant = v.tenant AND k.module = v.module \
           AND k.version = v.version AND k.state = 'runs') \
       ON v.version = m.current OR k.share IS NOT NULL \
     ORDER BY v.pushed_at DESC, v.tenant, v.module";
/// Those of one.
const OWN: &str = "SELECT r.generation, v.tenant, v.module, v.version, v.digest, c.bytes, v.pushed_at, c.tasks, c.imports, \
       v.release, m.pinned <> 0, NULL \
     FROM registry r LEFT JOIN (modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name AND v.version = m.current \
         JOIN components c ON c.digest = v.digest) ON m.tenant = ? \
     ORDER BY v.pushed_at DESC, v.module";

/// Reads all pointers and their generation in one statement, which sees one
/// state of the file.
pub(in crate::registry) async fn pointers(database: &Database) -> Result<Pointers, DatabaseError> {
    let mut conn = database.read().await?;
    Ok(collected(sqlx::query_as(ALL).fetch_all(&mut *conn).await?))
}

/// Reads the pointers of one tenant.
pub(in crate::registry) async fn pointers_of(
    database: &Database,
    tenant: &TenantName,
) -> Result<Pointers, DatabaseError> {
    let mut conn = database.read().await?;
    let query = sqlx::query_as(OWN).bind(tenant.as_str());
    Ok(collected(query.fetch_all(&mut *conn).await?))
}

fn collected(rows: Vec<Row>) -> Pointers {
    let generation = rows.first().map_or(0, |row| row.0.unsigned_abs());
    let modules = rows.into_iter().filter_map(pointer).collect();
    Pointers {
        generation,
        modules,
    }
}

fn pointer(row: Row) -> Option<Pointer> {
    let (
        _,
        Some(tenant),
        Some(module),
        Some(version),
        Some(digest),
        bytes,
        pushed_at,
        Some(tasks),
        Some(imports),
        release,
        pinned,
        share,
    ) = row
    else {
        return None;
    };
    let read = || -> Result<Pointer, String> {
        Ok(Pointer {
            tenant: tenant
                .parse()
                .map_err(|error: TenantNameError| error.to_string())?,
            module: module
                .parse()
                .map_err(|error: NameError| error.to_string())?,
            version,
            digest: digest
                .parse()
                .map_err(|error: DigestError| error.to_string())?,
            bytes: bytes.unwrap_or_default().unsigned_abs(),
            pushed_at_ms: pushed_at.unwrap_or_default(),
            tasks: serde_json::from_str(&tasks).map_err(|error| error.to_string())?,
            imports: serde_json::from_str(&imports).map_err(|error| error.to_string())?,
            release: release
                .map(|release| release.parse())
                .transpose()
                .map_err(|error: VersionError| error.to_string())?,
            pinned: pinned.unwrap_or_default(),
            share: share
                .map(Share::try_from)
                .transpose()
                .map_err(|error| error.to_string())?,
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

/// Reads the generation alone.
pub(in crate::registry) async fn generation_now(database: &Database) -> Result<u64, DatabaseError> {
    let mut conn = database.read().await?;
    let generation: i64 = sqlx::query_scalar("SELECT generation FROM registry")
        .fetch_one(&mut *conn)
        .await?;
    Ok(generation.unsigned_abs())
}

/// Reads the names of a tenant's modules.
pub(in crate::registry) async fn modules(
    database: &Database,
    tenant: &TenantName,
) -> Result<Vec<String>, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT name FROM modules WHERE tenant = ? AND current IS NOT NULL ORDER BY name";
    Ok(sqlx::query_scalar(sql)
        .bind(tenant.as_str())
        .fetch_all(&mut *conn)
        .await?)
}

type Version = (
    u32,
    String,
    i64,
    i64,
    String,
    bool,
    Option<String>,
    Option<String>,
);

/// Reads the versions of a module that are kept, the newest first.
pub(in crate::registry) async fn versions(
    database: &Database,
    tenant: &TenantName,
    module: &ModuleName,
) -> Result<Vec<VersionInfo>, DatabaseError> {
    let mut conn = database.read().await?;
    let rows: Vec<Version> = sqlx::query_as(
        "SELECT v.version, v.digest, c.bytes, v.pushed_at, c.tasks, v.version = m.current, \
           v.release, v.breaks FROM modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name \
         JOIN components c ON c.digest = v.digest \
         WHERE m.tenant = ? AND m.name = ? AND m.current IS NOT NULL ORDER BY v.version DESC",
    )
    .bind(tenant.as_str())
    .bind(module.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let version =
        |(version, digest, bytes, pushed_at, tasks, current, release, breaks): Version| {
            let release = release.map(|release| release.parse());
            let breaks = breaks.map(|breaks| serde_json::from_str(&breaks));
            Ok(VersionInfo {
                version,
                digest: digest.parse().map_err(undecodable::<DigestError>)?,
                bytes: bytes.unsigned_abs(),
                pushed_at: moment(pushed_at),
                tasks: serde_json::from_str(&tasks).map_err(undecodable)?,
                current,
                release: release.transpose().map_err(undecodable::<VersionError>)?,
                // What a later version of ours wrote in another form is not worth a refusal.
                breaks: breaks.transpose().unwrap_or_default().unwrap_or_default(),
            })
        };
    rows.into_iter().map(version).collect()
}

fn undecodable<E: std::error::Error + Send + Sync + 'static>(error: E) -> DatabaseError {
    DatabaseError::from(sqlx::Error::Decode(Box::new(error)))
}

/// Reads what a component of a tenant said about its tasks, in JSON; `None` where no version
/// of this tenant is it, whoever else has it.
pub(in crate::registry) async fn component(
    database: &Database,
    tenant: &TenantName,
    digest: Digest,
) -> Result<Option<String>, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT c.tasks FROM components c WHERE c.digest = ?1 \
         AND EXISTS (SELECT 1 FROM versions v WHERE v.digest = ?1 AND v.tenant = ?2)";
    Ok(sqlx::query_scalar(sql)
        .bind(digest.hex())
        .bind(tenant.as_str())
        .fetch_optional(&mut *conn)
        .await?)
}

/// A refusal of the compiler that is still believed.
#[derive(Debug)]
pub(in crate::registry) struct Remembered {
    pub(in crate::registry) reason: String,
    pub(in crate::registry) ago: Duration,
}

/// Reads whether the compiler gave up lately on a component that this tenant pushed.
pub(in crate::registry) async fn refusal(
    database: &Database,
    (tenant, digest, compatibility): (&TenantName, Digest, &str),
    now_ms: i64,
) -> Result<Option<Remembered>, DatabaseError> {
    let mut conn = database.read().await?;
    let sql = "SELECT reason, refused_at FROM refusals \
         WHERE tenant = ? AND digest = ? AND compatibility = ?";
    let row: Option<(String, i64)> = sqlx::query_as(sql)
        .bind(tenant.as_str())
        .bind(digest.hex())
        .bind(compatibility)
        .fetch_optional(&mut *conn)
        .await?;
    Ok(row.and_then(|(reason, refused_at)| {
        let ago =
            Duration::from_millis(u64::try_from(now_ms.saturating_sub(refused_at)).unwrap_or(0));
        (ago < REFUSAL_KEPT).then_some(Remembered { reason, ago })
    }))
}
