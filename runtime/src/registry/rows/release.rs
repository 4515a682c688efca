//! Where a push takes its place: its name beside others, and what runs from then on.

use super::Publish;
use super::canary::{begin, end};
use crate::registry::canary::CanaryState;
use crate::task::{Release, VersionError};
use sqlx::SqliteConnection;

/// The current version of a module, as a push finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) version: u32,
    digest: String,
    release: Option<Release>,
    pinned: bool,
}

/// What stands against a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Against {
    /// This version is called so already.
    Taken(u32),
    /// The current version is called higher.
    Older(Release),
    /// There is no current version that a canary could run beside.
    Alone,
    /// The module is pinned to this version, beside which nothing runs.
    Pinned(u32),
}

impl Current {
    /// Tells whether a push is what runs already, under the name that it has.
    pub(super) fn is_same(&self, push: &Publish) -> bool {
        let named = push.release.is_none() || push.release == self.release;
        self.digest == push.digest.hex() && named
    }
}

/// Reads the current version of a module.
pub(super) async fn current(
    conn: &mut SqliteConnection,
    (tenant, module): (&str, &str),
) -> Result<Option<Current>, sqlx::Error> {
    let row: Option<(u32, String, Option<String>, bool)> = sqlx::query_as(
        "SELECT v.version, v.digest, v.release, m.pinned <> 0 FROM modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name AND v.version = m.current \
         WHERE m.tenant = ? AND m.name = ?",
    )
    .bind(tenant)
    .bind(module)
    .fetch_optional(conn)
    .await?;
    let read = |(version, digest, release, pinned): (u32, String, Option<String>, bool)| {
        let release = release.map(|release| release.parse()).transpose();
        let release = release.map_err(|error: VersionError| sqlx::Error::Decode(Box::new(error)));
        Ok(Current {
            version,
            digest,
            release: release?,
            pinned,
        })
    };
    row.map(read).transpose()
}

/// Tells what stands against a push that is a new version.
pub(super) async fn against(
    conn: &mut SqliteConnection,
    push: &Publish,
    current: Option<&Current>,
) -> Result<Option<Against>, sqlx::Error> {
    if push.canary.is_some() {
        match current {
            None => return Ok(Some(Against::Alone)),
            Some(current) if current.pinned => return Ok(Some(Against::Pinned(current.version))),
            Some(_) => {}
        }
    }
    let Some(release) = &push.release else {
        return Ok(None);
    };
    let taken: Option<u32> = sqlx::query_scalar(
        "SELECT version FROM versions WHERE tenant = ? AND module = ? AND release = ?",
    )
    .bind(push.tenant.as_str())
    .bind(push.module.as_str())
    .bind(release.to_string())
    .fetch_optional(conn)
    .await?;
    if let Some(version) = taken {
        return Ok(Some(Against::Taken(version)));
    }
    let running = current.and_then(|current| current.release.as_ref());
    let higher = running.filter(|running| *running >= release && !push.older);
    Ok(higher.cloned().map(Against::Older))
}

/// Makes a new version the current one, or a canary, or lets it wait; tells whether it is
/// the current one.
pub(super) async fn place(
    conn: &mut SqliteConnection,
    push: &Publish,
    version: u32,
    current: Option<&Current>,
) -> Result<bool, sqlx::Error> {
    let (tenant, module) = (push.tenant.as_str(), push.module.as_str());
    if let Some(canary) = &push.canary {
        begin(conn, (tenant, module, version), canary, push.now_ms).await?;
        return Ok(false);
    }
    if current.is_some_and(|current| current.pinned) {
        return Ok(false);
    }
    sqlx::query("UPDATE modules SET current = ? WHERE tenant = ? AND name = ?")
        .bind(version)
        .bind(tenant)
        .bind(module)
        .execute(&mut *conn)
        .await?;
    let reason = format!("version {version} was pushed");
    end(conn, (tenant, module), CanaryState::Aborted, &reason).await?;
    Ok(true)
}
