//! Where a running guest's key-value store is. The guest waits on a thread for guests;
//! the counter works on the threads that talk to servers.

use super::Attempt;
use crate::results::ResultsError;
use crate::results::shelf::{Kept, Refused, Shelves, Space};
use crate::worker::crew::Crew;
use celeriac_sandbox::{KeepError, Keeper, Keeping, Room};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a guest waits for an answer (10 s): longer than a server takes to restart,
/// far shorter than what a task may take.
const WAIT: Duration = Duration::from_secs(10);

/// Work for the other side, answer included.
type Job = BoxFuture<'static, ()>;

/// The guest's side: the shelf of its module.
pub(super) struct Shelf {
    shelves: Arc<dyn Shelves>,
    module: Arc<str>,
    jobs: mpsc::Sender<Job>,
}

/// The worker's side.
pub(super) struct Counter(mpsc::Receiver<Job>);

/// Opens the shelf of an attempt's module.
pub(super) fn open(crew: &Crew, attempt: &Attempt) -> (Shelf, Counter) {
    // A guest waits for each answer, so there is never more than one job.
    let (jobs, taken) = mpsc::channel(1);
    let shelf = Shelf {
        shelves: Arc::clone(&crew.shelves),
        module: attempt.code.module.to_string().into(),
        jobs,
    };
    (shelf, Counter(taken))
}

impl Counter {
    /// Serves one guest. It never ends by itself: whoever runs the guest knows when it
    /// is over.
    pub(super) async fn serve(&mut self) -> std::convert::Infallible {
        while let Some(job) = self.0.recv().await {
            job.await;
        }
        std::future::pending().await
    }
}

impl Shelf {
    /// Has work done on the other side, and waits for its end.
    fn ask<T, F>(&self, work: impl FnOnce(Arc<dyn Shelves>, Arc<str>) -> F) -> Keeping<'_, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ResultsError>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.shelves), Arc::clone(&self.module));
        let (answer, answered) = oneshot::channel();
        let job = async move {
            // A guest that no longer waits has hit its time limit.
            drop(answer.send(work.await));
        };
        let asked = async move {
            let gone = || away("the attempt is over");
            self.jobs.send(job.boxed()).await.map_err(|_| gone())?;
            let told = answered.await.map_err(|_| gone())?;
            told.map_err(|error| {
                tracing::warn!(%error, module = %self.module, "a key-value store cannot be used");
                away("the server it is in is away")
            })
        };
        Box::pin(async {
            let late = |_| away(&format!("no answer within {} s", WAIT.as_secs()));
            tokio::time::timeout(WAIT, asked).await.map_err(late)?
        })
    }
}

impl Keeper for Shelf {
    fn get(&self, keys: Vec<String>) -> Keeping<'_, Vec<Option<Vec<u8>>>> {
        self.ask(|shelves, module| async move { shelves.get(&module, &keys).await })
    }

    fn set(&self, pairs: Vec<(String, Vec<u8>)>, room: Room) -> Keeping<'_, ()> {
        let set = self.ask(move |shelves, module| async move {
            shelves.set(&module, pairs, space(room)).await
        });
        Box::pin(async move { kept(set.await?, room) })
    }

    fn delete(&self, keys: Vec<String>) -> Keeping<'_, ()> {
        self.ask(|shelves, module| async move { shelves.delete(&module, keys).await })
    }

    fn keys(&self, after: u64) -> Keeping<'_, Vec<String>> {
        self.ask(move |shelves, module| async move { shelves.keys(&module, after).await })
    }

    fn increment(&self, key: String, delta: u64, room: Room) -> Keeping<'_, u64> {
        let add = self.ask(move |shelves, module| async move {
            shelves.increment(&module, key, delta, space(room)).await
        });
        Box::pin(async move { kept(add.await?, room) })
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("module", &self.module)
            .finish_non_exhaustive()
    }
}

fn space(room: Room) -> Space {
    Space {
        bytes: room.bytes,
        keys: room.keys,
    }
}

fn kept<T>(kept: Kept<T>, room: Room) -> Result<T, KeepError> {
    kept.map_err(|refused| match refused {
        Refused::TooManyBytes => KeepError::Full(format!(
            "the key-value store of the module has room for {} bytes of keys and values; the operator raises it by key_value in [grants]",
            room.bytes
        )),
        Refused::TooManyKeys => KeepError::Full(format!(
            "the key-value store of the module has room for {} keys (fixed)",
            room.keys
        )),
        Refused::NotANumber => KeepError::NotANumber(
            "what is kept there is no number, or the sum is over 9223372036854775807".to_owned(),
        ),
    })
}

fn away(reason: &str) -> KeepError {
    KeepError::Unavailable(format!("the key-value store cannot be reached: {reason}"))
}
