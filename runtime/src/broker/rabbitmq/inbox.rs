//! What the server pushed to this process and nobody fetched yet.
//!
//! At most the prefetch of each queue waits here, so its memory is bounded by that
//! and the server's largest message.

use super::acks::Acks;
use crate::amqp::{ANSWER, in_time};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer, Error, ErrorKind};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One consumer for each queue.
#[derive(Default)]
pub(super) struct Inbox {
    sources: Vec<Source>,
    /// What was begun: a consumer that is opened (then there is one more source) or
    /// closed. Whoever waits for it may go away, and then the next one waits: what the
    /// server pushes to a consumer that nobody knows would be lost until the connection
    /// ends.
    begun: Option<BoxFuture<'static, Result<Option<Source>, Error>>>,
}

#[derive(Debug)]
struct Source {
    queue: String,
    consumer: Consumer,
    waiting: VecDeque<Delivery>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Inbox {
    /// Consumes exactly these queues from now on; what waits of others goes back.
    /// Cancel-safe.
    pub(super) async fn follow(
        &mut self,
        channel: &Channel,
        acks: &Arc<Acks>,
        queues: &[String],
    ) -> Result<(), Error> {
        loop {
            if let Some(begun) = &mut self.begun {
                let done = begun.await;
                self.begun = None;
                self.sources.extend(done?);
            }
            let is_over = |source: &Source| !queues.contains(&source.queue);
            let is_missing =
                |queue: &&String| !self.sources.iter().any(|source| source.queue == **queue);
            if let Some(place) = self.sources.iter().position(is_over) {
                let source = self.sources.swap_remove(place);
                self.begun = Some(leave(channel.clone(), Arc::clone(acks), source).boxed());
            } else if let Some(queue) = queues.iter().find(is_missing) {
                self.begun = Some(join(channel.clone(), queue.clone()).boxed());
            } else {
                return Ok(());
            }
        }
    }

    /// Waits until something is there. Cancel-safe.
    pub(super) async fn arrival(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        for place in 0..self.sources.len() {
            let Some(source) = self.sources.get_mut(place) else {
                break;
            };
            while let Poll::Ready(pushed) = source.consumer.poll_next_unpin(context) {
                match pushed {
                    Some(Ok(delivery)) => source.waiting.push_back(delivery),
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    // The server ended it: the queue is gone, and what waited with it.
                    None => return Poll::Ready(Err(gone(&self.sources.swap_remove(place).queue))),
                }
            }
        }
        match self.sources.iter().any(|source| !source.waiting.is_empty()) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Returns a message that waits and of which `is_it` is true, without taking it.
    pub(super) fn find(&self, is_it: impl Fn(&Delivery) -> bool) -> Option<(&str, &Delivery)> {
        let mut all = self.sources.iter().flat_map(|source| {
            source
                .waiting
                .iter()
                .map(|delivery| (source.queue.as_str(), delivery))
        });
        all.find(|(_, delivery)| is_it(delivery))
    }

    /// Takes one message out, wherever it waits.
    pub(super) fn remove(&mut self, tag: u64) {
        for source in &mut self.sources {
            source
                .waiting
                .retain(|delivery| delivery.delivery_tag != tag);
        }
    }

    /// Takes at most `max`, from each queue in turn.
    pub(super) fn take(&mut self, max: usize) -> Vec<(String, Delivery)> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let before = taken.len();
            for source in &mut self.sources {
                if taken.len() < max
                    && let Some(delivery) = source.waiting.pop_front()
                {
                    taken.push((source.queue.clone(), delivery));
                }
            }
            if taken.len() == before {
                break;
            }
        }
        taken
    }

    /// Counts what waits of a queue.
    pub(super) fn count(&self, queue: &str) -> u64 {
        let of = self.sources.iter().filter(|source| source.queue == queue);
        of.map(|source| source.waiting.len() as u64).sum()
    }
}

async fn join(channel: Channel, queue: String) -> Result<Option<Source>, Error> {
    let consumed = channel.basic_consume(
        queue.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let consumer = in_time(ANSWER, consumed).await?;
    Ok(Some(Source {
        queue,
        consumer,
        waiting: VecDeque::new(),
    }))
}

/// Consumes a queue no longer, and gives back what waits.
async fn leave(
    channel: Channel,
    acks: Arc<Acks>,
    mut source: Source,
) -> Result<Option<Source>, Error> {
    let cancelled = channel.basic_cancel(source.consumer.tag(), BasicCancelOptions::default());
    in_time(ANSWER, cancelled).await?;
    while let Some(Some(Ok(delivery))) = source.consumer.next().now_or_never() {
        source.waiting.push_back(delivery);
    }
    for delivery in source.waiting.drain(..).rev() {
        delivery
            .acker
            .reject(BasicRejectOptions { requeue: true })
            .await?;
        acks.is_done(delivery.delivery_tag);
    }
    Ok(None)
}

fn gone(queue: &str) -> Error {
    let words = format!("the server stopped to deliver from queue {queue:?}");
    ErrorKind::IOError(std::io::Error::other(words).into()).into()
}
