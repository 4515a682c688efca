//! Publishing: to a queue at once, or through the levels that delay.

use super::carry::{self, Notes};
use super::declare::Purpose;
use super::session::{Post, Session};
use super::{BrokerError, Outgoing, again, delay};
use jiff::Timestamp;

/// How many messages wait with confirms of the server at most.
const UNCONFIRMED: usize = 1_000;

/// Publishes messages in their order; what is not due goes into the levels of delay.
pub(super) async fn publish(
    session: &Session,
    now: Timestamp,
    messages: Vec<Outgoing>,
) -> Result<(), BrokerError> {
    let mut posts = Vec::with_capacity(messages.len());
    for outgoing in messages {
        let Outgoing {
            queue,
            mut message,
            due,
            key: _,
        } = outgoing;
        session.ensure(&queue, Purpose::Tasks).await?;
        let due = due.filter(|due| *due > now);
        let notes = Notes {
            ready_at: Some(due.unwrap_or(now).as_millisecond()),
            ..Notes::default()
        };
        let (exchange, routing_key) = match due {
            Some(due) => {
                let levels = session.ensure_delay(&queue).await?;
                message.properties.expiration = None;
                (
                    levels.entrance(),
                    delay::routing_key(again::until(now, due), &queue),
                )
            }
            None => ("", queue),
        };
        let properties = carry::write(&message, &notes, session.room());
        posts.push(Post {
            exchange,
            routing_key,
            properties,
            body: message.body,
        });
    }
    let mut posts = posts.into_iter().peekable();
    while posts.peek().is_some() {
        session
            .publish(posts.by_ref().take(UNCONFIRMED).collect())
            .await?;
    }
    Ok(())
}
