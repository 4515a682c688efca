//! What a caller hears of the tasks that it called.
//!
//! Whoever waits for a task reads from the queue for all others too, one reply at a
//! time: what nobody waits for stays with the server, so that memory holds no more than
//! what was asked for.

use super::super::document::stored;
use super::super::{Record, ResultsError, Watch};
use super::{Heard, Replies, SYSTEM};
use crate::celery::{Message, body};
use crate::clock::Clock;
use crate::task::{Accept, TaskId};
use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use tokio::sync::{Mutex, Notify, OnceCell};

/// Most tasks that one caller hears of at a time (100,000): ten of the largest groups.
const TASKS: usize = 100_000;
/// Largest body of a reply (16 MiB), as of a message.
const REPLY: usize = 16 << 20;
/// Most bytes of the replies that are kept for a caller (256 MiB).
const BYTES: usize = 256 << 20;
/// Most replies that are read because somebody looks (10,000), the largest group.
const READY: usize = 10_000;

/// The replies to one caller.
pub(super) struct Inbox {
    queue: String,
    clock: Clock,
    accept: Accept,
    /// Most bytes of all replies together.
    room: usize,
    is_open: OnceCell<()>,
    replies: Mutex<Option<Heard>>,
    tasks: Lock<Tasks>,
}

#[derive(Default)]
struct Tasks {
    known: HashMap<TaskId, Entry>,
    /// Bytes of all that is known.
    held: usize,
}

/// What was heard of one task.
#[derive(Default)]
struct Entry {
    /// How many hearings want to know it.
    wanted: usize,
    /// How often something was heard.
    times: u64,
    /// At which of these times somebody looked last.
    shown: u64,
    found: Found,
    bytes: usize,
    changed: Arc<Notify>,
}

#[derive(Default)]
enum Found {
    #[default]
    Nothing,
    Known(Box<Record>),
    /// Why the last reply cannot be read.
    Unreadable(String),
}

/// Tasks of which a caller wants to hear; it ends with this value.
pub struct Hearing {
    inbox: Arc<Inbox>,
    ids: Vec<TaskId>,
}

impl Hearing {
    /// Returns the queue that the messages of the tasks have to name as `reply_to`.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.inbox.queue
    }
}

impl Inbox {
    pub(super) fn new(clock: Clock, accept: Accept) -> Self {
        Self {
            queue: uuid::Uuid::new_v4().to_string(),
            clock,
            accept,
            room: BYTES,
            is_open: OnceCell::new(),
            replies: Mutex::default(),
            tasks: Lock::default(),
        }
    }

    /// Makes the queue, once.
    pub(super) async fn open(&self, way: &dyn Replies) -> Result<(), ResultsError> {
        let open = async || {
            let heard = way.listen(&self.queue).await?;
            *self.replies.lock().await = Some(heard);
            Ok(())
        };
        self.is_open.get_or_try_init(open).await.copied()
    }

    /// Removes the queue, if there is one.
    pub(super) async fn close(&self, way: &dyn Replies) -> Result<(), ResultsError> {
        if !self.is_open.initialized() {
            return Ok(());
        }
        if let Ok(mut replies) = self.replies.try_lock() {
            *replies = None;
        }
        way.forget(&self.queue).await
    }

    /// Begins to hear of tasks.
    pub(super) fn expect(this: &Arc<Self>, ids: Vec<TaskId>) -> Result<Hearing, ResultsError> {
        let mut tasks = this.tasks();
        if tasks.known.len() + ids.len() > TASKS {
            return Err(ResultsError::Unavailable {
                system: SYSTEM,
                reason: format!(
                    "replies of {} tasks are waited for, and {TASKS} are the most; let go of handles first",
                    tasks.known.len()
                ),
                source: None,
            });
        }
        for id in &ids {
            tasks.known.entry(id.clone()).or_default().wanted += 1;
        }
        drop(tasks);
        Ok(Hearing {
            inbox: Arc::clone(this),
            ids,
        })
    }

    /// Returns what is known of a task, reading what has come; `None` where nobody
    /// expects it.
    pub(super) fn get(&self, id: &TaskId) -> Option<Result<Option<Record>, ResultsError>> {
        for _ in 0..READY {
            // One state at a time, so that whoever watches sees each.
            if self.is_unseen(id)? || !self.read_ready() {
                break;
            }
        }
        let mut tasks = self.tasks();
        let entry = tasks.known.get_mut(id)?;
        entry.shown = entry.times;
        Some(match &entry.found {
            Found::Nothing => Ok(None),
            Found::Known(record) => Ok(Some(Record::clone(record))),
            Found::Unreadable(reason) => Err(ResultsError::Malformed {
                system: SYSTEM,
                reason: reason.clone(),
            }),
        })
    }

    /// Watches a task.
    pub(super) fn ear(self: &Arc<Self>, id: &TaskId) -> Option<Ear> {
        Some(Ear {
            times: self.times(id)?,
            inbox: Arc::clone(self),
            id: id.clone(),
        })
    }

    /// Tells whether something was heard of a task since somebody looked.
    fn is_unseen(&self, id: &TaskId) -> Option<bool> {
        let tasks = self.tasks();
        tasks.known.get(id).map(|entry| entry.shown != entry.times)
    }

    /// How often something was heard of a task.
    fn times(&self, id: &TaskId) -> Option<u64> {
        self.tasks().known.get(id).map(|entry| entry.times)
    }

    /// Reads a reply that is there, if one is and nobody else reads.
    fn read_ready(&self) -> bool {
        let Ok(mut replies) = self.replies.try_lock() else {
            return false;
        };
        let next = replies
            .as_mut()
            .and_then(|heard| heard.next().now_or_never());
        match next.flatten() {
            Some(message) => {
                self.take(&message);
                true
            }
            None => false,
        }
    }

    /// Reads the next reply. Cancel-safe.
    async fn read(&self) {
        let mut replies = self.replies.lock().await;
        let message = match replies.as_mut() {
            Some(heard) => heard.next().await,
            None => None,
        };
        match message {
            Some(message) => self.take(&message),
            // The queue was removed: nothing will come.
            None => std::future::pending().await,
        }
    }

    /// Notes what a reply says, if somebody wants to know it.
    fn take(&self, message: &Message) {
        let Some(id) = message.properties.correlation_id.as_deref() else {
            return;
        };
        let Ok(id) = TaskId::parse(id) else { return };
        let mut tasks = self.tasks();
        let Tasks { known, held } = &mut *tasks;
        let Some(entry) = known.get_mut(&id) else {
            return;
        };
        if matches!(&entry.found, Found::Known(record) if record.state.is_final()) {
            // Told again, or by a run that went on unknown: the first end holds.
            return;
        }
        *held -= entry.bytes;
        entry.found = self.found(&id, message, self.room.saturating_sub(*held));
        entry.bytes = match &entry.found {
            Found::Known(record) => record.result.as_ref().map_or(0, |result| result.len()),
            Found::Nothing | Found::Unreadable(_) => 0,
        };
        *held += entry.bytes;
        entry.times += 1;
        entry.changed.notify_waiters();
    }

    fn found(&self, id: &TaskId, message: &Message, room: usize) -> Found {
        let length = message.body.len();
        if length > REPLY.min(room) {
            return Found::Unreadable(format!(
                "a reply of {length} bytes is too large: one may have {REPLY}, and all that are kept {}; let go of handles, or send a place for the result instead",
                self.room
            ));
        }
        let document = match body::json(message, &self.accept) {
            Ok(document) => document,
            Err(error) => return Found::Unreadable(format!("the reply: {error}")),
        };
        let record = std::str::from_utf8(&document).ok();
        let record = record.and_then(|text| stored(id, text, self.clock.now()));
        match record {
            Some(record) => Found::Known(Box::new(record)),
            None => Found::Unreadable("the reply is no result document of Celery".to_owned()),
        }
    }

    /// What a panicking thread left is still whole: nothing panics between its changes.
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let mut tasks = self.inbox.tasks();
        let Tasks { known, held } = &mut *tasks;
        for id in &self.ids {
            let Some(entry) = known.get_mut(id) else {
                continue;
            };
            entry.wanted -= 1;
            if entry.wanted == 0 {
                *held -= entry.bytes;
                known.remove(id);
            }
        }
    }
}

/// Hears of changes of one task.
pub(super) struct Ear {
    inbox: Arc<Inbox>,
    id: TaskId,
    times: u64,
}

#[async_trait]
impl Watch for Ear {
    async fn changed(&mut self) -> Result<(), ResultsError> {
        loop {
            let changed = {
                let tasks = self.inbox.tasks();
                let Some(entry) = tasks.known.get(&self.id) else {
                    return Err(super::nothing_kept());
                };
                Arc::clone(&entry.changed)
            };
            let mut told = std::pin::pin!(changed.notified());
            // From here on, nothing that others read is missed.
            told.as_mut().enable();
            let times = self.inbox.times(&self.id).unwrap_or_default();
            if times != self.times {
                self.times = times;
                return Ok(());
            }
            tokio::select! {
                () = told => {}
                () = self.inbox.read() => {}
            }
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Inbox");
        shown.field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Hearing");
        shown
            .field("tasks", &self.ids.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
