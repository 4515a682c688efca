//! Results as messages to the caller alone, Celery's `rpc://`.
//!
//! Every state goes to the queue that the caller named in `reply_to`. Nothing is kept,
//! so a message that is delivered twice runs twice: the worker promises what its broker
//! promises. A caller hears of its own tasks through an [`inbox`].

mod inbox;

pub use inbox::Hearing;

use super::document::document;
use super::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::celery::{Message, Properties};
use crate::clock::Clock;
use crate::task::{Accept, Fence, TaskId};
use async_trait::async_trait;
use futures::stream::BoxStream;
use inbox::Inbox;
use jiff::Timestamp;
use serde_json::Map;
use std::fmt::Debug;
use std::sync::Arc;

/// The driver's name.
pub const SYSTEM: &str = "rpc";

/// The way to those who wait for results.
#[async_trait]
pub trait Replies: Debug + Send + Sync {
    /// Sends a message to a queue that a caller made for itself.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn reply(&self, to: &str, message: Message) -> Result<(), ResultsError>;

    /// Makes a queue for one caller and listens to it, for ever: a lost connection is
    /// opened again. A message may come twice.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn listen(&self, queue: &str) -> Result<Heard, ResultsError>;

    /// Removes such a queue.
    ///
    /// # Errors
    /// [`ResultsError::Unavailable`].
    async fn forget(&self, queue: &str) -> Result<(), ResultsError>;
}

/// Replies as they come.
pub type Heard = BoxStream<'static, Message>;

/// Sends results through the broker.
#[derive(Debug)]
pub struct RpcResults {
    replies: Box<dyn Replies>,
    clock: Clock,
    inbox: Arc<Inbox>,
}

impl RpcResults {
    /// Sends this way.
    #[must_use]
    pub fn new(replies: Box<dyn Replies>, clock: Clock) -> Self {
        let inbox = Arc::new(Inbox::new(clock.clone(), Accept::default()));
        Self {
            replies,
            clock,
            inbox,
        }
    }

    /// Reads replies in these formats.
    #[must_use]
    pub fn with_accepted(self, accept: Accept) -> Self {
        let inbox = Arc::new(Inbox::new(self.clock.clone(), accept));
        Self { inbox, ..self }
    }
}

#[async_trait]
impl Results for RpcResults {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn keeps(&self) -> bool {
        false
    }

    async fn begin(&self, _start: Start) -> Result<Begun, ResultsError> {
        Ok(Begun::Run)
    }

    async fn renew(
        &self,
        _runs: Vec<(TaskId, Fence)>,
        _until: Timestamp,
    ) -> Result<(), ResultsError> {
        Ok(())
    }

    async fn write(&self, write: Write) -> Result<Written, ResultsError> {
        let Some(to) = write.reply.to.as_deref().filter(|to| !to.is_empty()) else {
            return Ok(Written::Stored);
        };
        let correlation = write.reply.correlation.as_deref();
        let text = document(&write, self.clock.now(), "{}");
        let message = Message {
            body: text.into_bytes().into(),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers: Map::new(),
            properties: Properties {
                correlation_id: Some(correlation.unwrap_or(write.id.as_str()).to_owned()),
                ..Properties::default()
            },
        };
        self.replies.reply(to, message).await?;
        Ok(Written::Stored)
    }

    async fn get(&self, id: &TaskId) -> Result<Option<Record>, ResultsError> {
        self.inbox.get(id).ok_or_else(nothing_kept)?
    }

    async fn watch(&self, id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        let ear = self.inbox.ear(id).ok_or_else(nothing_kept)?;
        Ok(Box::new(ear))
    }

    async fn hear(&self, ids: Vec<TaskId>) -> Result<Option<Hearing>, ResultsError> {
        self.inbox.open(&*self.replies).await?;
        Inbox::expect(&self.inbox, ids).map(Some)
    }

    async fn hush(&self) {
        if let Err(error) = self.inbox.close(&*self.replies).await {
            tracing::debug!(%error, "the queue of replies is left to its time");
        }
    }

    async fn sweep(&self) -> Result<u64, ResultsError> {
        Ok(0)
    }
}

fn nothing_kept() -> ResultsError {
    ResultsError::Misconfigured {
        system: SYSTEM,
        reason: "results go to their callers alone, and this task was not called from here; name another --result-backend to look at them"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reply, RunUsage};
    use super::*;
    use crate::task::State;
    use futures::StreamExt as _;
    use std::sync::Mutex;

    /// Remembers what was sent, and to whom.
    #[derive(Debug, Clone, Default)]
    struct Sent(Arc<Mutex<Vec<(String, Message)>>>);

    #[async_trait]
    impl Replies for Sent {
        async fn reply(&self, to: &str, message: Message) -> Result<(), ResultsError> {
            self.0.lock().unwrap().push((to.to_owned(), message));
            Ok(())
        }

        async fn listen(&self, _queue: &str) -> Result<Heard, ResultsError> {
            Ok(futures::stream::pending().boxed())
        }

        async fn forget(&self, _queue: &str) -> Result<(), ResultsError> {
            Ok(())
        }
    }

    fn write(to: Option<&str>, correlation: Option<&str>) -> Write {
        Write {
            id: TaskId::parse("t").unwrap(),
            task: "m.t".to_owned(),
            fence: Fence {
                retries: 0,
                deliveries: 1,
            },
            state: State::Success,
            result: Some("5".into()),
            exception: None,
            due: None,
            worker: "w".to_owned(),
            usage: RunUsage::default(),
            log: None,
            keep: None,
            reply: Reply {
                to: to.map(str::to_owned),
                correlation: correlation.map(str::to_owned),
                ..Reply::default()
            },
            children: String::new(),
            extended: None,
        }
    }

    /// As in the capture `amqp_rpc_results`.
    #[tokio::test]
    async fn a_result_goes_to_whoever_waits_and_to_nobody_else() {
        let sent = Sent::default();
        let results = RpcResults::new(Box::new(sent.clone()), Clock::default());
        for to in [None, Some("")] {
            assert_eq!(
                results.write(write(to, None)).await.unwrap(),
                Written::Stored
            );
        }
        assert!(sent.0.lock().unwrap().is_empty());
        results.write(write(Some("q"), Some("c"))).await.unwrap();
        results.write(write(Some("q"), None)).await.unwrap();
        let sent = sent.0.lock().unwrap();
        let ids = sent
            .iter()
            .map(|(_, message)| message.properties.correlation_id.as_deref());
        assert_eq!(ids.collect::<Vec<_>>(), [Some("c"), Some("t")]);
        let (to, message) = &sent[0];
        assert_eq!((to.as_str(), message.headers.len()), ("q", 0));
        let document: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(
            (&document["status"], &document["result"]),
            (&"SUCCESS".into(), &5.into())
        );
    }

    #[tokio::test]
    async fn asking_for_what_is_not_kept_tells_how_to_keep_it() {
        let results = RpcResults::new(Box::new(Sent::default()), Clock::default());
        let error = results.get(&TaskId::random()).await.unwrap_err();
        assert!(error.to_string().contains("--result-backend"), "{error}");
    }
}
