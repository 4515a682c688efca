//! The bus seam: what workers and monitors say to each other beside the queues.
//!
//! Events and remote control are broadcast: who does not listen misses them, and
//! nothing is kept. So nothing that a task depends on may travel here. Replies to a
//! caller alone (`rpc://`) are heard here as well; those wait in a queue of the caller's.
//! Drivers know neither commands nor tasks; they carry messages.

pub mod embedded;
pub mod rabbitmq;
pub mod redis;

use crate::celery::Message;
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Most answers that one request collects (10,000): more workers than answer nobody has.
pub const ANSWERS: usize = 10_000;
/// First and longest pause before a lost connection is opened again.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// What is heard, as it comes; it ends with the connection.
pub type Heard = BoxStream<'static, Message>;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// To monitors, as events with a routing key such as `task.multi`.
    Monitors(String),
    /// To all workers, as a request.
    Workers,
    /// To the client of this name, as an answer. Where it is gone, nobody gets it.
    Client(String),
}

/// What to listen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum For {
    /// Requests, as the worker of this name.
    Requests(String),
    /// Events of all.
    Events,
    /// Replies, as the caller that has this queue for itself. What came while nobody
    /// listened is there still, for a while; a message may come twice.
    Replies(String),
}

/// A request, and how long to wait for answers.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The request.
    pub request: Message,
    /// The name that answers come to.
    pub client: String,
    /// How long to wait.
    pub patience: Duration,
    /// The number of answers after which nobody else is waited for.
    pub enough: usize,
}

/// Trouble of a bus, by what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// Back off and try again, or do without.
    #[error("{system} carries no events and no remote control just now: {reason}")]
    Unavailable {
        /// The driver.
        system: &'static str,
        /// What it said.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// A bus. Methods may be called from many tasks at once.
#[async_trait]
pub trait Bus: Debug + Send + Sync {
    /// Sends a message. `Ok` says that it was sent, not that anybody hears it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn send(&self, to: &To, message: &Message) -> Result<(), BusError>;

    /// Begins to listen.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn listen(&self, what: &For) -> Result<Heard, BusError>;

    /// Sends a request and collects answers, at most [`ANSWERS`].
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn ask(&self, ask: Ask) -> Result<Vec<Message>, BusError>;

    /// Removes the queue of [`For::Replies`], with what is in it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn forget(&self, _queue: &str) -> Result<(), BusError> {
        Ok(())
    }
}

/// Listens for ever: a lost connection is opened again, after pauses that grow.
/// What is sent meanwhile is missed.
#[must_use]
pub fn follow(bus: Arc<dyn Bus>, what: For) -> Heard {
    follow_on(bus, what, None)
}

/// Goes on listening as [`follow`] does, from where somebody has begun.
#[must_use]
pub fn follow_on(bus: Arc<dyn Bus>, what: For, begun: Option<Heard>) -> Heard {
    let state = (bus, what, begun, FIRST);
    stream::unfold(state, async |(bus, what, mut heard, mut pause)| {
        loop {
            if let Some(listening) = &mut heard {
                if let Some(message) = listening.next().await {
                    return Some((message, (bus, what, heard, FIRST)));
                }
                heard = None;
                tokio::time::sleep(pause).await;
            }
            match bus.listen(&what).await {
                Ok(listening) => heard = Some(listening),
                Err(error) => {
                    tracing::warn!(%error, "nothing is heard; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::broadcast;
    use serde_json::Map;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails every other time, and ends after one message.
    #[derive(Debug, Default)]
    struct Shaky(AtomicUsize);

    #[async_trait]
    impl Bus for Shaky {
        async fn send(&self, _to: &To, _message: &Message) -> Result<(), BusError> {
            Ok(())
        }

        async fn listen(&self, _what: &For) -> Result<Heard, BusError> {
            let times = self.0.fetch_add(1, Ordering::Relaxed);
            if times.is_multiple_of(2) {
                return Err(BusError::Unavailable {
                    system: "test",
                    reason: "away".to_owned(),
                    source: None,
                });
            }
            let one = broadcast::message(times.to_string(), Map::new());
            Ok(stream::iter([one]).boxed())
        }

        async fn ask(&self, _ask: Ask) -> Result<Vec<Message>, BusError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_opened_again_and_again() {
        let heard = follow(Arc::new(Shaky::default()), For::Events);
        let bodies: Vec<_> = heard.take(3).map(|message| message.body).collect().await;
        assert_eq!(bodies, ["1", "3", "5"]);
    }
}
