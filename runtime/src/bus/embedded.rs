//! The bus in the machine's database file: a few rows that processes leave for
//! each other. Events are only written while a monitor listens, because every
//! row is a sync of the disk.

mod rows;

use super::{ANSWERS, Ask, Bus, BusError, For, Heard, To};
use crate::celery::Message;
use crate::celery::broadcast::{self, EVENTS, REQUESTS, envelope};
use crate::celery::envelope::Envelope;
use crate::database::{Database, DatabaseError, Watcher};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use rows::{Leave, Listen, Place};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The driver's name.
pub const SYSTEM: &str = "embedded";
/// Shortest time between two looks: a busy file commits a thousand times a second.
const LOOK: Duration = Duration::from_millis(20);
/// How often a monitor says that it still listens.
const RENEW: Duration = Duration::from_secs(5);

/// A bus within the database file of this machine.
#[derive(Debug, Clone)]
pub struct EmbeddedBus {
    db: Database,
}

/// One who listens.
struct Ear {
    db: Database,
    watcher: Watcher,
    place: Place,
    /// The name under which it is known that a monitor listens.
    monitor: Option<String>,
    renewed: Instant,
    last: i64,
    waiting: VecDeque<Message>,
}

impl EmbeddedBus {
    /// Uses an open database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    async fn ear(&self, place: Place) -> Result<Ear, DatabaseError> {
        let watcher = self.db.watch();
        let last = rows::last(&self.db).await?;
        let monitor = (place.exchange == EVENTS).then(|| uuid::Uuid::new_v4().to_string());
        let ear = Ear {
            db: self.db.clone(),
            watcher,
            place,
            monitor,
            renewed: Instant::now(),
            last,
            waiting: VecDeque::new(),
        };
        ear.renew().await?;
        Ok(ear)
    }
}

impl Ear {
    async fn renew(&self) -> Result<(), DatabaseError> {
        let Some(name) = self.monitor.clone() else {
            return Ok(());
        };
        let now = self.db.clock().now_ms();
        self.db.write(Listen { name, now }).await
    }

    /// Waits for what comes. Cancel-safe: what was read is kept.
    async fn next(&mut self) -> Result<Message, DatabaseError> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            if self.monitor.is_some() && self.renewed.elapsed() >= RENEW {
                self.renewed = Instant::now();
                self.renew().await?;
            }
            for (id, text) in rows::after(&self.db, &self.place, self.last).await? {
                self.last = id;
                self.waiting
                    .push_back(Envelope::read(text.as_bytes()).message);
            }
            if self.waiting.is_empty() {
                tokio::time::sleep(LOOK).await;
                tokio::select! {
                    changed = self.watcher.changed() => changed?,
                    () = tokio::time::sleep(RENEW) => {}
                }
            }
        }
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn send(&self, to: &To, message: &Message) -> Result<(), BusError> {
        let (exchange, key) = match to {
            To::Monitors(key) => (EVENTS, key.as_str()),
            To::Workers => (REQUESTS, ""),
            To::Client(client) => (broadcast::ANSWERS, client.as_str()),
        };
        let now = self.db.clock().now_ms();
        if exchange == EVENTS
            && !rows::somebody_listens(&self.db, now)
                .await
                .map_err(trouble)?
        {
            return Ok(());
        }
        let leave = Leave {
            place: Place::of(exchange, key),
            text: envelope(message, exchange, key),
            now,
        };
        self.db.write(leave).await.map_err(trouble)
    }

    async fn listen(&self, what: &For) -> Result<Heard, BusError> {
        let place = match what {
            For::Requests(_) => Place::of(REQUESTS, ""),
            For::Events => Place::of(EVENTS, ""),
            // Where these messages are, all who call share a place for results.
            For::Replies(_) => return Err(no_replies()),
        };
        let ear = self.ear(place).await.map_err(trouble)?;
        let heard = stream::unfold(ear, async |mut ear| {
            let message = ear.next().await.ok()?;
            Some((message, ear))
        });
        Ok(heard.boxed())
    }

    async fn ask(&self, ask: Ask) -> Result<Vec<Message>, BusError> {
        let place = Place::of(broadcast::ANSWERS, &ask.client);
        let mut ear = self.ear(place).await.map_err(trouble)?;
        self.send(&To::Workers, &ask.request).await?;
        let mut answers = Vec::new();
        let collect = async {
            while answers.len() < ask.enough.min(ANSWERS) {
                answers.push(ear.next().await?);
            }
            Ok::<_, DatabaseError>(())
        };
        match tokio::time::timeout(ask.patience, collect).await {
            Ok(Err(error)) => Err(trouble(error)),
            // Who answered, answered.
            Ok(Ok(())) | Err(_) => Ok(answers),
        }
    }
}

fn no_replies() -> BusError {
    BusError::Unavailable {
        system: SYSTEM,
        reason: "the embedded broker carries no replies; results are in its file".to_owned(),
        source: None,
    }
}

fn trouble(error: DatabaseError) -> BusError {
    BusError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
