//! Queues in Redis, in the keys that kombu uses, beside Celery's own workers.
//!
//! What we take stands in kombu's `unacked` keys as well, from the same moment:
//! a Python worker leaves it alone while we keep its score fresh, and gives it
//! back after its visibility timeout should we never return. Our own lease
//! (`celeriac.leases.<queue>`) is shorter: a killed worker's task runs again soon.
//! In return we give back what a Python worker abandoned (`abandoned`).

mod abandoned;
mod bind;
mod find;
mod held;
mod keys;
mod purge;
mod restore;
mod script;
mod take;
mod wait;

use super::{
    BODY_BYTES, Broker, BrokerError, DEAD_LETTERS, DeadLetter, Delivery, Depth, IDLE, Looked,
    Outgoing, Profile, Purge, Receipt, Settlement,
};
use crate::celery::Message;
use crate::celery::envelope::{Envelope, Ours};
use crate::clock::{Clock, after};
use crate::resp::{RedisServer, needs_a_person};
use crate::task::QueueShapes;
use async_trait::async_trait;
use held::Held;
use jiff::Timestamp;
use keys::Keys;
use redis::RedisError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The driver's name.
pub const SYSTEM: &str = "redis";
/// How long a delivery stays ours without being extended, unless chosen.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a Python worker may hold a message, unless chosen (1 h): kombu's own.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Most messages of one fetch, so that one script stays short.
pub const FETCH_MESSAGES: usize = 1_000;
/// Most messages that one script publishes, so that it stays short.
const PUBLISHED: usize = 100;
/// Most bytes of one fetch (64 MiB); a single message always fits.
const FETCH_BYTES: usize = 64 << 20;
/// How much longer than its delay a key is remembered (1 day), should its message
/// be lost with the database.
const KEY_KEPT: Duration = Duration::from_secs(86_400);

/// A broker within one database of a Redis server, version 6.2 or newer.
#[derive(Debug, Clone)]
pub struct RedisBroker {
    inner: Arc<Inner>,
    bindings: Arc<bind::Bindings>,
}

#[derive(Debug)]
struct Inner {
    server: RedisServer,
    clock: Clock,
    keys: Keys,
    settings: Settings,
    held: Held,
    restored: restore::Pace,
    looked: abandoned::Pace,
    takers: take::Takers,
    waiting: wait::Waiting,
}

/// What can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a delivery stays ours without being extended.
    pub lease: Duration,
    /// A text before every key, as kombu's `global_keyprefix`.
    pub prefix: String,
    /// How long a Python worker may hold a message before it is given to another,
    /// as kombu's `visibility_timeout`.
    pub visibility_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: LEASE,
            prefix: String::new(),
            visibility_timeout: VISIBILITY_TIMEOUT,
        }
    }
}

impl RedisBroker {
    /// Uses a server; it need not be there yet.
    #[must_use]
    pub fn new(server: RedisServer, clock: Clock) -> Self {
        Self::with(server, clock, Settings::default())
    }

    /// Uses a server with settings of one's own.
    #[must_use]
    pub fn with(server: RedisServer, clock: Clock, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                server,
                clock,
                keys: Keys::new(&settings.prefix),
                settings,
                held: Held::default(),
                restored: restore::Pace::default(),
                looked: abandoned::Pace::default(),
                takers: take::Takers::default(),
                waiting: wait::Waiting::default(),
            }),
            bindings: Arc::default(),
        }
    }

    /// Says what queues are bound to that are taken from.
    #[must_use]
    pub fn with_queues(self, queues: QueueShapes) -> Self {
        Self {
            bindings: Arc::new(bind::Bindings::new(queues)),
            ..self
        }
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lease_end(&self) -> i64 {
        after(self.now(), self.settings.lease).as_millisecond()
    }

    /// Publishes messages in their order, each unless its key is taken.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        let now = self.now();
        let mut publish = script::PUBLISH.prepare_invoke();
        publish.key(&self.keys.queues);
        for outgoing in messages {
            let Outgoing {
                queue,
                message,
                due,
                key,
            } = outgoing;
            let due = due.filter(|due| *due > now);
            let span = due.map_or(Duration::ZERO, |due| {
                Duration::try_from(due.duration_since(now)).unwrap_or_default()
            });
            let kept = u64::try_from((span + KEY_KEPT).as_millis()).unwrap_or(u64::MAX);
            let envelope = Envelope {
                message,
                ours: Ours {
                    ready_at: Some(due.unwrap_or(now).as_millisecond()),
                    key: key.clone(),
                    ..Ours::default()
                },
            };
            let place = self.keys.place(&queue, &envelope, due);
            publish
                .key(place.key)
                .key(self.keys.marker(key.as_deref().unwrap_or_default()))
                .arg(place.score)
                .arg(place.member)
                .arg(queue)
                .arg(if key.is_some() { kept } else { 0 });
        }
        publish
            .invoke_async::<()>(&mut self.server.shared())
            .await
            .map_err(trouble)
    }

    /// Where a delivery goes that is not simply acknowledged.
    fn onward(&self, delivery: &Delivery, settlement: Settlement) -> (&'static str, keys::Place) {
        let held = self.held.of(&delivery.receipt);
        let mut envelope = Envelope {
            message: delivery.message.clone(),
            ours: Ours {
                deliveries: delivery.deliveries.saturating_sub(1),
                ready_at: Some(delivery.ready_at.as_millisecond()),
                key: held.and_then(|held| held.key),
                ..Ours::default()
            },
        };
        let queue = &delivery.queue;
        match settlement {
            Settlement::Ack => ("ack", keys::Place::default()),
            Settlement::Requeue => ("front", self.keys.place(queue, &envelope, None)),
            Settlement::Return => {
                envelope.ours.deliveries = delivery.deliveries;
                ("front", self.keys.place(queue, &envelope, None))
            }
            Settlement::Park(until) => {
                envelope.ours.ready_at = Some(until.as_millisecond());
                ("park", self.keys.place(queue, &envelope, Some(until)))
            }
            Settlement::DeadLetter { reason } => {
                envelope.ours.reason = Some(reason);
                envelope.ours.died_at = Some(self.now().as_millisecond());
                let dead = keys::Place {
                    key: self.keys.dead(queue),
                    score: 0,
                    member: envelope.write(queue),
                };
                ("dead", dead)
            }
        }
    }
}

#[async_trait]
impl Broker for RedisBroker {
    fn profile(&self) -> Profile {
        Profile {
            system: SYSTEM,
            lease: Some(self.inner.settings.lease),
            longest: None,
            delay_step: Duration::from_millis(1),
            native_delay: true,
            zero_first: true,
            parks_apart: true,
        }
    }

    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        let sizes = messages
            .iter()
            .map(|outgoing| outgoing.message.body.len() as u64);
        if let Some(bytes) = sizes.max().filter(|bytes| *bytes > BODY_BYTES) {
            return Err(BrokerError::TooLarge {
                bytes,
                allowed: BODY_BYTES,
            });
        }
        let mut rest = messages.into_iter().peekable();
        while rest.peek().is_some() {
            let some = rest.by_ref().take(PUBLISHED).collect();
            self.inner.publish(some).await?;
        }
        Ok(())
    }

    async fn fetch(&self, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError> {
        if queues.is_empty() {
            return Ok(Vec::new());
        }
        self.bindings.ensure(&self.inner, queues).await?;
        let mut wait = wait::Wait::until(Instant::now() + IDLE);
        loop {
            abandoned::restore(&self.inner).await?;
            self.inner.restore(queues).await?;
            let taken = take::take(&self.inner, queues, max).await?;
            if !taken.is_empty() || wait.is_over() {
                return Ok(taken);
            }
            self.inner.wait(&mut wait, queues).await?;
        }
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, BrokerError> {
        let inner = &self.inner;
        let mut lost = Vec::new();
        let mut kept = Vec::new();
        let mut extend = script::EXTEND.prepare_invoke();
        extend
            .key(&inner.keys.unacked_index)
            .arg(keys::seconds(inner.now()))
            .arg(inner.lease_end());
        for receipt in receipts {
            match inner.held.of(receipt) {
                None => lost.push(receipt.clone()),
                Some(held) => {
                    extend.key(inner.keys.leases(&held.queue)).arg(&held.tag);
                    kept.push(receipt);
                }
            }
        }
        if kept.is_empty() {
            return Ok(lost);
        }
        let alive: Vec<bool> = extend
            .invoke_async(&mut inner.server.shared())
            .await
            .map_err(trouble)?;
        for (receipt, _) in kept.into_iter().zip(alive).filter(|(_, alive)| !alive) {
            inner.held.forget(receipt);
            lost.push(receipt.clone());
        }
        Ok(lost)
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BrokerError> {
        let inner = &self.inner;
        let lost = || BrokerError::LeaseLost {
            queue: delivery.queue.clone(),
            receipt: delivery.receipt.clone(),
        };
        let held = inner.held.of(&delivery.receipt).ok_or_else(lost)?;
        // The key is free again once its message neither waits nor runs.
        let ends = matches!(settlement, Settlement::Ack | Settlement::DeadLetter { .. });
        let marker = held.key.as_deref().filter(|_| ends);
        let (how, place) = inner.onward(delivery, settlement);
        let settled: bool = script::SETTLE
            .key(&inner.keys.unacked)
            .key(&inner.keys.unacked_index)
            .key(inner.keys.leases(&held.queue))
            .key(inner.keys.marker(marker.unwrap_or_default()))
            .key(place.key)
            .arg(&held.tag)
            .arg(how)
            .arg(place.score)
            .arg(place.member)
            .arg(DEAD_LETTERS)
            .arg(u8::from(marker.is_some()))
            .invoke_async(&mut inner.server.shared())
            .await
            .map_err(trouble)?;
        inner.held.forget(&delivery.receipt);
        if settled { Ok(()) } else { Err(lost()) }
    }

    async fn reply(&self, to: &str, message: Message) -> Result<(), BrokerError> {
        let envelope = Envelope {
            message,
            ours: Ours::default(),
        };
        if keys::is_taken(to) {
            return Ok(());
        }
        let [list, ..] = self.inner.keys.lists(to);
        let sent = redis::cmd("LPUSH")
            .arg(list)
            .arg(envelope.write(to))
            .query_async::<()>(&mut self.inner.server.shared())
            .await;
        match sent {
            // The name is the caller's choice: what is no list there is no queue.
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(()),
            sent => sent.map_err(trouble),
        }
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let keys = &self.inner.keys;
        let now = self.inner.now().as_millisecond();
        let (parked, leases) = (keys.parked(queue), keys.leases(queue));
        let mut pipe = redis::pipe();
        for list in keys.lists(queue) {
            pipe.llen(list);
        }
        pipe.zcount(&parked, "-inf", now).zcard(&parked);
        pipe.zcount(&leases, "-inf", now).zcard(&leases);
        pipe.llen(keys.dead(queue));
        let counts: Vec<u64> = pipe
            .query_async(&mut self.inner.server.shared())
            .await
            .map_err(trouble)?;
        let [a, b, c, d, due, parked, lapsed, leased, dead] = counts.as_slice() else {
            return Ok(Depth::default());
        };
        Ok(Depth {
            // What is due or lapsed is taken with the next fetch.
            ready: a + b + c + d + due + lapsed,
            parked: Some(parked - due),
            leased: Some(leased - lapsed),
            dead: *dead,
        })
    }

    async fn queues(&self) -> Result<Vec<(String, Depth)>, BrokerError> {
        let mut names: Vec<String> = redis::cmd("SMEMBERS")
            .arg(&self.inner.keys.queues)
            .query_async(&mut self.inner.server.shared())
            .await
            .map_err(trouble)?;
        names.sort_unstable();
        let depths = names.iter().map(|name| self.depth(name));
        let depths = futures::future::try_join_all(depths).await?;
        let all = names.into_iter().zip(depths);
        Ok(all
            .filter(|(_, depth)| *depth != Depth::default())
            .collect())
    }

    async fn dead_letters(&self, queue: &str, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let letters: Vec<Vec<u8>> = redis::cmd("LRANGE")
            .arg(self.inner.keys.dead(queue))
            .arg(0)
            .arg(max.saturating_sub(1))
            .query_async(&mut self.inner.server.shared())
            .await
            .map_err(trouble)?;
        let read = |raw: Vec<u8>| {
            let Envelope { message, ours } = Envelope::read(&raw);
            let died_at = ours
                .died_at
                .and_then(|at| Timestamp::from_millisecond(at).ok());
            DeadLetter {
                queue: queue.to_owned(),
                message,
                reason: ours.reason.unwrap_or_default(),
                died_at: died_at.unwrap_or_default(),
            }
        };
        Ok(letters.into_iter().map(read).collect())
    }

    async fn find(&self, id: &str, queues: &[String]) -> Result<Looked, BrokerError> {
        let mut names: BTreeSet<String> = redis::cmd("SMEMBERS")
            .arg(&self.inner.keys.queues)
            .query_async(&mut self.inner.server.shared())
            .await
            .map_err(trouble)?;
        names.extend(queues.iter().cloned());
        let names: Vec<String> = names.into_iter().collect();
        find::look(&self.inner, id, &names).await
    }

    async fn purge(&self, queue: &str, what: Purge) -> Result<u64, BrokerError> {
        purge::purge(&self.inner, queue, what).await
    }
}

fn trouble(error: RedisError) -> BrokerError {
    if needs_a_person(&error) {
        return BrokerError::Misconfigured {
            system: SYSTEM,
            reason: format!(
                "{error}; check the user, the password, the certificates and the database of broker"
            ),
        };
    }
    BrokerError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}
