//! Where a push takes its place: its name beside others, and what runs from then on.

use super::canary::{begin, end, owned, run};
use super::{Publish, version};
use crate::registry::canary::CanaryState;
use crate::sql::{Kind, Line, Row, Value};
use crate::task::{Release, VersionError};

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
    line: &mut Line<'_>,
    owner: (&str, &str),
) -> Result<Option<Current>, sqlx::Error> {
    let sql = "SELECT v.version, v.digest, v.release, m.pinned FROM modules m \
         JOIN versions v ON v.tenant = m.tenant AND v.module = m.name AND v.version = m.current \
         WHERE m.tenant = $1 AND m.name = $2";
    let kinds = [Kind::Int, Kind::Text, Kind::Text, Kind::Int];
    let rows = line.rows(sql, owned(owner), &kinds).await?;
    let read = |mut row: Row| {
        Ok(Current {
            version: version(row.int()),
            digest: row.text().unwrap_or_default(),
            release: release(&mut row)?,
            pinned: row.int() == Some(1),
        })
    };
    rows.into_iter().next().map(read).transpose()
}

/// Takes the name of a version from a row.
pub(super) fn release(row: &mut Row) -> Result<Option<Release>, sqlx::Error> {
    let undecodable = |error: VersionError| sqlx::Error::Decode(Box::new(error));
    let release = row.text().map(|release| release.parse()).transpose();
    release.map_err(undecodable)
}

/// Tells what stands against a push that is a new version.
pub(super) async fn against(
    line: &mut Line<'_>,
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
    let sql = "SELECT version FROM versions WHERE tenant = $1 AND module = $2 AND release = $3";
    let mut values = owned((push.tenant.as_str(), push.module.as_str()));
    values.push(Value::text(&release.to_string()));
    let taken = line.rows(sql, values, &[Kind::Int]).await?;
    let taken = taken.into_iter().next().map(|mut row| version(row.int()));
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
    line: &mut Line<'_>,
    push: &Publish,
    version: u32,
    current: Option<&Current>,
) -> Result<bool, sqlx::Error> {
    let owner = (push.tenant.as_str(), push.module.as_str());
    if let Some(canary) = &push.canary {
        begin(line, (owner, version), canary, push.now_ms).await?;
        return Ok(false);
    }
    if current.is_some_and(|current| current.pinned) {
        return Ok(false);
    }
    run(line, owner, version).await?;
    let reason = format!("version {version} was pushed");
    end(line, owner, CanaryState::Aborted, &reason).await?;
    Ok(true)
}
