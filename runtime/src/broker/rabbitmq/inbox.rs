//! What the server pushed to this process and nobody fetched yet.
//!
//! At most the prefetch of each queue waits here, so its memory is bounded by that
//! and the server's largest message.

use crate::amqp::{ANSWER, in_time};
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer, Error, ErrorKind};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// One consumer for each queue.
#[derive(Debug, Default)]
pub(super) struct Inbox(Vec<Source>);

#[derive(Debug)]
struct Source {
    queue: String,
    consumer: Consumer,
    waiting: VecDeque<Delivery>,
}

impl Inbox {
    /// Consumes exactly these queues from now on; what waits of others goes back.
    pub(super) async fn follow(
        &mut self,
        channel: &Channel,
        queues: &[String],
    ) -> Result<(), Error> {
        while let Some(place) = self
            .0
            .iter()
            .position(|source| !queues.contains(&source.queue))
        {
            leave(channel, self.0.swap_remove(place)).await?;
        }
        for queue in queues {
            if self.0.iter().any(|source| source.queue == *queue) {
                continue;
            }
            let consumed = channel.basic_consume(
                queue.as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            let consumer = in_time(ANSWER, consumed).await?;
            let queue = queue.clone();
            self.0.push(Source {
                queue,
                consumer,
                waiting: VecDeque::new(),
            });
        }
        Ok(())
    }

    /// Waits until something is there. Cancel-safe.
    pub(super) async fn arrival(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        for place in 0..self.0.len() {
            let Some(source) = self.0.get_mut(place) else {
                break;
            };
            while let Poll::Ready(pushed) = source.consumer.poll_next_unpin(context) {
                match pushed {
                    Some(Ok(delivery)) => source.waiting.push_back(delivery),
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    // The server ended it: the queue is gone, and what waited with it.
                    None => return Poll::Ready(Err(gone(&self.0.swap_remove(place).queue))),
                }
            }
        }
        match self.0.iter().any(|source| !source.waiting.is_empty()) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Returns a message that waits and of which `is_it` is true, without taking it.
    pub(super) fn find(&self, is_it: impl Fn(&Delivery) -> bool) -> Option<(&str, &Delivery)> {
        let mut all = self.0.iter().flat_map(|source| {
            source
                .waiting
                .iter()
                .map(|delivery| (source.queue.as_str(), delivery))
        });
        all.find(|(_, delivery)| is_it(delivery))
    }

    /// Takes one message out, wherever it waits.
    pub(super) fn remove(&mut self, tag: u64) {
        for source in &mut self.0 {
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
            for source in &mut self.0 {
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
        let of = self.0.iter().filter(|source| source.queue == queue);
        of.map(|source| source.waiting.len() as u64).sum()
    }
}

/// Consumes a queue no longer, and gives back what waits.
async fn leave(channel: &Channel, mut source: Source) -> Result<(), Error> {
    let tag = source.consumer.tag();
    in_time(
        ANSWER,
        channel.basic_cancel(tag, BasicCancelOptions::default()),
    )
    .await?;
    let pushed = poll_fn(|context| {
        while let Poll::Ready(Some(Ok(delivery))) = source.consumer.poll_next_unpin(context) {
            source.waiting.push_back(delivery);
        }
        Poll::Ready(())
    });
    pushed.await;
    for delivery in source.waiting.drain(..).rev() {
        delivery
            .acker
            .reject(BasicRejectOptions { requeue: true })
            .await?;
    }
    Ok(())
}

fn gone(queue: &str) -> Error {
    let words = format!("the server stopped to deliver from queue {queue:?}");
    ErrorKind::IOError(std::io::Error::other(words).into()).into()
}
