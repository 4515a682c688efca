//! What was used, as it is looked at.

use super::USAGE_PAGE;
use crate::plane::{UsageBy, UsageEntry, UsagePlace, UsageSums};
use crate::platform::{Platform, PlatformError};
use crate::sql::{Dialect, Kind, Link, Row, Value};
use crate::task::{Day, TenantName};

/// Which part of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// Of one tenant alone.
    pub tenant: Option<TenantName>,
    /// The first day.
    pub from: Day,
    /// The last one.
    pub to: Day,
    /// How far it is told apart.
    pub by: UsageBy,
    /// What comes after this place.
    pub after: Option<UsagePlace>,
    /// How many entries at most, up to [`USAGE_PAGE`].
    pub limit: u32,
}

impl Platform {
    /// Tells what was used, by day, tenant, module and task.
    ///
    /// # Errors
    /// [`PlatformError::Sql`].
    pub async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageEntry>, PlatformError> {
        let (sql, values) = statement(query, self.sql.dialect());
        let by = columns(query.by).iter().map(|column| match *column {
            "day" => Kind::Int,
            _ => Kind::Text,
        });
        let kinds: Vec<Kind> = by.chain(UsageSums::NAMES.map(|_| Kind::Int)).collect();
        let read = async |link: &mut Link| link.rows(&sql, values, &kinds).await;
        let rows = self.sql.transaction(false, read).await?;
        let entry = |row| entry(row, query.by);
        Ok(rows.into_iter().filter_map(entry).collect())
    }
}

/// The columns by which it is told apart, and ordered.
fn columns(by: UsageBy) -> &'static [&'static str] {
    match by {
        UsageBy::Tenant => &["tenant"],
        UsageBy::Day => &["day", "tenant"],
        UsageBy::Module => &["day", "tenant", "module"],
        UsageBy::Task => &["day", "tenant", "module", "task"],
    }
}

fn statement(query: &UsageQuery, dialect: Dialect) -> (String, Vec<Value>) {
    let by = columns(query.by).join(", ");
    let sums = UsageSums::NAMES.map(|name| sum(name, dialect)).join(", ");
    let limit = i64::from(query.limit.min(USAGE_PAGE));
    let mut values = vec![
        Value::from(query.from.number()),
        Value::from(query.to.number()),
        Value::from(limit),
    ];
    let mut wanted = String::from("day >= $1 AND day <= $2");
    if let Some(tenant) = &query.tenant {
        values.push(Value::text(tenant.as_str()));
        wanted.push_str(&format!(" AND tenant = ${}", values.len()));
    }
    if let Some(after) = &query.after {
        let day = after.day.map(|day| Value::from(day.number()));
        let names = after.names.iter().map(|name| Value::text(name));
        let first = values.len() + 1;
        values.extend(day.into_iter().chain(names));
        let places = (first..=values.len()).map(|place| format!("${place}"));
        let places = places.collect::<Vec<_>>().join(", ");
        wanted.push_str(&format!(" AND ({by}) > ({places})"));
    }
    let sql = format!(
        "SELECT {by}, {sums} FROM usage WHERE {wanted} GROUP BY {by} ORDER BY {by} LIMIT $3"
    );
    (sql, values)
}

/// A sum that is exact up to what all readers hold, and never too large for its column.
fn sum(name: &str, dialect: Dialect) -> String {
    let most = UsageSums::MOST;
    match dialect {
        // Its own sum() ends the statement where it is too large; total() is exact so far.
        Dialect::Sqlite => format!("CAST(min(total({name}), {most}.0) AS INTEGER)"),
        Dialect::Postgres => format!("CAST(least(sum({name}), {most}) AS BIGINT)"),
    }
}

fn entry(mut row: Row, by: UsageBy) -> Option<UsageEntry> {
    let day = match by {
        UsageBy::Tenant => None,
        UsageBy::Day | UsageBy::Module | UsageBy::Task => Some(row.int()?.try_into().ok()?),
    };
    let tenant = row.text()?;
    let names = by.names();
    let module = if names > 1 { Some(row.text()?) } else { None };
    let task = if names > 2 { Some(row.text()?) } else { None };
    let mut numbers = [0; 13];
    for number in &mut numbers {
        *number = u64::try_from(row.int()?).ok()?;
    }
    Some(UsageEntry {
        day,
        tenant,
        module,
        task,
        used: numbers.into(),
    })
}
