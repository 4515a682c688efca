//! Statements of one type on their way through one transaction.

use super::{DatabaseError, Statement};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use std::any::{Any, TypeId};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

type Answer<S> = oneshot::Sender<Result<<S as Statement>::Output, DatabaseError>>;

/// One queued statement, its type erased.
pub(super) struct Job {
    kind: TypeId,
    open_lane: fn() -> Box<dyn Lane>,
    entry: Box<dyn Any + Send>,
}

struct Entry<S: Statement> {
    statement: S,
    caller: Caller<S>,
}

struct Caller<S: Statement> {
    answer: Option<Answer<S>>,
    /// Held until the statement is over, see `QUEUE_BYTES`.
    _room: Option<OwnedSemaphorePermit>,
}

impl Job {
    pub(super) fn new<S: Statement>(
        statement: S,
        answer: Option<Answer<S>>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let entry = Entry {
            statement,
            caller: Caller {
                answer,
                _room: room,
            },
        };
        Self {
            kind: TypeId::of::<S>(),
            open_lane: || Box::new(TypedLane::<S>::empty()),
            entry: Box::new(entry),
        }
    }
}

/// Statements of one type, and who waits for them.
pub(super) trait Lane: Send {
    fn kind(&self) -> TypeId;
    fn len(&self) -> usize;
    fn join(&mut self, entry: Box<dyn Any + Send>);
    /// Keeps the first half and returns the second.
    fn split(&mut self) -> Box<dyn Lane>;
    fn apply<'a>(
        &'a mut self,
        conn: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;
    /// Answers everybody after the commit, and tells whether waiters should
    /// look again.
    fn answer(&mut self) -> bool;
    fn fail(&mut self, error: &Arc<sqlx::Error>);
}

/// Sorts jobs into lanes by their type, in order of arrival.
pub(super) fn sort(jobs: &mut Vec<Job>) -> Vec<Box<dyn Lane>> {
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for job in jobs.drain(..) {
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.kind() == job.kind) {
            lane.join(job.entry);
        } else {
            let mut lane = (job.open_lane)();
            lane.join(job.entry);
            lanes.push(lane);
        }
    }
    lanes
}

struct TypedLane<S: Statement> {
    statements: Vec<S>,
    callers: Vec<Caller<S>>,
    outputs: Vec<S::Output>,
}

impl<S: Statement> TypedLane<S> {
    fn empty() -> Self {
        Self {
            statements: Vec::new(),
            callers: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

impl<S: Statement> Lane for TypedLane<S> {
    fn kind(&self) -> TypeId {
        TypeId::of::<S>()
    }

    fn len(&self) -> usize {
        self.statements.len()
    }

    fn join(&mut self, entry: Box<dyn Any + Send>) {
        // `sort` joins by type, so the entry is always of this one.
        if let Ok(entry) = entry.downcast::<Entry<S>>() {
            self.statements.push(entry.statement);
            self.callers.push(entry.caller);
        }
    }

    fn split(&mut self) -> Box<dyn Lane> {
        let middle = self.statements.len() / 2;
        Box::new(Self {
            statements: self.statements.split_off(middle),
            callers: self.callers.split_off(middle),
            outputs: Vec::new(),
        })
    }

    fn apply<'a>(
        &'a mut self,
        conn: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        async move {
            self.outputs = S::apply(conn, &self.statements).await?;
            if self.outputs.len() == self.statements.len() {
                return Ok(());
            }
            let found = format!(
                "{} outputs for {} statements",
                self.outputs.len(),
                self.statements.len()
            );
            Err(sqlx::Error::Protocol(found))
        }
        .boxed()
    }

    fn answer(&mut self) -> bool {
        let wakes = self.statements.iter().any(S::wakes);
        for (caller, output) in self.callers.drain(..).zip(self.outputs.drain(..)) {
            if let Some(answer) = caller.answer {
                // A caller that went away drops its output, which may matter to it.
                drop(answer.send(Ok(output)));
            }
        }
        wakes
    }

    fn fail(&mut self, error: &Arc<sqlx::Error>) {
        for caller in self.callers.drain(..) {
            if let Some(answer) = caller.answer {
                drop(answer.send(Err(DatabaseError::from(Arc::clone(error)))));
            }
        }
    }
}
