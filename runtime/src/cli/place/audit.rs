//! The audit, here or there.

use super::{Place, read};
use crate::cli::exit::Problem;
use crate::plane::{Audit, AuditEntry};
use crate::platform::{AuditQuery, AuditRow};
use crate::task::TenantName;

impl Place {
    /// Reads the audit, the latest first, and what `before` is for those before them.
    pub(crate) async fn audit(
        &self,
        query: &AuditQuery,
    ) -> anyhow::Result<(Vec<AuditRow>, Option<i64>)> {
        match self {
            Self::Here(app) => {
                let rows = app.platform().await?.audit(query).await?;
                let is_whole = u32::try_from(rows.len()).is_ok_and(|found| found < query.limit);
                let next = rows.last().map(|row| row.number).filter(|_| !is_whole);
                Ok((rows, next))
            }
            Self::There(remote) => {
                let asked = remote
                    .get(&["v1", "audit"])
                    .query("limit", Some(query.limit))
                    .query("after", query.before)
                    .query("tenant", query.tenant.as_ref().map(TenantName::as_str));
                let page: Audit = asked.document().await?;
                let rows = page
                    .entries
                    .into_iter()
                    .map(row)
                    .collect::<Result<_, _>>()?;
                Ok((rows, read::maybe("number", page.next.as_deref())?))
            }
        }
    }
}

fn row(entry: AuditEntry) -> Result<AuditRow, Problem> {
    Ok(AuditRow {
        number: entry.number,
        at: read::parsed("moment", &entry.at)?,
        who: entry.who,
        request: entry.request_id,
        action: entry.action,
        tenant: entry.tenant,
        subject: entry.subject,
        was: entry.was.map(|was| was.to_string()),
        became: entry.became.map(|became| became.to_string()),
    })
}
