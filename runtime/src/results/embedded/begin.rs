//! Beginning a run: read what is recorded, decide, take the fence.

use super::super::decide::{Recorded, decide};
use super::super::{Begun, Start};
use super::record;
use super::{BEGUN_KEPT, rounds};
use crate::clock::after;
use crate::database::rows::{Insert, parts};
use crate::database::{SqliteConnection, Statement};
use crate::task::{State, TaskId};
use jiff::Timestamp;
use std::collections::HashMap;

/// Unconditional: the decision was made within the same transaction.
static BEGIN: Insert = Insert::new(
    "results (id, task, retries, deliveries, state, worker, written_at, lease_until, expires_at)",
    9,
    "ON CONFLICT (id) DO UPDATE SET task = excluded.task, retries = excluded.retries,
     deliveries = excluded.deliveries, state = excluded.state, final = 0, result = NULL, exception = NULL,
     due = NULL, worker = excluded.worker, queue_wait_ms = 0, run_us = 0, cpu_us = 0, memory_peak_bytes = 0,
     bytes_in = 0, bytes_out = 0, host_calls = 0, uses = NULL, log = NULL, written_at = excluded.written_at, lease_until = excluded.lease_until,
     expires_at = excluded.expires_at",
);

/// Takes the fence of a run, if it may run.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) start: Start,
    pub(super) now: i64,
}

impl Statement for Begin {
    type Output = Begun;

    async fn apply(conn: &mut SqliteConnection, batch: &[Self]) -> Result<Vec<Begun>, sqlx::Error> {
        let mut outputs = vec![Begun::Run; batch.len()];
        for round in rounds(batch, |begin| &begin.start.id) {
            let now = round
                .iter()
                .map(|(_, begin)| begin.now)
                .max()
                .unwrap_or_default();
            let moment = Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX);
            let ids = round.iter().map(|(_, begin)| &begin.start.id);
            let recorded = record::some(conn, ids, now).await?;
            let recorded: HashMap<&TaskId, &Recorded> = recorded
                .iter()
                .map(|recorded| (&recorded.record.id, recorded))
                .collect();
            let mut runs = Vec::new();
            for (index, begin) in round {
                let begun = decide(recorded.get(&begin.start.id).copied(), &begin.start, moment);
                if begun == Begun::Run {
                    runs.push(begin);
                } else if let Some(output) = outputs.get_mut(index) {
                    *output = begun;
                }
            }
            take(conn, &runs).await?;
        }
        Ok(outputs)
    }
}

async fn take(conn: &mut SqliteConnection, runs: &[&Begin]) -> Result<(), sqlx::Error> {
    for part in parts(runs) {
        let mut query = sqlx::query(BEGIN.sql(part.len()));
        for Begin { start, now } in part {
            query = query
                .bind(start.id.as_str())
                .bind(&start.task)
                .bind(start.fence.retries)
                .bind(start.fence.deliveries)
                .bind(State::Started.as_str().to_owned())
                .bind(&start.worker)
                .bind(now)
                .bind(start.lease_until.as_millisecond())
                .bind(after(start.lease_until, BEGUN_KEPT).as_millisecond());
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}
