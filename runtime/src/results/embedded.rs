//! The embedded result backend: one row per task in the machine's database file.

mod begin;
mod chord;
mod orders;
mod record;
mod renew;
mod shelf;
mod spent;
mod sweep;
mod write;

use super::chord::{Expect, JoinPart, Joined, Joining};
use super::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::database::{Database, DatabaseError, Watcher};
use crate::task::{Fence, TaskId};
use async_trait::async_trait;
use begin::Begin;
use jiff::Timestamp;
use renew::Renew;
use std::time::Duration;
use sweep::Sweep;
use write::Put;

/// The driver's name.
pub const SYSTEM: &str = "embedded";
/// Most records removed by one sweep, so that one transaction stays short.
pub const SWEPT: u64 = 10_000;
/// How long the record of a begun run outlives its lease without a write (1
/// day), so that runs that were given up leave nothing behind for ever.
pub const BEGUN_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Results within the database file of this machine.
#[derive(Debug, Clone)]
pub struct EmbeddedResults {
    db: Database,
}

impl EmbeddedResults {
    /// Uses an open database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Waits until the state of a task is final, and returns its record; `None`
    /// when that did not happen in time. Cancel-safe.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    pub async fn wait(
        &self,
        id: &TaskId,
        timeout: Duration,
    ) -> Result<Option<Record>, ResultsError> {
        let over = async {
            let mut commits = self.db.watch();
            loop {
                if let Some(record) = self.get(id).await?.filter(|record| record.state.is_final()) {
                    return Ok(Some(record));
                }
                commits.changed().await.map_err(unavailable)?;
            }
        };
        tokio::time::timeout(timeout, over)
            .await
            .unwrap_or(Ok(None))
    }
}

#[async_trait]
impl Results for EmbeddedResults {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    async fn begin(&self, start: Start) -> Result<Begun, ResultsError> {
        let now = self.db.clock().now_ms();
        self.db
            .write(Begin { start, now })
            .await
            .map_err(unavailable)
    }

    async fn renew(
        &self,
        runs: Vec<(TaskId, Fence)>,
        until: Timestamp,
    ) -> Result<(), ResultsError> {
        if runs.is_empty() {
            return Ok(());
        }
        self.db
            .write(Renew {
                runs,
                until: until.as_millisecond(),
            })
            .await
            .map_err(unavailable)
    }

    async fn write(&self, write: Write) -> Result<Written, ResultsError> {
        self.db
            .write(Put::new(write, self.db.clock().now_ms()))
            .await
            .map_err(unavailable)
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        let now = self.db.clock().now_ms();
        record::one(&mut conn, id, now)
            .await
            .map_err(|error| unavailable(error.into()))
    }

    async fn watch(&self, _id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        Ok(Box::new(Commits(self.db.watch())))
    }

    fn joining(&self) -> Joining {
        Joining::Counts
    }

    async fn expect(&self, chord: Expect) -> Result<(), ResultsError> {
        let now = self.db.clock().now_ms();
        let announce = chord::Announce { chord, now };
        self.db.write(announce).await.map_err(unavailable)
    }

    async fn join(&self, part: JoinPart) -> Result<Joined, ResultsError> {
        let now = self.db.clock().now_ms();
        let count = chord::Count { part, now };
        self.db.write(count).await.map_err(unavailable)
    }

    async fn joined(&self, group: &str) -> Result<(), ResultsError> {
        let chord = group.to_owned();
        self.db
            .write(chord::Close { chord })
            .await
            .map_err(unavailable)
    }

    async fn sweep(&self) -> Result<u64, ResultsError> {
        self.db
            .write(Sweep {
                now: self.db.clock().now_ms(),
            })
            .await
            .map_err(unavailable)
    }
}

/// Every commit may be about the watched task.
struct Commits(Watcher);

#[async_trait]
impl Watch for Commits {
    async fn changed(&mut self) -> Result<(), ResultsError> {
        self.0.changed().await.map_err(unavailable)
    }
}

fn unavailable(error: DatabaseError) -> ResultsError {
    ResultsError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}

/// Divides items into rounds in which every id occurs once, so that two writes
/// about one task in one batch follow each other.
fn rounds<T>(items: &[T], id: impl Fn(&T) -> &TaskId) -> Vec<Vec<(usize, &T)>> {
    let mut seen = std::collections::HashMap::new();
    let mut rounds: Vec<Vec<(usize, &T)>> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let round = seen
            .entry(id(item).clone())
            .and_modify(|round| *round += 1)
            .or_insert(0_usize);
        match rounds.get_mut(*round) {
            Some(members) => members.push((index, item)),
            None => rounds.push(vec![(index, item)]),
        }
    }
    rounds
}

#[cfg(test)]
mod tests;
