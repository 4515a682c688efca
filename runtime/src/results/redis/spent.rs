//! What tenants used, for every worker on the server: `celeriac-cpu-hour-N` and
//! `celeriac-cpu-day-N`, hashes of microseconds by tenant, gone a while after their time, and
//! for each tenant `celeriac-stored-TENANT`, a hash of bytes by the second at which they are
//! gone.

use super::super::ResultsError;
use super::super::orders::{Spending, Total, Totals};
use super::{RedisResults, trouble};
use crate::task::{Buckets, TenantName};
use std::collections::HashMap;
use std::time::Duration;

/// How long a count is kept, seconds: two hours, two days.
const KEEP: [i64; 2] = [2 * 3_600, 2 * 86_400];
/// How long bytes of a tenant are remembered whose worker goes away before it says when the
/// last of them are gone, seconds (400 days).
const STORED: i64 = 400 * 86_400;

/// Adds what was spent, and returns what all workers together counted.
pub(super) async fn spend(
    results: &RedisResults,
    spending: Spending,
) -> Result<Totals, ResultsError> {
    Ok(Totals {
        stored: stored(results, &spending).await?,
        cpu: cpu(results, &spending).await?,
    })
}

async fn cpu(results: &RedisResults, spending: &Spending) -> Result<Vec<Total>, ResultsError> {
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

async fn stored(
    results: &RedisResults,
    spending: &Spending,
) -> Result<Vec<(TenantName, Buckets)>, ResultsError> {
    if spending.stored.is_empty() {
        return Ok(Vec::new());
    }
    let key = |tenant: &TenantName| format!("{}celeriac-stored-{tenant}", results.prefix);
    let mut add = redis::pipe();
    for (tenant, buckets) in &spending.stored {
        for (bucket, bytes) in buckets {
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            add.cmd("HINCRBY")
                .arg(key(tenant))
                .arg(*bucket)
                .arg(bytes)
                .ignore();
        }
        if !buckets.is_empty() {
            add.cmd("EXPIRE").arg(key(tenant)).arg(STORED).ignore();
        }
        add.cmd("HGETALL").arg(key(tenant));
    }
    let mut server = results.server.shared();
    let all: Vec<HashMap<i64, i64>> = add.query_async(&mut server).await.map_err(trouble)?;
    let mut after = redis::pipe();
    let mut kept = Vec::new();
    for ((tenant, told), found) in spending.stored.iter().zip(all) {
        let (there, gone): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|(bucket, _)| *bucket > spending.second);
        if !gone.is_empty() {
            let gone: Vec<i64> = gone.into_iter().map(|(bucket, _)| bucket).collect();
            after.cmd("HDEL").arg(key(tenant)).arg(gone).ignore();
        }
        let last = there.iter().map(|(bucket, _)| *bucket).max();
        if let (Some(last), false) = (last, told.is_empty()) {
            let left = last.saturating_sub(spending.second).clamp(1, STORED);
            after.cmd("EXPIRE").arg(key(tenant)).arg(left).ignore();
        }
        let bytes = |(bucket, bytes): (i64, i64)| (bucket, u64::try_from(bytes).unwrap_or(0));
        kept.push((tenant.clone(), there.into_iter().map(bytes).collect()));
    }
    if !after.is_empty() {
        let done: redis::RedisResult<()> = after.query_async(&mut server).await;
        done.map_err(trouble)?;
    }
    Ok(kept)
}
