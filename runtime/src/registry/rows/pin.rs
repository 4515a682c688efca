//! Pins: a version that stays the current one, whatever is pushed.

use super::canary::end;
use super::grow;
use crate::database::Statement;
use crate::registry::canary::CanaryState;
use crate::task::{ModuleName, TenantName};
use sqlx::SqliteConnection;

/// Pins a module to a version, which becomes the current one, or takes the pin away.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Pin {
    pub(in crate::registry) tenant: TenantName,
    pub(in crate::registry) module: ModuleName,
    /// `None` takes the pin away.
    pub(in crate::registry) version: Option<u32>,
}

/// What became of a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Pinned {
    /// This version is the current one.
    Current {
        version: u32,
        generation: u64,
    },
    UnknownModule,
    UnknownVersion,
}

impl Statement for Pin {
    type Output = Pinned;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Pinned>, sqlx::Error> {
        let mut done = Vec::with_capacity(batch.len());
        for one in batch {
            done.push(pin(conn, one).await?);
        }
        Ok(done)
    }
}

async fn pin(conn: &mut SqliteConnection, wish: &Pin) -> Result<Pinned, sqlx::Error> {
    let (tenant, module) = (wish.tenant.as_str(), wish.module.as_str());
    let current: Option<Option<u32>> =
        sqlx::query_scalar("SELECT current FROM modules WHERE tenant = ? AND name = ?")
            .bind(tenant)
            .bind(module)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(current) = current.flatten() else {
        return Ok(Pinned::UnknownModule);
    };
    let version = wish.version.unwrap_or(current);
    let kept: Option<u32> = sqlx::query_scalar(
        "SELECT version FROM versions WHERE tenant = ? AND module = ? AND version = ?",
    )
    .bind(tenant)
    .bind(module)
    .bind(version)
    .fetch_optional(&mut *conn)
    .await?;
    if kept.is_none() {
        return Ok(Pinned::UnknownVersion);
    }
    sqlx::query("UPDATE modules SET pinned = ?, current = ? WHERE tenant = ? AND name = ?")
        .bind(i64::from(wish.version.is_some()))
        .bind(version)
        .bind(tenant)
        .bind(module)
        .execute(&mut *conn)
        .await?;
    if wish.version.is_some() {
        let reason = format!("the module was pinned to version {version}");
        end(conn, (tenant, module), CanaryState::Aborted, &reason).await?;
    }
    let generation = grow(conn).await?;
    Ok(Pinned::Current {
        version,
        generation,
    })
}
