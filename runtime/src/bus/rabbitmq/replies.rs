//! Replies to one caller, in a queue of its own.
//!
//! Celery's clients have theirs removed with their last consumer; ours outlives a lost
//! connection for a while, so that no reply is lost with it.

use super::{RabbitBus, message, said, trouble};
use crate::amqp::{ANSWER, channel, in_time, short, table};
use crate::bus::{BusError, Heard};
use futures::StreamExt as _;
use futures::stream;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};

/// How long the queue outlives its caller (10 min), milliseconds.
const KEPT: i32 = 600_000;
/// Most replies that the server sends ahead.
const AHEAD: u16 = 32;

impl RabbitBus {
    /// Listens until the connection is lost. What was not acknowledged comes again then.
    pub(super) async fn replies(&self, queue: &str) -> Result<Heard, BusError> {
        let queue = short(queue).map_err(|error| said(error.to_string()))?;
        let connection = self.connection().await.map_err(trouble)?;
        let opened = channel(&connection).await.map_err(trouble)?;
        let qos = opened.basic_qos(AHEAD, BasicQosOptions { global: false });
        in_time(ANSWER, qos).await.map_err(trouble)?;
        let options = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let arguments = table([("x-expires", AMQPValue::LongInt(KEPT))]);
        let made = opened.queue_declare(queue.clone(), options, arguments);
        in_time(ANSWER, made).await.map_err(trouble)?;
        let options = BasicConsumeOptions::default();
        let consumer = opened.basic_consume(queue, "".into(), options, FieldTable::default());
        let consumer = in_time(ANSWER, consumer).await.map_err(trouble)?;
        // The channel lives as long as somebody listens.
        let heard = stream::unfold((opened, consumer), async |(opened, mut consumer)| {
            let pushed = consumer.next().await?.ok()?;
            let acknowledged = pushed.acker.ack(BasicAckOptions::default());
            // Unheard, it comes again, which does no harm.
            let _unheard = in_time(ANSWER, acknowledged).await;
            Some((message(pushed), (opened, consumer)))
        });
        Ok(heard.boxed())
    }

    pub(super) async fn forget_replies(&self, queue: &str) -> Result<(), BusError> {
        let queue = short(queue).map_err(|error| said(error.to_string()))?;
        let connection = self.connection().await.map_err(trouble)?;
        let opened = channel(&connection).await.map_err(trouble)?;
        let removed = opened.queue_delete(queue, QueueDeleteOptions::default());
        in_time(ANSWER, removed).await.map_err(trouble)?;
        // Nobody waits for the answer: the queue is gone.
        let _unheard = in_time(ANSWER, opened.close(200, "OK".into())).await;
        Ok(())
    }
}
