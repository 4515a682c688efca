//! Batches become rows, once.

use super::check::check;
use super::{TELLERS, TELLERS_KEPT, USAGE_KEPT, USAGE_NAMES};
use crate::plane::{REST, UsageBatch, UsageRow, UsageSums};
use crate::platform::{Platform, PlatformError, number};
use crate::sql::{Kind, Link, SqlError, Value};
use crate::task::{Day, TenantName};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many rows one statement adds: few texts for the server to learn, and few journeys.
const AT_ONCE: [usize; 3] = [64, 8, 1];
/// Says that a batch is the last one of its worker, unless that or a later one was counted.
const NEWS: &str = "INSERT INTO usage_batches (worker, number, counted_at) VALUES ($1, $2, $3) \
     ON CONFLICT (worker) DO UPDATE SET number = excluded.number, \
     counted_at = excluded.counted_at WHERE usage_batches.number < excluded.number";

/// Sums by module and task, in the order in which everybody adds them: two workers that
/// add to the same rows then wait for each other in turn.
type Names = BTreeMap<(String, String), UsageSums>;

impl Platform {
    /// Counts what a worker used, unless this batch or a later one of it was counted
    /// before, and tells whether it was counted now. What is past its time goes.
    ///
    /// # Errors
    /// [`PlatformError::Wrong`] for what no worker can have used, [`PlatformError::Sql`].
    pub async fn count_usage(&self, batch: &UsageBatch) -> Result<bool, PlatformError> {
        let now = self.now();
        let today = Day::of(now);
        check(batch, today)?;
        let now = now.as_millisecond();
        let work = async |link: &mut Link| {
            let values = vec![
                Value::text(&batch.worker),
                Value::from(whole(batch.number)),
                Value::from(now),
            ];
            if link.execute(NEWS, values).await? == 0 {
                return Ok(false);
            }
            let mut rows = Vec::new();
            for ((tenant, day), names) in sorted(&batch.rows) {
                let names = bounded(link, (&tenant, day), names).await?;
                let row = |((module, task), used)| UsageRow {
                    day,
                    tenant: tenant.clone(),
                    module,
                    task,
                    used,
                };
                rows.extend(names.into_iter().map(row));
            }
            add(link, &rows).await?;
            sweep(link, today, now).await?;
            Ok::<_, SqlError>(true)
        };
        Ok(self.sql.transaction(true, work).await?)
    }
}

fn sorted(rows: &[UsageRow]) -> BTreeMap<(TenantName, Day), Names> {
    let mut all: BTreeMap<(TenantName, Day), Names> = BTreeMap::new();
    for row in rows {
        let names = all.entry((row.tenant.clone(), row.day)).or_default();
        let name = (row.module.clone(), row.task.clone());
        names.entry(name).or_default().add(&row.used);
    }
    all
}

/// Puts together what a tenant has too many names for in a day: nobody makes the tables
/// grow by pushing ever new ones.
async fn bounded(
    link: &mut Link,
    (tenant, day): (&TenantName, Day),
    names: Names,
) -> Result<Names, SqlError> {
    let whose = || vec![Value::text(tenant.as_str()), Value::from(day.number())];
    let count = "SELECT count(*) FROM usage WHERE tenant = $1 AND day = $2";
    let mut known = number(link.rows(count, whose(), &[Kind::Int]).await?)?;
    if known.saturating_add(whole(names.len() as u64)) <= USAGE_NAMES {
        return Ok(names);
    }
    let (mut kept, mut rest) = (Names::new(), UsageSums::default());
    for ((module, task), used) in names {
        let mut values = whose();
        values.extend([Value::text(&module), Value::text(&task)]);
        let there = "SELECT count(*) FROM usage WHERE tenant = $1 AND day = $2 \
             AND module = $3 AND task = $4";
        let is_there = number(link.rows(there, values, &[Kind::Int]).await?)? > 0;
        if !is_there && known >= USAGE_NAMES {
            rest.add(&used);
            continue;
        }
        known = known.saturating_add(i64::from(!is_there));
        kept.insert((module, task), used);
    }
    if rest != UsageSums::default() {
        let name = (REST.to_owned(), REST.to_owned());
        kept.entry(name).or_default().add(&rest);
    }
    Ok(kept)
}

async fn add(link: &mut Link, rows: &[UsageRow]) -> Result<(), SqlError> {
    let mut left = rows;
    for size in AT_ONCE {
        let sql = statement(size);
        while let Some((some, rest)) = left.split_at_checked(size) {
            link.execute(&sql, some.iter().flat_map(values).collect())
                .await?;
            left = rest;
        }
    }
    Ok(())
}

/// The statement that adds so many rows. No number goes beyond what all readers hold.
fn statement(rows: usize) -> String {
    let names = UsageSums::NAMES;
    let columns = 4 + names.len();
    let places = (0..rows).map(|row| {
        let first = row * columns + 1;
        let places = (first..first + columns).map(|place| format!("${place}"));
        format!("({})", places.collect::<Vec<_>>().join(", "))
    });
    let most = UsageSums::MOST;
    let sums = names.iter().map(|name| {
        format!(
            "{name} = CASE WHEN usage.{name} + excluded.{name} > {most} THEN {most} \
             ELSE usage.{name} + excluded.{name} END"
        )
    });
    format!(
        "INSERT INTO usage (tenant, day, module, task, {}) VALUES {} \
         ON CONFLICT (day, tenant, module, task) DO UPDATE SET {}",
        names.join(", "),
        places.collect::<Vec<_>>().join(", "),
        sums.collect::<Vec<_>>().join(", "),
    )
}

fn values(row: &UsageRow) -> Vec<Value> {
    let mut values = vec![
        Value::text(row.tenant.as_str()),
        Value::from(row.day.number()),
        Value::text(&row.module),
        Value::text(&row.task),
    ];
    let numbers = row.used.numbers();
    values.extend(numbers.map(|number| Value::from(whole(number))));
    values
}

/// Puts aside what an earlier tenant of a name used on the day on which it is taken again,
/// and after: what was used before is not shown to the new one.
pub(in crate::platform) async fn put_aside(
    link: &mut Link,
    tenant: &TenantName,
    now: Timestamp,
) -> Result<(), SqlError> {
    let sql = "UPDATE usage SET tenant = $1 WHERE tenant = $2 AND day >= $3";
    let aside = format!("{tenant}~{}", now.as_millisecond());
    let values = vec![
        Value::text(&aside),
        Value::text(tenant.as_str()),
        Value::from(Day::of(now).number()),
    ];
    link.execute(sql, values).await?;
    Ok(())
}

/// Removes what is past its time.
async fn sweep(link: &mut Link, today: Day, now: i64) -> Result<(), SqlError> {
    let first = today.plus(-USAGE_KEPT).number();
    let old = "DELETE FROM usage WHERE day < $1";
    link.execute(old, vec![first.into()]).await?;
    let kept = i64::try_from(TELLERS_KEPT.as_millis()).unwrap_or(i64::MAX);
    let old = "DELETE FROM usage_batches WHERE counted_at < $1";
    link.execute(old, vec![now.saturating_sub(kept).into()])
        .await?;
    let beyond = "DELETE FROM usage_batches WHERE counted_at <= (SELECT counted_at \
         FROM usage_batches ORDER BY counted_at DESC LIMIT 1 OFFSET $1)";
    link.execute(beyond, vec![TELLERS.into()]).await?;
    Ok(())
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
