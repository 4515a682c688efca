//! Messages that are published a second time: given back, parked, or counted.

use super::carry::{self, Notes};
use super::inbox::Inbox;
use super::session::{Post, Session};
use super::{delay, trouble};
use crate::broker::{BrokerError, Delivery};
use jiff::Timestamp;
use std::time::Duration;

/// Publishes a message that takes the place of a delivery.
pub(super) async fn replace(
    session: &Session,
    now: Timestamp,
    delivery: &Delivery,
    due: Option<Timestamp>,
    mut notes: Notes,
) -> Result<(), BrokerError> {
    let queue = &delivery.queue;
    notes.ready_at = Some(due.unwrap_or(delivery.ready_at).as_millisecond());
    let mut message = delivery.message.clone();
    let (exchange, routing_key) = match due.filter(|due| *due > now) {
        Some(due) => {
            // Its time in the queue is over; in the levels it would be too short.
            message.properties.expiration = None;
            let levels = session.ensure_delay(queue).await?;
            (
                levels.entrance(),
                delay::routing_key(until(now, due), queue),
            )
        }
        None => ("", queue.clone()),
    };
    let post = Post {
        exchange,
        routing_key,
        properties: carry::write(&message, &notes, session.room()),
        body: message.body,
    };
    session.publish(vec![post]).await
}

pub(super) fn until(now: Timestamp, due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default()
}

/// Puts what comes again, and nobody counted, to the end of its queue with its count
/// raised. Where this ends half-way the message is there twice, as any message may be.
pub(super) async fn recount(session: &Session, inbox: &mut Inbox) -> Result<(), BrokerError> {
    let is_uncounted = |pushed: &lapin::message::Delivery| {
        pushed.redelivered
            && carry::read(&pushed.properties, Vec::new())
                .1
                .counted
                .is_none()
    };
    while let Some((queue, pushed)) = inbox.find(is_uncounted) {
        let (message, mut notes) = carry::read(&pushed.properties, pushed.data.clone());
        notes.deliveries = notes.deliveries.saturating_add(1);
        let again = Post {
            exchange: "",
            routing_key: queue.to_owned(),
            properties: carry::write(&message, &notes, session.room()),
            body: message.body,
        };
        let (tag, acker) = (pushed.delivery_tag, pushed.acker.clone());
        session.publish(vec![again]).await?;
        acker
            .ack(lapin::options::BasicAckOptions::default())
            .await
            .map_err(trouble)?;
        session.acks.is_done(tag);
        inbox.remove(tag);
    }
    Ok(())
}
