//! Delayed delivery: 28 queues whose lifetimes are powers of two seconds, as Celery 5.5
//! and newer declare them (`kombu.transport.native_delayed_delivery`).
//!
//! A delay is written in binary into the routing key, `0.0.….1.0.1.<queue>`; each
//! level holds the message for its power where its digit is 1, and hands it down.
//! The last exchange knows the queue by the end of the key.
//!
//! There are two families of levels. Celery's are quorum queues; a quorum queue of tasks
//! uses them. Queues of RabbitMQ's classic type use levels of that type, which are ours:
//! what becomes due in Celery's while the server is down stays there afterwards (seen
//! with RabbitMQ 3.10.8 for more than four minutes; its issue 12625), and Celery's names cannot be
//! made of another type without a 406 for Celery.

use crate::amqp::{ANSWER, Wrong, channel, in_time, table, wrong};
use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Error, ExchangeKind};
use std::time::Duration;

/// How many levels there are.
const LEVELS: usize = 28;
/// A family of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Levels {
    /// Celery's, of the type quorum.
    Celerys,
    /// Our own, of the classic type.
    Classic,
}

impl Levels {
    /// Returns where a delayed message enters.
    pub(super) fn entrance(self) -> &'static str {
        match self {
            Self::Celerys => "celery_delayed_27",
            Self::Classic => "celeriac_delayed_27",
        }
    }

    /// Returns where a message leaves that is due.
    fn exit(self) -> &'static str {
        match self {
            Self::Celerys => "celery_delayed_delivery",
            Self::Classic => "celeriac_delayed_delivery",
        }
    }

    /// Returns the name of the exchange and the queue of a level.
    fn name(self, level: usize) -> String {
        match self {
            Self::Celerys => format!("celery_delayed_{level}"),
            Self::Classic => format!("celeriac_delayed_{level}"),
        }
    }

    /// Returns where a level hands down.
    fn below(self, level: usize) -> String {
        level
            .checked_sub(1)
            .map_or_else(|| self.exit().to_owned(), |below| self.name(below))
    }
}

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

/// Returns the binding that takes what is due for a key, and for no other: `#.b` would
/// match `a.b` too.
fn binding(key: &str) -> String {
    format!("{}{key}", "*.".repeat(LEVELS))
}

/// Declares the levels where they are missing.
pub(super) async fn declare(connection: &Connection, levels: Levels) -> Result<(), Error> {
    let looking = channel(connection).await?;
    match in_time(ANSWER, exists(&looking, levels)).await {
        Ok(()) => return Ok(()),
        Err(error) if wrong(&error) == Wrong::NotFound => {}
        Err(error) => return Err(error),
    }
    let making = channel(connection).await?;
    in_time(ANSWER * 3, make(&making, levels)).await?;
    in_time(ANSWER, making.close(200, "OK".into())).await
}

/// The exit is made last: where it is, all is.
async fn exists(channel: &Channel, levels: Levels) -> Result<(), Error> {
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let kind = ExchangeKind::Topic;
    channel
        .exchange_declare(
            levels.entrance().into(),
            kind.clone(),
            passive,
            FieldTable::default(),
        )
        .await?;
    channel
        .exchange_declare(levels.exit().into(), kind, passive, FieldTable::default())
        .await?;
    channel.close(200, "OK".into()).await
}

async fn make(channel: &Channel, levels: Levels) -> Result<(), Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let name = |level: usize| levels.name(level);
    for level in (0..LEVELS).rev() {
        let kind = ExchangeKind::Topic;
        channel
            .exchange_declare(name(level).into(), kind, durable, FieldTable::default())
            .await?;
        let held = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .queue_declare(name(level).into(), held, arguments(levels, level))
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
        let below = levels.below(level);
        if level == 0 {
            let kind = ExchangeKind::Topic;
            channel
                .exchange_declare(levels.exit().into(), kind, durable, FieldTable::default())
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

/// The arguments of a level's queue: of Celery's, exactly Celery's, as others would be
/// refused.
fn arguments(levels: Levels, level: usize) -> FieldTable {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let lifetime = i64::from(1_u32 << level) * 1_000;
    let mut arguments = table([
        ("x-overflow", text("reject-publish")),
        ("x-message-ttl", AMQPValue::LongLongInt(lifetime)),
        ("x-dead-letter-exchange", text(&levels.below(level))),
    ]);
    if levels == Levels::Celerys {
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    }
    arguments
}

/// Lets what is due for a routing key into a queue.
pub(super) async fn bind(
    connection: &Connection,
    levels: Levels,
    queue: &str,
    key: &str,
) -> Result<(), Error> {
    let channel = channel(connection).await?;
    let bound = channel.queue_bind(
        queue.into(),
        levels.exit().into(),
        binding(key).into(),
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
        for (levels, below) in [
            (Levels::Celerys, "celery_delayed_26"),
            (Levels::Classic, "celeriac_delayed_26"),
        ] {
            let arguments = arguments(levels, 27);
            let argument = |name| arguments.inner().get(name).cloned();
            assert_eq!(
                argument("x-message-ttl"),
                Some(AMQPValue::LongLongInt(134_217_728_000))
            );
            assert_eq!(
                argument("x-dead-letter-exchange"),
                Some(AMQPValue::LongString(below.into()))
            );
        }
    }

    /// As in the capture `amqp_quorum_delayed`.
    #[test]
    fn celerys_levels_have_celerys_names_and_arguments() {
        let arguments = arguments(Levels::Celerys, 0);
        let names: Vec<&str> = arguments.inner().keys().map(|name| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "x-dead-letter-exchange",
                "x-dead-letter-strategy",
                "x-message-ttl",
                "x-overflow",
                "x-queue-type"
            ]
        );
        assert_eq!(Levels::Celerys.below(0), "celery_delayed_delivery");
        assert_eq!(Levels::Celerys.entrance(), Levels::Celerys.name(27));
        assert_eq!(Levels::Classic.entrance(), Levels::Classic.name(27));
    }
}
