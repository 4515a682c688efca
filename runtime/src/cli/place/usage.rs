//! What was used, here or there.

use super::{Place, of_tenant};
use crate::plane::{UsageEntry, UsagePage};
use crate::platform::{Platform, USAGE_PAGE, UsageQuery};
use crate::remote::Remote;

/// Whoever is asked for pages of it.
enum Books<'a> {
    Here(Platform),
    There(&'a Remote),
}

impl Place {
    /// Reads all of it, page by page; `None` where there are more than `most` entries.
    pub(crate) async fn usage(
        &self,
        mut query: UsageQuery,
        most: usize,
    ) -> anyhow::Result<Option<Vec<UsageEntry>>> {
        let books = match self {
            Self::Here(app) => Books::Here(app.platform().await?),
            Self::There(remote) => Books::There(remote),
        };
        query.limit = USAGE_PAGE;
        let mut entries: Vec<UsageEntry> = Vec::new();
        loop {
            let page = books.page(&query).await?;
            let is_last = u32::try_from(page.len()).is_ok_and(|found| found < USAGE_PAGE);
            entries.extend(page);
            if entries.len() > most {
                return Ok(None);
            }
            let place = entries.last().map(UsageEntry::place);
            query.after = place.and_then(|place| query.by.read_place(&place));
            if is_last || query.after.is_none() {
                return Ok(Some(entries));
            }
        }
    }
}

impl Books<'_> {
    async fn page(&self, query: &UsageQuery) -> anyhow::Result<Vec<UsageEntry>> {
        let remote = match self {
            Self::Here(platform) => return Ok(platform.usage(query).await?),
            Self::There(remote) => remote,
        };
        let path = match &query.tenant {
            Some(tenant) => of_tenant(tenant, &["usage"]),
            None => vec!["v1", "usage"],
        };
        let asked = remote
            .get(&path)
            .query("from", Some(query.from))
            .query("to", Some(query.to))
            .query("by", Some(query.by.as_str()))
            .query("format", Some("json"))
            .query("limit", Some(query.limit))
            .query("after", query.after.as_ref());
        let page: UsagePage = asked.document().await?;
        Ok(page.entries)
    }
}
