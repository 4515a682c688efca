//! Queues: used as they are where they exist, else declared as Celery declares them,
//! so that nobody is ever refused for a different declaration (a 406).

use crate::amqp::{ANSWER, Wrong, channel, in_time, table, wrong};
use crate::broker::DEAD_LETTERS;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Error, ExchangeKind};

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Tasks: durable, bound to a direct exchange of its name.
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
) -> Result<(), Error> {
    if waiting(connection, queue).await?.is_some() {
        return Ok(());
    }
    let making = channel(connection).await?;
    match in_time(ANSWER, make(&making, queue, purpose)).await {
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

async fn make(channel: &Channel, queue: &str, purpose: Purpose) -> Result<(), Error> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let arguments = match purpose {
        Purpose::Tasks => FieldTable::default(),
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
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .exchange_declare(
            queue.into(),
            ExchangeKind::Direct,
            durable,
            FieldTable::default(),
        )
        .await?;
    channel
        .queue_bind(
            queue.into(),
            queue.into(),
            queue.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}
