//! The embedded broker: queues as rows of the machine's database file.
//!
//! A message is a slim row that changes and a payload that does not. Callers
//! become [`crate::database::Statement`]s, so hundreds of them share a
//! transaction. Any number of processes of one machine may use the file.

mod count;
mod extend;
mod find;
mod graves;
mod payload;
mod publish;
mod purge;
mod settle;
mod take;
mod wake;

use super::{
    Broker, BrokerError, DeadLetter, Delivery, Depth, IDLE, Looked, Outgoing, Profile, Purge,
    Reach, Receipt, Settlement,
};
use crate::celery::Message;
use crate::clock::after;
use crate::database::{Database, DatabaseError};
use async_trait::async_trait;
use extend::Extend;
use jiff::Timestamp;
use publish::{Letter, Publish};
use settle::Settle;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use take::{Take, Taken};

/// The driver's name.
pub const SYSTEM: &str = "embedded";
/// How long a delivery stays ours without being extended, unless chosen.
pub const LEASE: Duration = Duration::from_secs(30);
/// Most messages of one fetch, so that one transaction stays short.
pub const FETCH_MESSAGES: usize = 1_000;
/// Most bytes of one fetch (64 MiB), however many messages were asked for; a
/// single message always fits.
pub const FETCH_BYTES: i64 = 64 << 20;
/// How long a message that is due or whose lease lapsed may wait while its queue
/// always holds enough others, milliseconds. Otherwise it does not wait.
const PROMOTE_EVERY: i64 = 100;
/// Most queues of one fetch: SQLite takes 500 parts in one compound query.
pub const FETCH_QUEUES: usize = 400;

/// A broker within the database file of this machine.
#[derive(Debug, Clone)]
pub struct EmbeddedBroker {
    db: Database,
    lease: Duration,
    /// When what was due or lapsed was last looked for, milliseconds since 1970.
    promoted: Arc<AtomicI64>,
}

impl EmbeddedBroker {
    /// Uses an open database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self {
            db,
            lease: LEASE,
            promoted: Arc::default(),
        }
    }

    /// Chooses how long a delivery stays ours without being extended.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    fn lease_end(&self) -> i64 {
        after(self.db.clock().now(), self.lease).as_millisecond()
    }

    async fn take(&self, queues: &[String], max: usize) -> Result<Taken, BrokerError> {
        let now = self.db.clock().now_ms();
        let promote = now.saturating_sub(self.promoted.load(Ordering::Relaxed)) >= PROMOTE_EVERY;
        if promote {
            self.promoted.store(now, Ordering::Relaxed);
        }
        let take = Take {
            queues: queues.to_vec(),
            max: max.clamp(1, FETCH_MESSAGES),
            now,
            lease_end: self.lease_end(),
            promote,
            poster: self.db.poster(),
        };
        self.db.write(take).await.map_err(unavailable)
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    fn profile(&self) -> Profile {
        Profile {
            system: SYSTEM,
            lease: Some(self.lease),
            longest: None,
            delay_step: Duration::from_millis(1),
            native_delay: true,
            zero_first: false,
            parks_apart: false,
            wakes: true,
        }
    }

    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        let now = self.db.clock().now_ms();
        let letters = messages
            .into_iter()
            .map(|message| Letter::new(message, now))
            .collect::<Result<Vec<_>, _>>()?;
        for publish in Publish::divide(letters) {
            self.db.write(publish).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn fetch(&self, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError> {
        if queues.len() > FETCH_QUEUES {
            let reason = format!(
                "{} queues are too many for one worker; at most {FETCH_QUEUES} (fixed)",
                queues.len()
            );
            return Err(BrokerError::Misconfigured {
                system: SYSTEM,
                reason,
            });
        }
        if queues.is_empty() {
            return Ok(Vec::new());
        }
        let mut commits = self.db.watch();
        let idle = tokio::time::Instant::now() + IDLE;
        loop {
            let taken = self.take(queues, max).await?;
            let due = taken.next_due();
            if let Some(deliveries) = taken.keep() {
                return Ok(deliveries);
            }
            tokio::select! {
                changed = commits.changed() => changed.map_err(unavailable)?,
                () = until(&self.db, due) => {}
                () = tokio::time::sleep_until(idle) => return Ok(Vec::new()),
            }
        }
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, BrokerError> {
        if receipts.is_empty() {
            return Ok(Vec::new());
        }
        let extend = Extend {
            receipts: receipts.to_vec(),
            lease_end: self.lease_end(),
        };
        self.db.write(extend).await.map_err(unavailable)
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BrokerError> {
        let receipt = delivery.receipt.clone();
        let other = || Outgoing {
            queue: delivery.queue.clone(),
            message: delivery.message.clone(),
            due: None,
            key: None,
        };
        let goes_on = delivery.replaced && settlement != Settlement::Ack;
        let ready_at = milliseconds(delivery.ready_at);
        let other = goes_on
            .then(|| Letter::new(other(), ready_at))
            .transpose()?;
        let settle = Settle {
            receipt: receipt.clone(),
            settlement,
            now: self.db.clock().now_ms(),
            other,
        };
        if self.db.write(settle).await.map_err(unavailable)? {
            Ok(())
        } else {
            Err(BrokerError::LeaseLost {
                queue: delivery.queue.clone(),
                receipt,
            })
        }
    }

    async fn reply(&self, _to: &str, _message: Message) -> Result<(), BrokerError> {
        Err(BrokerError::Misconfigured {
            system: SYSTEM,
            reason: "callers have no queues of their own in the embedded file".to_owned(),
        })
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        count::one(&mut conn, queue, self.db.clock().now_ms())
            .await
            .map_err(|error| unavailable(error.into()))
    }

    async fn queues(&self) -> Result<Vec<(String, Depth)>, BrokerError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        count::all(&mut conn, self.db.clock().now_ms())
            .await
            .map_err(|error| unavailable(error.into()))
    }

    async fn dead_letters(&self, queue: &str, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        graves::newest(&mut conn, queue, max)
            .await
            .map_err(|error| unavailable(error.into()))
    }

    async fn find(&self, id: &str, _queues: &[String]) -> Result<Looked, BrokerError> {
        let mut conn = self.db.read().await.map_err(unavailable)?;
        let found = find::message(&mut conn, id, self.db.clock().now_ms())
            .await
            .map_err(|error| unavailable(error.into()))?;
        let names = count::all(&mut conn, self.db.clock().now_ms())
            .await
            .map_err(|error| unavailable(error.into()))?;
        let names = names.into_iter().map(|(name, _)| name);
        Ok(Looked {
            found,
            reach: Reach::All(names.collect()),
        })
    }

    async fn wake(&self, queue: &str, until: Timestamp) -> Result<u64, BrokerError> {
        let mut woken = 0;
        loop {
            let some = wake::Wake {
                queue: queue.to_owned(),
                now: self.db.clock().now_ms(),
                until: milliseconds(until),
            };
            let some = self.db.write(some).await.map_err(unavailable)?;
            if some == 0 {
                return Ok(woken);
            }
            woken += some;
        }
    }

    async fn purge(&self, queue: &str, what: Purge) -> Result<u64, BrokerError> {
        let before = self.db.write(purge::Next).await.map_err(unavailable)?;
        let mut removed = 0;
        loop {
            let some = purge::Remove {
                queue: queue.to_owned(),
                what,
                before,
            };
            let some = self.db.write(some).await.map_err(unavailable)?;
            if some == 0 {
                return Ok(removed);
            }
            removed += some;
        }
    }
}

/// Waits until a moment in milliseconds since 1970; without one, for ever.
async fn until(db: &Database, due: Option<i64>) {
    match due {
        Some(due) => db.clock().sleep_until(moment(due)).await,
        None => std::future::pending().await,
    }
}

fn unavailable(error: DatabaseError) -> BrokerError {
    BrokerError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}

/// Reads a stored moment.
fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Writes a moment, rounded up: nothing is delivered before it is due.
fn milliseconds(moment: Timestamp) -> i64 {
    let whole = moment.as_millisecond();
    if moment.as_nanosecond() > i128::from(whole) * 1_000_000 {
        whole.saturating_add(1)
    } else {
        whole
    }
}

/// Writes numbers as a JSON array: one parameter for any number of rows.
fn list(ids: &[i64]) -> String {
    serde_json::Value::from(ids).to_string()
}

/// Writes receipts as a JSON array of `[message, lease]`.
fn pairs<'a>(receipts: impl IntoIterator<Item = &'a Receipt>) -> String {
    let pairs: Vec<_> = receipts
        .into_iter()
        .map(|receipt| [receipt.message, receipt.lease])
        .collect();
    serde_json::Value::from(
        pairs
            .iter()
            .map(|pair| serde_json::Value::from(pair.as_slice()))
            .collect::<Vec<_>>(),
    )
    .to_string()
}

#[cfg(test)]
mod tests;
