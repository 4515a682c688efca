//! Queues: used as they are where they exist, else declared as Celery declares them,
//! so that nobody is ever refused for a different declaration (a 406).

use crate::amqp::{ANSWER, Wrong, channel, in_time, table, wrong};
use crate::broker::DEAD_LETTERS;
use crate::task::{ExchangeType, QueueShape};
use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Error, ExchangeKind};

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Tasks: durable, bound as its shape says.
    Tasks,
    /// Dead letters: durable, capped, and nothing is routed to it by others.
    DeadLetters,
}

/// Returns how many messages wait in a queue; `None` when there is no such queue.
pub(super) async fn waiting(connection: &Connection, queue: &str) -> Result<Option<u32>, Error> {
    // The server closes the channel of whoever asks for what is not there.
    let asking = channel(connection).await?;
    match in_time(ANSWER, look(&asking, queue)).await {
        Ok(waiting) => {
            in_time(ANSWER, asking.close(200, "OK".into())).await?;
            Ok(Some(waiting))
        }
        Err(error) if wrong(&error) == Wrong::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Empties a queue of what waits in it, and returns how many messages that were; none
/// where there is no such queue.
pub(super) async fn purge(connection: &Connection, queue: &str) -> Result<u32, Error> {
    let purging = channel(connection).await?;
    let purged = purging.queue_purge(queue.into(), QueuePurgeOptions::default());
    match in_time(ANSWER, purged).await {
        Ok(removed) => {
            in_time(ANSWER, purging.close(200, "OK".into())).await?;
            Ok(removed)
        }
        Err(error) if wrong(&error) == Wrong::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Looks at a queue, and returns how many messages wait in it.
pub(super) async fn look(channel: &Channel, queue: &str) -> Result<u32, Error> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let seen = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    Ok(seen.message_count())
}

/// Makes a queue where it is missing.
pub(super) async fn ensure(
    connection: &Connection,
    queue: &str,
    purpose: Purpose,
    shape: &QueueShape,
) -> Result<(), Error> {
    if waiting(connection, queue).await?.is_some() {
        return Ok(());
    }
    if purpose == Purpose::Tasks {
        feed(connection, shape).await?;
    }
    let making = channel(connection).await?;
    match in_time(ANSWER, make(&making, queue, purpose, shape)).await {
        Ok(()) => in_time(ANSWER, making.close(200, "OK".into())).await,
        // Somebody was faster; what is there is used as it is.
        Err(error) if wrong(&error) == Wrong::MadeOtherwise => {
            match waiting(connection, queue).await? {
                Some(_) => Ok(()),
                None => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Makes the exchange that feeds a queue where it is missing.
async fn feed(connection: &Connection, shape: &QueueShape) -> Result<(), Error> {
    if exists(connection, shape).await? {
        return Ok(());
    }
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let making = channel(connection).await?;
    match in_time(ANSWER, exchange(&making, shape, durable)).await {
        Ok(()) => in_time(ANSWER, making.close(200, "OK".into())).await,
        // Somebody was faster here too.
        Err(error) if wrong(&error) == Wrong::MadeOtherwise => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells whether there is such an exchange, of whatever type.
async fn exists(connection: &Connection, shape: &QueueShape) -> Result<bool, Error> {
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let asking = channel(connection).await?;
    match in_time(ANSWER, exchange(&asking, shape, passive)).await {
        Ok(()) => {
            in_time(ANSWER, asking.close(200, "OK".into())).await?;
            Ok(true)
        }
        Err(error) if wrong(&error) == Wrong::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

async fn exchange(
    channel: &Channel,
    shape: &QueueShape,
    options: ExchangeDeclareOptions,
) -> Result<(), Error> {
    let kind = match shape.exchange_type {
        ExchangeType::Direct => ExchangeKind::Direct,
        ExchangeType::Topic => ExchangeKind::Topic,
        ExchangeType::Fanout => ExchangeKind::Fanout,
    };
    let name = shape.exchange.as_str().into();
    channel
        .exchange_declare(name, kind, options, FieldTable::default())
        .await
}

async fn make(
    channel: &Channel,
    queue: &str,
    purpose: Purpose,
    shape: &QueueShape,
) -> Result<(), Error> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let arguments = match purpose {
        Purpose::Tasks => shaped(shape),
        Purpose::DeadLetters => table([
            (
                "x-max-length",
                AMQPValue::LongLongInt(i64::try_from(DEAD_LETTERS).unwrap_or(i64::MAX)),
            ),
            ("x-overflow", AMQPValue::LongString("drop-head".into())),
            // Giving back what was only looked at is five times faster there.
            ("x-queue-version", AMQPValue::LongInt(2)),
        ]),
    };
    channel
        .queue_declare(queue.into(), durable, arguments)
        .await?;
    if purpose == Purpose::DeadLetters {
        return Ok(());
    }
    bind_to(channel, queue, shape).await
}

/// Binds a queue that is there to the exchange that is to feed it, which is made where it
/// is missing.
pub(super) async fn bind(
    connection: &Connection,
    queue: &str,
    shape: &QueueShape,
) -> Result<(), Error> {
    feed(connection, shape).await?;
    let binding = channel(connection).await?;
    in_time(ANSWER, bind_to(&binding, queue, shape)).await?;
    in_time(ANSWER, binding.close(200, "OK".into())).await
}

async fn bind_to(channel: &Channel, queue: &str, shape: &QueueShape) -> Result<(), Error> {
    channel
        .queue_bind(
            queue.into(),
            shape.exchange.as_str().into(),
            shape.routing_key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// The arguments of a queue for tasks; a plain one has none, as Celery's.
fn shaped(shape: &QueueShape) -> FieldTable {
    let quorum = AMQPValue::LongString("quorum".into());
    let quorum = shape.quorum.then_some(("x-queue-type", quorum));
    let most = shape.max_priority.map(i32::from).map(AMQPValue::LongInt);
    let most = most.map(|most| ("x-max-priority", most));
    let mut arguments = FieldTable::default();
    for (name, value) in quorum.into_iter().chain(most) {
        arguments.insert(name.into(), value);
    }
    arguments
}
