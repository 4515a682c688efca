//! One connection and what depends on it: its number is the lease of every message
//! that came through it.

use super::acks::Acks;
use super::declare::{self, Purpose};
use super::delay::Levels;
use super::held::Held;
use super::inbox::Inbox;
use super::{SYSTEM, carry, delay, trouble};
use crate::amqp::{ANSWER, AmqpServer, channel, in_time, short};
use crate::broker::BrokerError;
use crate::celery::Message;
use crate::task::{ExchangeType, KnownQueues, QueueShape};
use bytes::Bytes;
use lapin::options::{BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Error};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// What a frame of properties needs beside the headers at most (4 KiB): eleven short texts
/// and what divides them.
const BESIDE: usize = 4 << 10;

/// How long the answer to a goodbye is waited for (1 s): the server may be away.
const GOODBYE: Duration = Duration::from_secs(1);

/// A message on its way to the server.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) exchange: &'static str,
    pub(super) routing_key: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// One connection, its channels, and what is known of the server's queues.
pub(super) struct Session {
    pub(super) number: i64,
    connection: Connection,
    consuming: Channel,
    prefetch: u16,
    publishing: Mutex<Option<Channel>>,
    pub(super) inbox: Mutex<Inbox>,
    pub(super) held: Held,
    pub(super) acks: Arc<Acks>,
    shapes: KnownQueues,
    /// What each was when it was declared.
    declared: Mutex<HashMap<String, QueueShape>>,
    /// By level and queue, the key it was bound with last.
    delayed: Mutex<HashMap<(Levels, String), String>>,
    /// Whether nobody knows what the server does for it.
    is_unknown: AtomicBool,
}

impl Session {
    /// Connects.
    pub(super) async fn open(
        server: &AmqpServer,
        number: i64,
        prefetch: u16,
        shapes: KnownQueues,
    ) -> Result<Self, Error> {
        let connection = server.connect().await?;
        let consuming = channel(&connection).await?;
        limit(&consuming, prefetch).await?;
        Ok(Self {
            number,
            connection,
            consuming,
            prefetch,
            publishing: Mutex::default(),
            inbox: Mutex::default(),
            held: Held::default(),
            acks: Arc::default(),
            shapes,
            declared: Mutex::default(),
            delayed: Mutex::default(),
            is_unknown: AtomicBool::new(false),
        })
    }

    /// Tells whether messages that came through it are still ours.
    pub(super) fn is_alive(&self) -> bool {
        !self.is_unknown.load(Ordering::Relaxed)
            && self.connection.status().connected()
            && self.consuming.status().connected()
    }

    /// Gives the connection up: another one takes its place, and the server gives what it
    /// pushed here to others.
    pub(super) async fn give_up(&self) {
        self.is_unknown.store(true, Ordering::Relaxed);
        // Said at once, behind whatever is still on its way; the answer may never come.
        let closed = self.connection.close(200, "OK".into());
        let _unheard = in_time(GOODBYE, closed).await;
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn consuming(&self) -> &Channel {
        &self.consuming
    }

    /// Waits until the server has done all that was said on the channel of deliveries.
    /// Acknowledgements are not answered (AMQP 0-9-1), but a channel is served in order,
    /// and this request for what holds already is answered.
    pub(super) async fn confirm(&self) -> Result<(), Error> {
        limit(&self.consuming, self.prefetch).await
    }

    /// How many bytes headers may have: they go in one frame, beside the other properties.
    pub(super) fn room(&self) -> usize {
        match usize::try_from(self.connection.configuration().frame_max()) {
            // No limit at all.
            Ok(0) | Err(_) => usize::MAX,
            Ok(frame) => frame.saturating_sub(BESIDE),
        }
    }

    fn shape(&self, queue: &str) -> QueueShape {
        let shape = self.shapes.described(queue);
        shape.unwrap_or_else(|| QueueShape::of(queue))
    }

    /// Tells whether somebody ordered how a queue is fed: then it is bound although it is
    /// there already.
    fn is_ordered(&self, queue: &str) -> bool {
        !self.shapes.is_configured(queue) && self.shapes.told(queue).is_some()
    }

    /// Declares a queue, once. A client delays what it sends to a topic in Celery's
    /// levels, which are for the workers to make.
    pub(super) async fn ensure(&self, queue: &str, purpose: Purpose) -> Result<(), BrokerError> {
        short(queue).map_err(misnamed)?;
        let mut declared = self.declared.lock().await;
        let shape = self.shape(queue);
        if declared.get(queue) != Some(&shape) {
            declare::ensure(&self.connection, queue, purpose, &shape)
                .await
                .map_err(trouble)?;
            if purpose == Purpose::Tasks && shape.exchange_type == ExchangeType::Topic {
                self.reach(Levels::Celerys, queue, &shape.routing_key)
                    .await?;
            }
            if purpose == Purpose::Tasks && self.is_ordered(queue) {
                declare::bind(&self.connection, queue, &shape)
                    .await
                    .map_err(trouble)?;
            }
            declared.insert(queue.to_owned(), shape);
        }
        Ok(())
    }

    /// Makes a queue reachable for what it delays itself, once, and returns how: by levels
    /// of its own type, so that a delayed message is as safe as the others.
    pub(super) async fn ensure_delay(&self, queue: &str) -> Result<Levels, BrokerError> {
        let levels = match self.shape(queue).quorum {
            true => Levels::Celerys,
            false => Levels::Classic,
        };
        self.reach(levels, queue, queue).await?;
        Ok(levels)
    }

    async fn reach(&self, levels: Levels, queue: &str, key: &str) -> Result<(), BrokerError> {
        short(&delay::routing_key(std::time::Duration::ZERO, key)).map_err(misnamed)?;
        let mut delayed = self.delayed.lock().await;
        if !delayed.keys().any(|(known, _)| *known == levels) {
            delay::declare(&self.connection, levels)
                .await
                .map_err(trouble)?;
        }
        let way = (levels, queue.to_owned());
        if delayed.get(&way).is_none_or(|known| known != key) {
            delay::bind(&self.connection, levels, queue, key)
                .await
                .map_err(trouble)?;
            delayed.insert(way, key.to_owned());
        }
        Ok(())
    }

    /// Publishes, and returns when the server has all of it.
    pub(super) async fn publish(&self, posts: Vec<Post>) -> Result<(), BrokerError> {
        let publishing = self.publisher().await.map_err(trouble)?;
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let mut confirms = Vec::with_capacity(posts.len());
        for post in posts {
            let key = short(&post.routing_key).map_err(misnamed)?;
            let sent = publishing.basic_publish(
                post.exchange.into(),
                key,
                options,
                &post.body,
                post.properties,
            );
            confirms.push((
                post.routing_key,
                in_time(ANSWER, sent).await.map_err(trouble)?,
            ));
        }
        for (key, confirm) in confirms {
            let refusal = match in_time(ANSWER, confirm).await.map_err(trouble)? {
                Confirmation::Ack(None) | Confirmation::NotRequested => continue,
                Confirmation::Ack(Some(returned)) => returned.reply_text.to_string(),
                Confirmation::Nack(_) => "the queue takes no more".to_owned(),
            };
            self.forget().await;
            return Err(BrokerError::Unavailable {
                system: SYSTEM,
                reason: format!("a message for {key:?} was not taken: {refusal}"),
                source: None,
            });
        }
        Ok(())
    }

    /// Sends to a queue of a caller; where it is gone, the message is too.
    pub(super) async fn reply(&self, to: &str, message: &Message) -> Result<(), BrokerError> {
        let Ok(to) = short(to) else {
            // No queue has such a name.
            return Ok(());
        };
        let publishing = self.publisher().await.map_err(trouble)?;
        let sent = publishing.basic_publish(
            "".into(),
            to,
            BasicPublishOptions::default(),
            &message.body,
            carry::reply(message),
        );
        let confirm = in_time(ANSWER, sent).await.map_err(trouble)?;
        in_time(ANSWER, confirm).await.map_err(trouble)?;
        Ok(())
    }

    /// Somebody deleted a queue: all are looked at again.
    pub(super) async fn forget(&self) {
        self.declared.lock().await.clear();
        self.delayed.lock().await.clear();
    }

    /// Returns the channel for publishing; one that an error closed is opened again.
    async fn publisher(&self) -> Result<Channel, Error> {
        let mut publishing = self.publishing.lock().await;
        if let Some(open) = publishing.as_ref().filter(|open| open.status().connected()) {
            return Ok(open.clone());
        }
        let opened = channel(&self.connection).await?;
        in_time(
            ANSWER,
            opened.confirm_select(ConfirmSelectOptions::default()),
        )
        .await?;
        *publishing = Some(opened.clone());
        Ok(opened)
    }
}

/// Says how many messages are pushed at most, for each consumer: quorum queues know no
/// limit of a whole channel.
async fn limit(channel: &Channel, prefetch: u16) -> Result<(), Error> {
    let said = channel.basic_qos(prefetch, BasicQosOptions { global: false });
    in_time(ANSWER, said).await
}

fn misnamed(error: crate::amqp::TooLong) -> BrokerError {
    BrokerError::Misconfigured {
        system: SYSTEM,
        reason: error.to_string(),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
