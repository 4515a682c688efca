//! Calls on their way: each becomes the message of Celery's clients, in the queue of
//! its route, sent again while the broker is away.

use super::{Client, ClientError, Group, Handle, TaskCall};
use crate::app::origin;
use crate::broker::{BrokerError, Outgoing};
use crate::celery::{Message, event};
use crate::config::check_queue;
use crate::task::TaskId;
use serde_json::json;
use std::time::Duration;

/// Most calls of one group (10,000): their messages are made in memory, and each is
/// waited for.
pub const CALLS: usize = 10_000;
/// A try to publish that failed, and the next one.
#[derive(Debug)]
pub struct Again<'a> {
    /// What went wrong.
    pub error: &'a BrokerError,
    /// How long from now the next try is.
    pub pause: Duration,
    /// Which further try it is, from 1.
    pub try_number: u32,
    /// How many there are at most.
    pub most: u32,
}

impl Client {
    /// Calls a task: its message goes to the queue of its route, else to `celery`. Where
    /// the broker is away, this tries again as `[publish]` says.
    ///
    /// # Errors
    /// [`ClientError`] when it may not have been sent.
    pub async fn call(&self, call: TaskCall) -> Result<Handle, ClientError> {
        let queue = self.queue_of(&call.task).to_owned();
        self.call_in(&queue, call).await
    }

    /// Calls a task through a queue.
    ///
    /// # Errors
    /// As [`Client::call`], and where no queue may have that name.
    pub async fn call_in(&self, queue: &str, mut call: TaskCall) -> Result<Handle, ClientError> {
        let handle = self.expect(&mut call).await?;
        let outgoing = self.outgoing(queue, &call, call.message(&origin()))?;
        self.publish(vec![outgoing], &mut tell).await?;
        Ok(handle)
    }

    /// Calls tasks together, as a group of Celery's: each runs as soon as a worker is
    /// free.
    ///
    /// # Errors
    /// As [`Client::call`], and where they are over [`CALLS`]. Then some may be sent.
    pub async fn group(&self, mut calls: Vec<TaskCall>) -> Result<Group, ClientError> {
        if calls.len() > CALLS {
            let count = calls.len();
            return Err(ClientError::TooMany { count });
        }
        let handles = self.hear(&mut calls).await?;
        let (id, origin) = (TaskId::random(), origin());
        let mut all = Vec::with_capacity(calls.len());
        for (place, call) in calls.iter().enumerate() {
            let mut message = call.message(&origin);
            for (name, value) in [("group", json!(id.as_str())), ("group_index", json!(place))] {
                message.headers.insert(name.to_owned(), value);
            }
            let queue = self.queue_of(&call.task);
            all.push(self.outgoing(queue, call, message)?);
        }
        self.publish(all, &mut tell).await?;
        Ok(Group::new(id, handles))
    }

    /// Makes the message of a call ready for a queue.
    ///
    /// # Errors
    /// [`ClientError::Queue`].
    pub fn outgoing(
        &self,
        queue: &str,
        call: &TaskCall,
        message: Message,
    ) -> Result<Outgoing, ClientError> {
        check_queue(queue).map_err(|reason| ClientError::Queue {
            queue: queue.to_owned(),
            reason,
        })?;
        // What we park is seen by our workers alone, and this may be for others: they
        // look at the header themselves, as ours do.
        let parks = !self.0.broker.profile().parks_apart;
        Ok(Outgoing {
            queue: queue.to_owned(),
            message,
            due: call.eta.filter(|_| parks),
            key: None,
        })
    }

    /// Publishes messages, trying as often as `[publish]` allows, and tells of each
    /// further try; monitors are told of what was sent, where that is wanted. A try whose answer was lost leaves a second message of the same id,
    /// as with Celery; where results are kept, the record of the run makes it stale.
    ///
    /// # Errors
    /// [`BrokerError`], as publishing has it.
    pub async fn publish(
        &self,
        messages: Vec<Outgoing>,
        again: &mut (dyn FnMut(&Again<'_>) + Send),
    ) -> Result<(), BrokerError> {
        let policy = &self.0.config.publish;
        let mut tries = 0;
        loop {
            let error = match self.0.broker.publish(messages.clone()).await {
                Err(error @ BrokerError::Unavailable { .. }) => error,
                published => {
                    published?;
                    for sent in &messages {
                        let event = || event::sent(&sent.message, &sent.queue);
                        self.0.events.sent(event);
                    }
                    self.0.events.say_all(&*self.0.bus).await;
                    return Ok(());
                }
            };
            let Some(pause) = policy.pause(tries) else {
                return Err(error);
            };
            tries += 1;
            again(&Again {
                error: &error,
                pause,
                try_number: tries,
                most: policy.max_retries,
            });
            tokio::time::sleep(pause).await;
        }
    }
}

fn tell(again: &Again<'_>) {
    let (error, tries) = (again.error, again.try_number);
    tracing::warn!(%error, tries, "a message was not sent; trying again");
}
