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
mod look;
mod publish;
mod purge;
mod restore;
mod script;
mod settle;
mod take;
mod wait;
mod wake;

use super::{
    Broker, BrokerError, DeadLetter, Delivery, Depth, IDLE, Looked, Outgoing, Profile, Purge,
    Receipt, Settlement,
};
use crate::celery::Message;
use crate::clock::{Clock, after};
use crate::resp::{RedisServer, needs_a_person};
use crate::task::KnownQueues;
use async_trait::async_trait;
use held::Held;
use jiff::Timestamp;
use keys::Keys;
use redis::RedisError;
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
/// Most bytes of one fetch (64 MiB); a single message always fits.
const FETCH_BYTES: usize = 64 << 20;
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
    pub fn with_queues(self, queues: KnownQueues) -> Self {
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

    /// Returns when kombu is to think that we took a message (s): its visibility timeout
    /// ends no sooner than our lease, or Python's workers would take what we run.
    fn taken_at(&self) -> String {
        let Settings {
            lease,
            visibility_timeout,
            ..
        } = &self.settings;
        let ahead = lease.saturating_sub(*visibility_timeout);
        keys::seconds(after(self.now(), ahead))
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
            wakes: true,
        }
    }

    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        publish::publish(&self.inner, messages).await
    }

    async fn prepare(&self, queues: &[String]) -> Result<(), BrokerError> {
        self.bindings.ensure(&self.inner, queues).await
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
        settle::extend(&self.inner, receipts).await
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BrokerError> {
        settle::settle(&self.inner, delivery, settlement).await
    }

    async fn reply(&self, to: &str, message: Message) -> Result<(), BrokerError> {
        publish::reply(&self.inner, to, message).await
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        look::depth(&self.inner, queue).await
    }

    async fn queues(&self) -> Result<Vec<(String, Depth)>, BrokerError> {
        look::queues(&self.inner).await
    }

    async fn dead_letters(&self, queue: &str, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        look::dead_letters(&self.inner, queue, max).await
    }

    async fn find(&self, id: &str, queues: &[String]) -> Result<Looked, BrokerError> {
        let mut names = look::names(&self.inner).await?;
        names.extend(queues.iter().cloned());
        let names: Vec<String> = names.into_iter().collect();
        find::look(&self.inner, id, &names).await
    }

    async fn wake(&self, queue: &str, until: Timestamp) -> Result<u64, BrokerError> {
        wake::wake(&self.inner, queue, until).await
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
