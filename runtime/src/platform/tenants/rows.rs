//! Rows of tenants.

use crate::platform::tenant::Tenant;
use crate::sql::{Kind, Link, Row, SqlError, Value};
use crate::task::TenantName;
use jiff::Timestamp;
use serde_json::json;

/// The columns of a tenant, in the order in which [`read`] takes and [`values`] gives them.
pub(super) const SELECT: &str = "SELECT name, created_at, suspended, weight, quota, ceiling, may, broker, \
     result_backend FROM tenants";
pub(super) const KINDS: [Kind; 9] = [
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

/// Reads one tenant.
pub(in crate::platform) async fn find(
    link: &mut Link,
    name: &TenantName,
) -> Result<Option<Tenant>, SqlError> {
    let sql = format!("{SELECT} WHERE name = $1");
    let rows = link.rows(&sql, vec![Value::text(name.as_str())], &KINDS);
    Ok(read(rows.await?)?.pop())
}

/// Reads tenants, all of them or none.
pub(super) fn read(rows: Vec<Row>) -> Result<Vec<Tenant>, SqlError> {
    let all = rows.into_iter().map(tenant);
    let all: Option<Vec<Tenant>> = all.collect();
    // To go on without one would be to lift its bounds, or to stop its tasks.
    all.ok_or_else(|| SqlError::Misconfigured {
        reason: "a row of a tenant cannot be read; restore the database, or use the celeriac that wrote it"
            .to_owned(),
    })
}

fn tenant(mut row: Row) -> Option<Tenant> {
    Some(Tenant {
        name: row.text()?.parse().ok()?,
        created_at: Timestamp::from_millisecond(row.int()?).ok()?,
        suspended: row.int()? != 0,
        weight: u32::try_from(row.int()?).ok()?.try_into().ok()?,
        quota: serde_json::from_str(&row.text()?).ok()?,
        ceiling: serde_json::from_str(&row.text()?).ok()?,
        may: serde_json::from_str(&row.text()?).ok()?,
        broker: row.text(),
        result_backend: row.text(),
    })
}

/// Writes a tenant.
pub(super) fn values(tenant: &Tenant) -> Vec<Value> {
    vec![
        Value::text(tenant.name.as_str()),
        Value::from(tenant.created_at.as_millisecond()),
        Value::from(i64::from(tenant.suspended)),
        Value::from(i64::from(tenant.weight.get())),
        Value::text(&json!(tenant.quota).to_string()),
        Value::text(&json!(tenant.ceiling).to_string()),
        Value::text(&json!(tenant.may).to_string()),
        Value::maybe(tenant.broker.as_deref()),
        Value::maybe(tenant.result_backend.as_deref()),
    ]
}
