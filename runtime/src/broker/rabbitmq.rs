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
mod session;

use super::{
    BODY_BYTES, Broker, BrokerError, DeadLetter, Delivery, Depth, Found, IDLE, Looked, Outgoing,
    Place, Profile, Purge, Reach, Receipt, Settlement, is_of,
};
use crate::amqp::{ANSWER, AmqpServer, Wrong, in_time, wrong};
use crate::celery::Message;
use crate::clock::Clock;
use crate::task::QueueShapes;
use async_trait::async_trait;
use carry::Notes;
use declare::Purpose;
use jiff::Timestamp;
use lapin::Error;
use session::{Post, Session};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The driver's name.
pub const SYSTEM: &str = "rabbitmq";
/// How many messages wait with confirms of the server at most.
const UNCONFIRMED: usize = 1_000;

/// A broker within one virtual host of a RabbitMQ server, version 3.8 or newer.
#[derive(Debug)]
pub struct RabbitBroker {
    server: AmqpServer,
    clock: Clock,
    prefetch: u16,
    longest: Option<Duration>,
    known: Vec<String>,
    queues: Arc<QueueShapes>,
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
            queues: Arc::default(),
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
    pub fn with_queues(self, queues: QueueShapes) -> Self {
        Self {
            queues: Arc::new(queues),
            ..self
        }
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
            Arc::clone(&self.queues),
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

    fn delivery(
        &self,
        session: &Session,
        queue: String,
        pushed: lapin::message::Delivery,
    ) -> Delivery {
        let (message, notes) = carry::read(&pushed.properties, pushed.data);
        session.held.hold(pushed.delivery_tag);
        let ready_at = notes
            .ready_at
            .and_then(|at| Timestamp::from_millisecond(at).ok());
        Delivery {
            queue,
            message,
            receipt: Receipt {
                message: i64::try_from(pushed.delivery_tag).unwrap_or(i64::MAX),
                lease: session.number,
            },
            deliveries: notes
                .deliveries
                .saturating_add(notes.counted.unwrap_or(0))
                .saturating_add(1),
            ready_at: ready_at.unwrap_or_else(|| self.clock.now()),
        }
    }

    /// Takes what waits, or nothing when nothing does for a while.
    async fn take(
        &self,
        session: &Session,
        queues: &[String],
        max: usize,
    ) -> Result<Vec<Delivery>, BrokerError> {
        for queue in queues {
            session.ensure(queue, Purpose::Tasks).await?;
        }
        let mut inbox = session.inbox.lock().await;
        inbox
            .follow(session.consuming(), &session.acks, queues)
            .await
            .map_err(trouble)?;
        if queues.is_empty() {
            return Ok(Vec::new());
        }
        let waited = tokio::time::timeout(IDLE, async {
            loop {
                if let Err(error) = inbox.arrival().await {
                    // A queue may be gone: it is declared again the next time.
                    session.forget().await;
                    return Err(trouble(error));
                }
                again::recount(session, &mut inbox).await?;
                let taken = inbox.take(max);
                if !taken.is_empty() {
                    return Ok(taken);
                }
            }
        });
        let Ok(taken) = waited.await else {
            // Silence may be an empty queue or a dead server: only an answer tells.
            if let Some(queue) = queues.first() {
                let look = declare::look(session.consuming(), queue);
                in_time(ANSWER, look).await.map_err(trouble)?;
            }
            return Ok(Vec::new());
        };
        Ok(taken?
            .into_iter()
            .map(|(queue, pushed)| self.delivery(session, queue, pushed))
            .collect())
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
        let session = self.session().await?;
        let now = self.clock.now();
        let mut posts = Vec::with_capacity(messages.len());
        for outgoing in messages {
            let Outgoing {
                queue,
                mut message,
                due,
                key: _,
            } = outgoing;
            session.ensure(&queue, Purpose::Tasks).await?;
            let due = due.filter(|due| *due > now);
            let notes = Notes {
                ready_at: Some(due.unwrap_or(now).as_millisecond()),
                ..Notes::default()
            };
            let (exchange, routing_key) = match due {
                Some(due) => {
                    let levels = session.ensure_delay(&queue).await?;
                    message.properties.expiration = None;
                    (
                        levels.entrance(),
                        delay::routing_key(again::until(now, due), &queue),
                    )
                }
                None => ("", queue),
            };
            let properties = carry::write(&message, &notes, session.room());
            posts.push(Post {
                exchange,
                routing_key,
                properties,
                body: message.body,
            });
        }
        let mut posts = posts.into_iter().peekable();
        while posts.peek().is_some() {
            session
                .publish(posts.by_ref().take(UNCONFIRMED).collect())
                .await?;
        }
        Ok(())
    }

    async fn fetch(&self, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError> {
        let session = self.session().await?;
        self.take(&session, queues, max.max(1)).await
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
        let receipt = &delivery.receipt;
        let lost = || BrokerError::LeaseLost {
            queue: delivery.queue.clone(),
            receipt: receipt.clone(),
        };
        let session = self.session_of(receipt).await.ok_or_else(lost)?;
        let tag = u64::try_from(receipt.message).unwrap_or_default();
        let settling = session.held.settle(tag).ok_or_else(lost)?;
        let now = self.clock.now();
        let before = Notes {
            deliveries: delivery.deliveries.saturating_sub(1),
            ..Notes::default()
        };
        match settlement {
            Settlement::Ack => {}
            Settlement::Requeue => {
                again::replace(&session, now, delivery, None, before).await?;
            }
            Settlement::Park(until) => {
                again::replace(&session, now, delivery, Some(until), before).await?;
            }
            Settlement::Return => {
                let counted = Notes {
                    deliveries: delivery.deliveries,
                    ..before
                };
                again::replace(&session, now, delivery, None, counted).await?;
            }
            Settlement::DeadLetter { reason } => {
                let notes = Notes {
                    reason: Some(reason),
                    died_at: Some(self.clock.now_ms()),
                    ready_at: Some(delivery.ready_at.as_millisecond()),
                    ..before
                };
                dead::bury(&session, delivery, &notes).await?;
            }
        }
        if settling.ack(&session.acks, session.consuming()).await {
            Ok(())
        } else {
            Err(lost())
        }
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
        let mut found = None;
        for queue in &names {
            let newest = dead::newest(&session, queue, 1, &|message| is_of(message, id)).await?;
            if let Some(letter) = newest.into_iter().next() {
                found = Some(Found {
                    queue: letter.queue,
                    place: Place::Dead {
                        reason: letter.reason,
                        died_at: letter.died_at,
                    },
                    message: letter.message,
                });
                break;
            }
        }
        let names = names.into_iter().cloned().collect();
        Ok(Looked {
            found,
            reach: Reach::DeadLetters(names),
        })
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
