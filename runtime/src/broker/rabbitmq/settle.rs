//! How a delivery ends.

use super::carry::Notes;
use super::session::Session;
use super::{BrokerError, Delivery, SYSTEM, Settlement, again, dead};
use jiff::Timestamp;

/// Ends a delivery: what goes on is published first, then the delivery is acknowledged.
pub(super) async fn settle(
    session: &Session,
    now: Timestamp,
    delivery: &Delivery,
    settlement: Settlement,
) -> Result<(), BrokerError> {
    let lost = || lost(delivery);
    let tag = u64::try_from(delivery.receipt.message).unwrap_or_default();
    let settling = session.held.settle(tag).ok_or_else(lost)?;
    let before = Notes {
        deliveries: delivery.deliveries.saturating_sub(1),
        ..Notes::default()
    };
    match settlement {
        Settlement::Ack => {}
        Settlement::Requeue => {
            again::replace(session, now, delivery, None, before).await?;
        }
        Settlement::Park(until) => {
            again::replace(session, now, delivery, Some(until), before).await?;
        }
        Settlement::Return => {
            let counted = Notes {
                deliveries: delivery.deliveries,
                ..before
            };
            again::replace(session, now, delivery, None, counted).await?;
        }
        Settlement::DeadLetter { reason } => {
            let notes = Notes {
                reason: Some(reason),
                died_at: Some(now.as_millisecond()),
                ready_at: Some(delivery.ready_at.as_millisecond()),
                ..before
            };
            dead::bury(session, delivery, &notes).await?;
        }
    }
    if settling.ack(&session.acks, session.consuming()).await {
        Ok(())
    } else {
        Err(lost())
    }
}

/// Nobody knows whether the server has an acknowledgement.
pub(super) fn unheard(error: Option<lapin::Error>) -> BrokerError {
    let reason = error.as_ref().map(ToString::to_string);
    BrokerError::Unavailable {
        system: SYSTEM,
        reason: reason.unwrap_or_else(|| "the connection ended".to_owned()),
        source: error.map(|error| Box::new(error) as _),
    }
}

/// Somebody else has the message by now.
pub(super) fn lost(delivery: &Delivery) -> BrokerError {
    BrokerError::LeaseLost {
        queue: delivery.queue.clone(),
        receipt: delivery.receipt.clone(),
    }
}
