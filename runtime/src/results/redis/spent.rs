//! CPU time of tenants for every worker on the server: `celeriac-cpu-hour-N` and
//! `celeriac-cpu-day-N`, hashes of microseconds by tenant, gone a while after their time.

use super::super::ResultsError;
use super::super::orders::{Spending, Total};
use super::{RedisResults, trouble};
use crate::task::TenantName;
use std::collections::HashMap;
use std::time::Duration;

/// How long a count is kept, seconds: two hours, two days.
const KEEP: [i64; 2] = [2 * 3_600, 2 * 86_400];

/// Adds what was spent, and returns what all workers together counted.
pub(super) async fn spend(
    results: &RedisResults,
    spending: Spending,
) -> Result<Vec<Total>, ResultsError> {
    let prefix = &results.prefix;
    let hour = format!("{prefix}celeriac-cpu-hour-{}", spending.hour);
    let day = format!("{prefix}celeriac-cpu-day-{}", spending.hour / 24);
    let mut add = redis::pipe();
    for (tenant, cpu) in &spending.cpu {
        let micros = i64::try_from(cpu.as_micros()).unwrap_or(i64::MAX);
        for key in [&hour, &day] {
            add.cmd("HINCRBY")
                .arg(key)
                .arg(tenant.as_str())
                .arg(micros)
                .ignore();
        }
    }
    for (key, keep) in [&hour, &day].into_iter().zip(KEEP) {
        add.cmd("EXPIRE").arg(key).arg(keep).ignore();
        add.cmd("HGETALL").arg(key);
    }
    let (in_hour, in_day): (HashMap<String, i64>, HashMap<String, i64>) = add
        .query_async(&mut results.server.shared())
        .await
        .map_err(trouble)?;
    let span = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    let total = |(name, micros): (String, i64)| {
        Some(Total {
            in_hour: span(in_hour.get(&name).copied().unwrap_or(0)),
            in_day: span(micros),
            tenant: name.parse::<TenantName>().ok()?,
        })
    };
    Ok(in_day.into_iter().filter_map(total).collect())
}
