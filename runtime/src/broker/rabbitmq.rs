//! Queues in RabbitMQ, in Celery's own topology, beside Celery's own workers.
//!
//! The connection is the lease: while it lives, what it delivered is ours, and the
//! server gives it to others the moment it is gone. What differs from the other
//! drivers, because AMQP has no word for it:
//!
//! - The server tells that a message was delivered before, not how often. So a message
//!   that comes again from a classic queue is first put back at the end of its queue
//!   with its count raised, and so are messages that are given back.
//! - A key of [`Outgoing`] is not remembered. The run record makes the second of two
//!   equal messages stale.
//! - What is parked or leased in other processes is not known.
//! - Delays are rounded up to whole seconds.

mod acks;
mod again;
mod carry;
mod dead;
mod declare;
mod delay;
mod headers;
mod held;
mod inbox;
mod publish;
mod session;
mod settle;
mod take;

use super::{
    Broker, BrokerError, DeadLetter, Delivery, Depth, Looked, Outgoing, Profile, Purge, Receipt,
    Settlement,
};
use crate::amqp::{AmqpServer, Wrong, wrong};
use crate::celery::Message;
use crate::clock::Clock;
use crate::task::KnownQueues;
use async_trait::async_trait;
use lapin::Error;
use session::Session;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The driver's name.
pub const SYSTEM: &str = "rabbitmq";
/// A broker within one virtual host of a RabbitMQ server, version 3.8 or newer.
#[derive(Debug)]
pub struct RabbitBroker {
    server: AmqpServer,
    clock: Clock,
    prefetch: u16,
    longest: Option<Duration>,
    known: Vec<String>,
    queues: KnownQueues,
    session: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    opened: i64,
    session: Option<Arc<Session>>,
}

impl RabbitBroker {
    /// Uses a server; it need not be there yet. `prefetch` is how many messages of a
    /// queue this process holds at most, from 1.
    #[must_use]
    pub fn new(server: AmqpServer, clock: Clock, prefetch: usize) -> Self {
        Self {
            server,
            clock,
            prefetch: u16::try_from(prefetch.max(1)).unwrap_or(u16::MAX),
            longest: None,
            known: Vec::new(),
            queues: KnownQueues::default(),
            session: Mutex::default(),
        }
    }

    /// Tells how long the server lets a message be held (its `consumer_timeout`).
    #[must_use]
    pub fn with_longest(self, longest: Option<Duration>) -> Self {
        Self { longest, ..self }
    }

    /// Tells which queues there are: AMQP has no list of them.
    #[must_use]
    pub fn with_known(self, known: Vec<String>) -> Self {
        Self { known, ..self }
    }

    /// Says how queues are declared that are missing.
    #[must_use]
    pub fn with_queues(self, queues: KnownQueues) -> Self {
        Self { queues, ..self }
    }

    /// Returns the connection, a new one when the last is gone.
    async fn session(&self) -> Result<Arc<Session>, BrokerError> {
        let mut slot = self.session.lock().await;
        if let Some(session) = slot.session.as_ref().filter(|session| session.is_alive()) {
            return Ok(Arc::clone(session));
        }
        slot.session = None;
        slot.opened += 1;
        let opened = Session::open(
            &self.server,
            slot.opened,
            self.prefetch,
            self.queues.clone(),
        )
        .await;
        let session = Arc::new(opened.map_err(trouble)?);
        slot.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Returns the connection of a receipt, if it lives.
    async fn session_of(&self, receipt: &Receipt) -> Option<Arc<Session>> {
        let slot = self.session.lock().await;
        let session = slot.session.as_ref()?;
        (session.number == receipt.lease && session.is_alive()).then(|| Arc::clone(session))
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    fn profile(&self) -> Profile {
        Profile {
            system: SYSTEM,
            lease: None,
            longest: self.longest,
            delay_step: Duration::from_secs(1),
            native_delay: true,
            zero_first: false,
            parks_apart: false,
            wakes: false,
        }
    }

    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        Outgoing::check(&messages)?;
        let session = self.session().await?;
        publish::publish(&session, self.clock.now(), messages).await
    }

    async fn prepare(&self, queues: &[String]) -> Result<(), BrokerError> {
        let session = self.session().await?;
        take::prepare(&session, queues).await
    }

    async fn fetch(&self, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError> {
        let session = self.session().await?;
        take::take(&session, &self.clock, queues, max.max(1)).await
    }

    async fn extend(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, BrokerError> {
        let slot = self.session.lock().await;
        let session = slot.session.as_ref().filter(|session| session.is_alive());
        let is_kept = |receipt: &Receipt| {
            session.is_some_and(|session| {
                let tag = u64::try_from(receipt.message).unwrap_or_default();
                session.number == receipt.lease && session.held.holds(tag)
            })
        };
        Ok(receipts
            .iter()
            .filter(|receipt| !is_kept(receipt))
            .cloned()
            .collect())
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BrokerError> {
        let session = self.session_of(&delivery.receipt).await;
        let session = session.ok_or_else(|| settle::lost(delivery))?;
        settle::settle(&session, self.clock.now(), delivery, settlement).await
    }

    async fn confirm(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        let session = self.session_of(&delivery.receipt).await;
        let session = session.ok_or_else(|| settle::unheard(None))?;
        // Whatever went wrong: the acknowledgement may have arrived.
        let confirmed = session.confirm().await;
        confirmed.map_err(|error| settle::unheard(Some(error)))
    }

    async fn reply(&self, to: &str, message: Message) -> Result<(), BrokerError> {
        let session = self.session().await?;
        session.reply(to, &message).await
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let session = self.session().await?;
        let waiting = async |queue: &str| {
            declare::waiting(session.connection(), queue)
                .await
                .map_err(trouble)
        };
        let ready = waiting(queue).await?;
        let dead = waiting(&dead::queue(queue)).await?;
        // A fetch that holds the inbox waits because there is nothing in it.
        let pushed = session
            .inbox
            .try_lock()
            .map_or(0, |inbox| inbox.count(queue));
        Ok(Depth {
            ready: u64::from(ready.unwrap_or(0)) + pushed,
            parked: None,
            leased: None,
            dead: u64::from(dead.unwrap_or(0)),
        })
    }

    async fn queues(&self) -> Result<Vec<(String, Depth)>, BrokerError> {
        let mut all = Vec::with_capacity(self.known.len());
        for queue in &self.known {
            all.push((queue.clone(), self.depth(queue).await?));
        }
        Ok(all)
    }

    async fn dead_letters(&self, queue: &str, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let session = self.session().await?;
        dead::newest(&session, queue, max, &|_| true).await
    }

    /// Looks at dead letters alone: AMQP shows a message to nobody but its taker.
    async fn find(&self, id: &str, queues: &[String]) -> Result<Looked, BrokerError> {
        let session = self.session().await?;
        let names: BTreeSet<&String> = self.known.iter().chain(queues).collect();
        dead::find(&session, id, names.into_iter().cloned().collect()).await
    }

    async fn purge(&self, queue: &str, what: Purge) -> Result<u64, BrokerError> {
        let session = self.session().await?;
        let queue = match what {
            Purge::Waiting => queue.to_owned(),
            Purge::Dead => dead::queue(queue),
        };
        let removed = declare::purge(session.connection(), &queue).await;
        removed.map(u64::from).map_err(trouble)
    }
}

fn trouble(error: Error) -> BrokerError {
    if wrong(&error) == Wrong::NeedsAPerson {
        return BrokerError::Misconfigured {
            system: SYSTEM,
            reason: format!(
                "{error}; check the user, the password, the virtual host, its permissions and the certificates of broker"
            ),
        };
    }
    BrokerError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}
