//! Native delayed delivery: 28 queues whose lifetimes are powers of two seconds,
//! as Celery 5.5 and newer declare them (`kombu.transport.native_delayed_delivery`).
//!
//! A delay is written in binary into the routing key, `0.0.….1.0.1.<queue>`; each
//! level holds the message for its power where its digit is 1, and hands it down.
//! The last exchange knows the queue by the end of the key.

use crate::amqp::{ANSWER, Wrong, channel, in_time, table, wrong};
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Error, ExchangeKind};
use std::time::Duration;

/// How many levels there are.
const LEVELS: usize = 28;
/// Where a delayed message enters.
pub(super) const ENTRANCE: &str = "celery_delayed_27";
/// Where a message leaves that is due.
const EXIT: &str = "celery_delayed_delivery";
/// Longest delay (2^28 - 1 s, eight years and a half); what is due later is looked at
/// again then.
const LONGEST: u64 = (1 << LEVELS) - 1;

/// Returns the routing key of a message that goes to `queue` after a delay, rounded
/// up to whole seconds.
pub(super) fn routing_key(delay: Duration, queue: &str) -> String {
    let part = u64::from(delay.subsec_nanos() > 0);
    let seconds = delay.as_secs().saturating_add(part).min(LONGEST);
    let mut key = String::with_capacity(2 * LEVELS + queue.len());
    for level in (0..LEVELS).rev() {
        key.push(if seconds >> level & 1 == 1 { '1' } else { '0' });
        key.push('.');
    }
    key + queue
}

/// Returns the binding that takes what is due for `queue`, and for no other: `#.b`
/// would match the queue `a.b` too.
fn binding(queue: &str) -> String {
    format!("{}{queue}", "*.".repeat(LEVELS))
}

/// Declares the levels where they are missing.
pub(super) async fn declare(connection: &Connection) -> Result<(), Error> {
    let looking = channel(connection).await?;
    match in_time(ANSWER, exists(&looking)).await {
        Ok(()) => return Ok(()),
        Err(error) if wrong(&error) == Wrong::NotFound => {}
        Err(error) => return Err(error),
    }
    let making = channel(connection).await?;
    in_time(ANSWER * 3, make(&making)).await?;
    in_time(ANSWER, making.close(200, "OK".into())).await
}

/// The exit is made last: where it is, all is.
async fn exists(channel: &Channel) -> Result<(), Error> {
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let kind = ExchangeKind::Topic;
    channel
        .exchange_declare(
            ENTRANCE.into(),
            kind.clone(),
            passive,
            FieldTable::default(),
        )
        .await?;
    channel
        .exchange_declare(EXIT.into(), kind, passive, FieldTable::default())
        .await?;
    channel.close(200, "OK".into()).await
}

async fn make(channel: &Channel) -> Result<(), Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let name = |level: usize| format!("celery_delayed_{level}");
    for level in (0..LEVELS).rev() {
        let below = level.checked_sub(1).map_or_else(|| EXIT.to_owned(), name);
        let kind = ExchangeKind::Topic;
        channel
            .exchange_declare(name(level).into(), kind, durable, FieldTable::default())
            .await?;
        let held = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .queue_declare(name(level).into(), held, arguments(level, &below))
            .await?;
        let before = "*.".repeat(LEVELS - 1 - level);
        let (queue, options) = (name(level), QueueBindOptions::default());
        let is_one = format!("{before}1.#");
        channel
            .queue_bind(
                queue.clone().into(),
                queue.into(),
                is_one.into(),
                options,
                FieldTable::default(),
            )
            .await?;
    }
    for level in (0..LEVELS).rev() {
        let below = level.checked_sub(1).map_or_else(|| EXIT.to_owned(), name);
        if level == 0 {
            let kind = ExchangeKind::Topic;
            channel
                .exchange_declare(EXIT.into(), kind, durable, FieldTable::default())
                .await?;
        }
        let is_zero = format!("{}0.#", "*.".repeat(LEVELS - 1 - level));
        let options = ExchangeBindOptions::default();
        channel
            .exchange_bind(
                below.into(),
                name(level).into(),
                is_zero.into(),
                options,
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}

/// The arguments of a level's queue, exactly Celery's: others would be refused.
fn arguments(level: usize, below: &str) -> FieldTable {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let lifetime = i64::from(1_u32 << level) * 1_000;
    table([
        ("x-queue-type", text("quorum")),
        ("x-overflow", text("reject-publish")),
        ("x-message-ttl", AMQPValue::LongLongInt(lifetime)),
        ("x-dead-letter-exchange", text(below)),
        ("x-dead-letter-strategy", text("at-least-once")),
    ])
}

/// Lets what is due for a queue into it.
pub(super) async fn bind(connection: &Connection, queue: &str) -> Result<(), Error> {
    let channel = channel(connection).await?;
    let bound = channel.queue_bind(
        queue.into(),
        EXIT.into(),
        binding(queue).into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    in_time(ANSWER, bound).await?;
    in_time(ANSWER, channel.close(200, "OK".into())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the capture `amqp_quorum_delayed`: five seconds.
    #[test]
    fn a_delay_is_written_in_binary_before_the_queue() {
        let zeros = "0.".repeat(25);
        let seconds = Duration::from_secs;
        assert_eq!(
            routing_key(seconds(5), "qcelery"),
            format!("{zeros}1.0.1.qcelery")
        );
        let up = Duration::from_millis(4_001);
        assert_eq!(
            routing_key(up, "q"),
            format!("{zeros}1.0.1.q"),
            "rounded up"
        );
        let longest = format!("{}q", "1.".repeat(LEVELS));
        assert_eq!(routing_key(seconds(LONGEST), "q"), longest);
        assert_eq!(routing_key(Duration::MAX, "q"), longest);
    }

    #[test]
    fn a_binding_has_as_many_words_as_a_key() {
        let key = routing_key(Duration::from_secs(1), "a.b");
        assert_eq!(binding("a.b").split('.').count(), key.split('.').count());
        assert!(binding("a.b").ends_with("*.a.b"));
    }

    #[test]
    fn the_lifetime_of_a_level_is_its_power_of_two() {
        let arguments = arguments(27, "celery_delayed_26");
        let lifetime = arguments.inner().get("x-message-ttl");
        assert_eq!(lifetime, Some(&AMQPValue::LongLongInt(134_217_728_000)));
    }
}
