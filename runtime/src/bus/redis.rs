//! The bus in Redis, as kombu's transport has it: publish and subscribe for
//! events and requests, a list per client for answers.

mod replies;

use super::{ANSWERS, Ask, Bus, BusError, For, Heard, To};
use crate::celery::Message;
use crate::celery::broadcast::{self, EVENTS, HEARD_BYTES, REQUESTS, envelope};
use crate::celery::envelope::Envelope;
use crate::resp::RedisServer;
use async_trait::async_trait;
use futures::StreamExt as _;
use redis::{RedisError, cmd};
use std::time::Duration;
use tokio::time::Instant;

/// The driver's name.
pub const SYSTEM: &str = "redis";
/// What divides the members of kombu's tables.
const SEPARATOR: &str = "\x06\x16";
/// How long an answer waits for a client that is gone by then, seconds.
const ANSWER_KEPT: u32 = 60;
/// Between two looks for answers of ours.
const LOOK: Duration = Duration::from_millis(20);
/// How much larger an envelope is than its body at most: base64 and a little.
const ENVELOPE_BYTES: usize = 2 * HEARD_BYTES;

/// A bus within one database of a Redis server.
#[derive(Debug, Clone)]
pub struct RedisBus {
    server: RedisServer,
    prefix: String,
    database: i64,
}

impl RedisBus {
    /// Uses a server; it need not be there yet. `prefix` is kombu's
    /// `global_keyprefix`.
    #[must_use]
    pub fn new(server: RedisServer, prefix: &str) -> Self {
        use redis::aio::ConnectionLike as _;
        let database = server.shared().get_db();
        Self {
            server,
            prefix: prefix.to_owned(),
            database,
        }
    }

    /// Publish and subscribe know no databases: kombu puts the number in the name.
    fn channel(&self, exchange: &str, key: &str) -> String {
        let slash = if key.is_empty() { "" } else { "/" };
        format!("{}/{}.{exchange}{slash}{key}", self.prefix, self.database)
    }

    async fn publish(&self, channel: &str, text: String) -> Result<(), BusError> {
        cmd("PUBLISH")
            .arg(channel)
            .arg(text)
            .query_async::<()>(&mut self.server.shared())
            .await
            .map_err(trouble)
    }

    fn table(&self) -> String {
        format!("{}_kombu.binding.{}", self.prefix, broadcast::ANSWERS)
    }

    /// The queue of a client's answers, and its member in kombu's table.
    fn answers(client: &str) -> (String, String) {
        let queue = broadcast::answers(client);
        let member = format!("{client}{SEPARATOR}{SEPARATOR}{queue}");
        (queue, member)
    }

    async fn answer(&self, client: &str, message: &Message) -> Result<(), BusError> {
        let (queue, member) = Self::answers(client);
        let mut connection = self.server.shared();
        let waits: bool = cmd("SISMEMBER")
            .arg(self.table())
            .arg(member)
            .query_async(&mut connection)
            .await
            .map_err(trouble)?;
        if !waits {
            return Ok(());
        }
        let queue = format!("{}{queue}", self.prefix);
        let text = envelope(message, broadcast::ANSWERS, client);
        redis::pipe()
            .lpush(&queue, text)
            .ignore()
            .expire(&queue, i64::from(ANSWER_KEPT))
            .ignore()
            .query_async::<()>(&mut connection)
            .await
            .map_err(trouble)
    }

    async fn collect(&self, ask: &Ask, queue: &str) -> Result<Vec<Message>, BusError> {
        let mut answers = Vec::new();
        let end = Instant::now() + ask.patience;
        loop {
            let next: Option<Vec<u8>> = cmd("RPOP")
                .arg(queue)
                .query_async(&mut self.server.shared())
                .await
                .map_err(trouble)?;
            match next {
                Some(text) => answers.push(Envelope::read(&text).message),
                None if Instant::now() >= end => return Ok(answers),
                None => tokio::time::sleep(LOOK).await,
            }
            if answers.len() >= ask.enough.min(ANSWERS) {
                return Ok(answers);
            }
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn send(&self, to: &To, message: &Message) -> Result<(), BusError> {
        match to {
            To::Monitors(key) => {
                let channel = self.channel(EVENTS, key);
                self.publish(&channel, envelope(message, EVENTS, key)).await
            }
            To::Workers => {
                let channel = self.channel(REQUESTS, "");
                let text = envelope(message, REQUESTS, "");
                self.publish(&channel, text).await
            }
            To::Client(client) => self.answer(client, message).await,
        }
    }

    async fn listen(&self, what: &For) -> Result<Heard, BusError> {
        if let For::Replies(queue) = what {
            let list = format!("{}{queue}", self.prefix);
            return replies::listen(&self.server, list).await.map_err(trouble);
        }
        let mut listener = self.server.listener().await.map_err(trouble)?;
        match what {
            For::Requests(_) => {
                let channel = self.channel(REQUESTS, "");
                listener.subscribe(channel).await
            }
            For::Events => {
                let all = format!("{}/*", escaped(&self.channel(EVENTS, "")));
                listener.psubscribe(all).await
            }
            For::Replies(_) => Ok(()),
        }
        .map_err(trouble)?;
        let heard = listener.into_on_message().filter_map(async |heard| {
            let text = heard.get_payload_bytes();
            (text.len() <= ENVELOPE_BYTES).then(|| Envelope::read(text).message)
        });
        Ok(heard.boxed())
    }

    async fn ask(&self, ask: Ask) -> Result<Vec<Message>, BusError> {
        let (queue, member) = Self::answers(&ask.client);
        let queue = format!("{}{queue}", self.prefix);
        let mut connection = self.server.shared();
        cmd("SADD")
            .arg(self.table())
            .arg(&member)
            .query_async::<()>(&mut connection)
            .await
            .map_err(trouble)?;
        let answers = match self.send(&To::Workers, &ask.request).await {
            Ok(()) => self.collect(&ask, &queue).await,
            Err(error) => Err(error),
        };
        redis::pipe()
            .srem(self.table(), &member)
            .ignore()
            .del(&queue)
            .ignore()
            .query_async::<()>(&mut connection)
            .await
            .map_err(trouble)?;
        answers
    }

    async fn forget(&self, queue: &str) -> Result<(), BusError> {
        let list = format!("{}{queue}", self.prefix);
        cmd("DEL")
            .arg(list)
            .query_async::<()>(&mut self.server.shared())
            .await
            .map_err(trouble)
    }
}

/// Returns a text in which nothing is a pattern to Redis.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if "*?[]\\".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn trouble(error: RedisError) -> BusError {
    BusError::Unavailable {
        system: SYSTEM,
        reason: error.to_string(),
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn channels_are_those_of_kombu() {
        let server = RedisServer::new("redis://127.0.0.1:1/3").unwrap();
        let bus = RedisBus::new(server, "pfx:");
        assert_eq!(bus.channel(REQUESTS, ""), "pfx:/3.celery.pidbox");
        assert_eq!(
            bus.channel(EVENTS, "worker.heartbeat"),
            "pfx:/3.celeryev/worker.heartbeat"
        );
        assert_eq!(escaped("a*[b]"), "a\\*\\[b\\]");
    }
}
