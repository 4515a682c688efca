//! Pins: a version that stays the current one, whatever is pushed.

use super::canary::{end, owned, run};
use super::{grow, version};
use crate::registry::canary::CanaryState;
use crate::registry::noted::{self, Change};
use crate::registry::store::Work;
use crate::sql::{Kind, Line, Value};
use crate::task::{ModuleName, TenantName};

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

impl Work for Pin {
    type Output = Pinned;

    async fn work(&self, line: &mut Line<'_>) -> Result<Pinned, sqlx::Error> {
        let owner = (self.tenant.as_str(), self.module.as_str());
        let sql = "SELECT current FROM modules WHERE tenant = $1 AND name = $2";
        let current = line.rows(sql, owned(owner), &[Kind::Int]).await?;
        let Some(current) = current.into_iter().next().and_then(|mut row| row.int()) else {
            return Ok(Pinned::UnknownModule);
        };
        let version = self.version.unwrap_or(version(Some(current)));
        let sql = "SELECT version FROM versions \
             WHERE tenant = $1 AND module = $2 AND version = $3";
        let mut kept = owned(owner);
        kept.push(Value::from(i64::from(version)));
        if line.rows(sql, kept, &[Kind::Int]).await?.is_empty() {
            return Ok(Pinned::UnknownVersion);
        }
        let sql = "UPDATE modules SET pinned = $3 WHERE tenant = $1 AND name = $2";
        let mut values = owned(owner);
        values.push(Value::from(i64::from(self.version.is_some())));
        line.execute(sql, values).await?;
        run(line, owner, version).await?;
        if self.version.is_some() {
            let reason = format!("the module was pinned to version {version}");
            end(line, owner, CanaryState::Aborted, &reason).await?;
        }
        let generation = grow(line).await?;
        Ok(Pinned::Current {
            version,
            generation,
        })
    }

    fn change(&self, pinned: &Pinned) -> Option<Change> {
        noted::pinned(self, *pinned)
    }
}
