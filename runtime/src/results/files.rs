//! Results as files of a folder, Celery's `file://`, for the processes that share it.
//!
//! `celery-task-meta-<id>` is Celery's own document. `celeriac-run-<id>` beside it is
//! the record of a run that has not ended. A file is written aside, synced and renamed,
//! so it is whole or not there; what two processes may write at once is ordered by locks
//! on the files `celeriac-lock-*`.

mod folder;
mod run;
mod sweep;

use super::chord::Joining;
use super::decide::{Recorded, decide};
use super::document::{joined, kept, stored};
use super::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::clock::{Clock, after};
use crate::task::{Fence, State, TaskId};
use async_trait::async_trait;
use folder::{Folder, Names};
use jiff::Timestamp;
use run::Run;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The driver's name.
pub const SYSTEM: &str = "filesystem";
/// Most calls that work with files at once; each holds a thread.
const AT_ONCE: usize = 32;
/// How long the record of a begun run outlives its lease without a write (1 day).
const BEGUN_KEPT: Duration = Duration::from_secs(86_400);
/// Between two looks of somebody who waits (100 ms): nothing tells of a new file.
const LOOK: Duration = Duration::from_millis(100);
/// Most records removed by one sweep.
const SWEPT: usize = 10_000;

/// Results within one folder.
#[derive(Debug, Clone)]
pub struct FileResults {
    folder: Folder,
    clock: Clock,
    keep: Option<Duration>,
    room: Arc<Semaphore>,
}

impl FileResults {
    /// Uses a folder, which must be there and writable.
    ///
    /// # Errors
    /// [`ResultsError::Misconfigured`] when it is not.
    pub fn open(path: &Path, prefix: &str, clock: Clock) -> Result<Self, ResultsError> {
        Ok(Self {
            folder: Folder::open(path, prefix)?,
            clock,
            keep: None,
            room: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Also sweeps what others have written, that long after it was.
    #[must_use]
    pub fn with_keep(self, keep: Option<Duration>) -> Self {
        Self { keep, ..self }
    }

    /// Works with files on a thread that may wait for them.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder, Timestamp) -> Result<T, ResultsError> + Send + 'static,
    ) -> Result<T, ResultsError> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|error| unavailable(error.to_string()))?;
        let (folder, now) = (self.folder.clone(), self.clock.now());
        let working = tokio::task::spawn_blocking(move || {
            let _room = room;
            work(&folder, now)
        });
        working
            .await
            .unwrap_or_else(|error| Err(unavailable(error.to_string())))
    }
}

#[async_trait]
impl Results for FileResults {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    async fn begin(&self, start: Start) -> Result<Begun, ResultsError> {
        self.work(move |folder, now| begin(folder, &start, now))
            .await
    }

    async fn renew(
        &self,
        runs: Vec<(TaskId, Fence)>,
        until: Timestamp,
    ) -> Result<(), ResultsError> {
        if runs.is_empty() {
            return Ok(());
        }
        self.work(move |folder, _| {
            for (id, fence) in runs {
                renew(folder, &id, fence, until)?;
            }
            Ok(())
        })
        .await
    }

    async fn write(&self, write: Write) -> Result<Written, ResultsError> {
        self.work(move |folder, now| put(folder, &write, now)).await
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError> {
        let id = id.clone();
        self.work(move |folder, now| {
            let found = find(folder, &folder.names(&id)?, &id, now)?;
            Ok(found.map(|recorded| recorded.record))
        })
        .await
    }

    async fn watch(&self, _id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        Ok(Box::new(Looks))
    }

    fn joining(&self) -> Joining {
        Joining::Polls
    }

    async fn sweep(&self) -> Result<u64, ResultsError> {
        let keep = self.keep;
        self.work(move |folder, now| sweep::sweep(folder, keep, now))
            .await
    }
}

/// Looks again now and then.
struct Looks;

#[async_trait]
impl Watch for Looks {
    async fn changed(&mut self) -> Result<(), ResultsError> {
        tokio::time::sleep(LOOK).await;
        Ok(())
    }
}

fn find(
    folder: &Folder,
    names: &Names,
    id: &TaskId,
    now: Timestamp,
) -> Result<Option<Recorded>, ResultsError> {
    let document = folder.read(&names.document)?;
    let document = document.and_then(|bytes| stored(id, std::str::from_utf8(&bytes).ok()?, now));
    let run = folder.read(&names.run)?;
    let run = run.and_then(|bytes| Run::read(&bytes)?.recorded(id, now));
    Ok(joined(document, run))
}

fn begin(folder: &Folder, start: &Start, now: Timestamp) -> Result<Begun, ResultsError> {
    let names = folder.names(&start.id)?;
    let _lock = folder.lock(&start.id)?;
    let begun = decide(find(folder, &names, &start.id, now)?.as_ref(), start, now);
    if begun == Begun::Run {
        let run = Run::begun(start, after(start.lease_until, BEGUN_KEPT), now);
        folder.write(&names.run, run.text().as_bytes())?;
    }
    Ok(begun)
}

fn renew(folder: &Folder, id: &TaskId, fence: Fence, until: Timestamp) -> Result<(), ResultsError> {
    let names = folder.names(id)?;
    let _lock = folder.lock(id)?;
    let Some(run) = folder.read(&names.run)? else {
        return Ok(());
    };
    match Run::read(&run).and_then(|run| run.renewed(fence, until, after(until, BEGUN_KEPT))) {
        Some(run) => folder.write(&names.run, run.text().as_bytes()),
        None => Ok(()),
    }
}

fn put(folder: &Folder, write: &Write, now: Timestamp) -> Result<Written, ResultsError> {
    let names = folder.names(&write.id)?;
    let _lock = folder.lock(&write.id)?;
    let recorded = find(folder, &names, &write.id, now)?;
    let refuses =
        |Recorded { record, .. }: &Recorded| record.is_last() || record.fence > write.fence;
    if recorded.as_ref().is_some_and(refuses) {
        return Ok(Written::Refused);
    }
    let is_final = write.state.is_final();
    if !is_final {
        let lease_until = recorded.and_then(|recorded| recorded.lease_until);
        let lease_until = lease_until.filter(|_| write.state != State::Retry);
        let run = Run::told(write, lease_until, now);
        folder.write(&names.run, run.text().as_bytes())?;
    }
    folder.write(&names.document, kept(write, now).as_bytes())?;
    if is_final {
        folder.remove(&names.run)?;
    }
    Ok(Written::Stored)
}

fn unavailable(reason: String) -> ResultsError {
    ResultsError::Unavailable {
        system: SYSTEM,
        reason,
        source: None,
    }
}

fn malformed(reason: String) -> ResultsError {
    ResultsError::Malformed {
        system: SYSTEM,
        reason,
    }
}

#[cfg(test)]
mod tests;
