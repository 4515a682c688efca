//! What tenants used as rows, for every worker on the file.

use super::super::orders::{Spending, Total, Totals};
use crate::database::{SqliteConnection, Statement};
use crate::task::{Buckets, TenantName};
use std::time::Duration;

/// Hours that are kept: those of a day, and a day for whoever's clock is behind.
const HOURS: i64 = 48;
const ADD: &str = "INSERT INTO tenant_cpu (tenant, hour, micros) VALUES (?1, ?2, ?3)
    ON CONFLICT (tenant, hour) DO UPDATE SET micros = micros + excluded.micros";
const TRIM: &str = "DELETE FROM tenant_cpu WHERE hour < ?1";
const TOTALS: &str = "SELECT tenant, sum(micros) FILTER (WHERE hour = ?1), sum(micros)
    FROM tenant_cpu WHERE hour / 24 = ?1 / 24 GROUP BY tenant";

impl Statement for Spending {
    type Output = Totals;

    async fn apply(
        conn: &mut SqliteConnection,
        batch: &[Self],
    ) -> Result<Vec<Totals>, sqlx::Error> {
        let mut all = Vec::new();
        for one in batch {
            for (tenant, cpu) in &one.cpu {
                sqlx::query(ADD)
                    .bind(tenant.as_str())
                    .bind(one.hour)
                    .bind(i64::try_from(cpu.as_micros()).unwrap_or(i64::MAX))
                    .execute(&mut *conn)
                    .await?;
            }
            sqlx::query(TRIM)
                .bind(one.hour.saturating_sub(HOURS))
                .execute(&mut *conn)
                .await?;
            let rows: Vec<(String, Option<i64>, i64)> = sqlx::query_as(TOTALS)
                .bind(one.hour)
                .fetch_all(&mut *conn)
                .await?;
            all.push(Totals {
                cpu: rows.into_iter().filter_map(total).collect(),
                stored: stored(conn, one).await?,
            });
        }
        Ok(all)
    }

    fn wakes(&self) -> bool {
        false
    }
}

const STORE: &str = "INSERT INTO tenant_stored (tenant, gone_at, bytes) VALUES (?1, ?2, ?3)
    ON CONFLICT (tenant, gone_at) DO UPDATE SET bytes = bytes + excluded.bytes";
const GONE: &str = "DELETE FROM tenant_stored WHERE gone_at <= ?1";
const STORED: &str = "SELECT gone_at, bytes FROM tenant_stored WHERE tenant = ?1";

/// Adds what was stored, and returns what all workers together counted.
async fn stored(
    conn: &mut SqliteConnection,
    one: &Spending,
) -> Result<Vec<(TenantName, Buckets)>, sqlx::Error> {
    let mut all = Vec::with_capacity(one.stored.len());
    if one.stored.is_empty() {
        return Ok(all);
    }
    sqlx::query(GONE)
        .bind(one.second)
        .execute(&mut *conn)
        .await?;
    for (tenant, buckets) in &one.stored {
        for (gone, bytes) in buckets {
            sqlx::query(STORE)
                .bind(tenant.as_str())
                .bind(gone)
                .bind(i64::try_from(*bytes).unwrap_or(i64::MAX))
                .execute(&mut *conn)
                .await?;
        }
        let rows: Vec<(i64, i64)> = sqlx::query_as(STORED)
            .bind(tenant.as_str())
            .fetch_all(&mut *conn)
            .await?;
        let bytes = |(gone, bytes): (i64, i64)| (gone, u64::try_from(bytes).unwrap_or(0));
        all.push((tenant.clone(), rows.into_iter().map(bytes).collect()));
    }
    Ok(all)
}

fn total((tenant, in_hour, in_day): (String, Option<i64>, i64)) -> Option<Total> {
    let span = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    Some(Total {
        tenant: tenant.parse::<TenantName>().ok()?,
        in_hour: span(in_hour.unwrap_or(0)),
        in_day: span(in_day),
    })
}
