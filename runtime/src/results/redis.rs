//! Results in Redis, where Celery's clients look for them.
//!
//! `celery-task-meta-<id>` is Celery's own document, stored and published in one
//! step. `celeriac-run-<id>`, a hash beside it, is the record of a run that has
//! not ended: a first run that ends well never needs one.

mod chord;
mod orders;
mod record;
mod script;
mod shelf;
mod spent;

use super::chord::{Expect, JoinPart, Joined, Joining};
use super::decide::decide;
use super::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::clock::{Clock, after};
use crate::resp::{RedisServer, is_other_type, needs_a_person};
use crate::task::{Fence, State, TaskId};
use async_trait::async_trait;
use futures::StreamExt as _;
use jiff::Timestamp;
use record::Found;
use redis::RedisError;
use redis::aio::PubSub;
use std::collections::HashSet;
use std::time::Duration;

/// The driver's name.
pub const SYSTEM: &str = "redis";
/// How long the record of a begun run outlives its lease without a write (1 day).
const BEGUN_KEPT: Duration = Duration::from_secs(86_400);
/// Tries of a beginning that others disturb; every disturbance is a run that
/// began or ended, so a second one is rare.
const TRIES: usize = 10;
/// Longest wait for a change before looking again (1 s): a channel whose
/// connection was lost tells nothing.
const LOOK: Duration = Duration::from_secs(1);

/// Results within one database of a Redis server.
#[derive(Debug, Clone)]
pub struct RedisResults {
    server: RedisServer,
    clock: Clock,
    prefix: String,
}

impl RedisResults {
    /// Uses a server; it need not be there yet.
    #[must_use]
    pub fn new(server: RedisServer, clock: Clock) -> Self {
        Self {
            server,
            clock,
            prefix: String::new(),
        }
    }

    /// Puts a text before every key and channel, as Celery's result option
    /// `global_keyprefix` does: `_` follows unless it ends in one of `: _ - .`.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        let joint = match prefix.ends_with([':', '_', '-', '.']) || prefix.is_empty() {
            true => "",
            false => "_",
        };
        Self {
            prefix: format!("{prefix}{joint}"),
            ..self
        }
    }

    fn document(&self, id: &TaskId) -> String {
        format!("{}celery-task-meta-{id}", self.prefix)
    }

    fn run(&self, id: &TaskId) -> String {
        format!("{}celeriac-run-{id}", self.prefix)
    }

    async fn find(&self, id: &TaskId) -> Result<Found, ResultsError> {
        let found = redis::pipe()
            .get(self.document(id))
            .cmd("HMGET")
            .arg(self.run(id))
            .arg(&script::FIELDS)
            .query_async(&mut self.server.shared())
            .await;
        let (document, run) = self.or_trouble(id, found).await?;
        Ok(Found::new(id, document, run, self.clock.now()))
    }
}

impl RedisResults {
    /// Makes an error out of what the server said about a task, which names the key
    /// that something else stands at. Ids are their callers' choice, so that is neither
    /// a matter of the configuration nor one of waiting.
    async fn or_trouble<T>(
        &self,
        id: &TaskId,
        answer: Result<T, RedisError>,
    ) -> Result<T, ResultsError> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if is_other_type(&error) => error,
            Err(error) => return Err(trouble(error)),
        };
        for (key, wanted) in [(self.document(id), "string"), (self.run(id), "hash")] {
            let found: String = redis::cmd("TYPE")
                .arg(&key)
                .query_async(&mut self.server.shared())
                .await
                .map_err(trouble)?;
            if found != wanted && found != "none" {
                return Err(malformed(format!(
                    "key {key:?} holds a {found} of somebody else; remove it"
                )));
            }
        }
        // It is gone meanwhile.
        Err(unavailable(error))
    }
}

#[async_trait]
impl Results for RedisResults {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    async fn begin(&self, start: Start) -> Result<Begun, ResultsError> {
        let mut versions = HashSet::new();
        for _ in 0..TRIES {
            let now = self.clock.now();
            let found = self.find(&start.id).await?;
            let begun = decide(found.recorded().as_ref(), &start, now);
            if begun != Begun::Run {
                return Ok(begun);
            }
            let until = after(start.lease_until, BEGUN_KEPT);
            let taken = script::BEGIN
                .key(self.document(&start.id))
                .key(self.run(&start.id))
                .arg(found.version())
                .arg(now.as_millisecond())
                .arg(until.as_millisecond().saturating_sub(now.as_millisecond()))
                .arg(record::begun(&start, until))
                .invoke_async(&mut self.server.shared())
                .await;
            if self.or_trouble(&start.id, taken).await? {
                return Ok(Begun::Run);
            }
            versions.insert(found.version().to_owned());
        }
        // Nobody disturbs: a document that others can read is none to us, or the
        // other way around.
        if versions.len() == 1 {
            let document = self.document(&start.id);
            return Err(malformed(format!(
                "key {document:?} holds no result; remove it"
            )));
        }
        Err(ResultsError::Unavailable {
            system: SYSTEM,
            reason: format!("task {} changed {TRIES} times while it began", start.id),
            source: None,
        })
    }

    async fn renew(
        &self,
        runs: Vec<(TaskId, Fence)>,
        until: Timestamp,
    ) -> Result<(), ResultsError> {
        if runs.is_empty() {
            return Ok(());
        }
        let now = self.clock.now().as_millisecond();
        let mut renew = script::RENEW.prepare_invoke();
        renew
            .arg(until.as_millisecond())
            .arg(after(until, BEGUN_KEPT).as_millisecond())
            .arg(now);
        for (id, fence) in runs {
            renew
                .key(self.run(&id))
                .arg(fence.retries)
                .arg(fence.deliveries);
        }
        renew
            .invoke_async::<()>(&mut self.server.shared())
            .await
            .map_err(trouble)
    }

    async fn write(&self, write: Write) -> Result<Written, ResultsError> {
        let now = self.clock.now();
        let keep = write.keep.map_or(0, |keep| keep.as_millis());
        let stored = script::WRITE
            .key(self.document(&write.id))
            .key(self.run(&write.id))
            .arg(write.fence.retries)
            .arg(write.fence.deliveries)
            .arg(u8::from(write.is_last()))
            .arg(u8::from(write.state == State::Retry))
            .arg(now.as_millisecond())
            .arg(u64::try_from(keep).unwrap_or(u64::MAX))
            .arg(super::document::kept(&write, now))
            .arg(record::running(&write, now))
            .invoke_async(&mut self.server.shared())
            .await;
        Ok(match self.or_trouble(&write.id, stored).await? {
            true => Written::Stored,
            false => Written::Refused,
        })
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError> {
        let found = self.find(id).await?;
        Ok(found.recorded().map(|recorded| recorded.record))
    }

    async fn watch(&self, id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        let mut channel = self.server.listener().await.map_err(trouble)?;
        channel
            .subscribe(self.document(id))
            .await
            .map_err(trouble)?;
        Ok(Box::new(Channel(channel)))
    }

    fn joining(&self) -> Joining {
        Joining::Counts
    }

    async fn expect(&self, chord: Expect) -> Result<(), ResultsError> {
        self.expect_chord(chord).await
    }

    async fn join(&self, part: JoinPart) -> Result<Joined, ResultsError> {
        self.join_part(part).await
    }

    async fn joined(&self, group: &str) -> Result<(), ResultsError> {
        self.chord_joined(group).await
    }

    /// Redis removes what is past its time by itself.
    async fn sweep(&self) -> Result<u64, ResultsError> {
        Ok(0)
    }
}

/// The channel of one task.
struct Channel(PubSub);

#[async_trait]
impl Watch for Channel {
    async fn changed(&mut self) -> Result<(), ResultsError> {
        let mut messages = self.0.on_message();
        // A closed channel would answer at once, for ever.
        let heard = async {
            if messages.next().await.is_none() {
                std::future::pending::<()>().await;
            }
        };
        // Nobody may have said anything: the caller looks again.
        let _elapsed = tokio::time::timeout(LOOK, heard).await;
        Ok(())
    }
}

fn trouble(error: RedisError) -> ResultsError {
    if needs_a_person(&error) {
        return ResultsError::Misconfigured {
            system: SYSTEM,
            reason: format!("{error}; check the user and password of result_backend"),
        };
    }
    unavailable(error)
}

fn unavailable(error: RedisError) -> ResultsError {
    ResultsError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}

fn malformed(reason: String) -> ResultsError {
    ResultsError::Malformed {
        system: SYSTEM,
        reason,
    }
}
