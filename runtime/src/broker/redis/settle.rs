//! What becomes of what this process holds: it is kept, or it ends.

use super::{BrokerError, Delivery, Inner, Receipt, Settlement, keys, script, trouble};
use crate::broker::DEAD_LETTERS;
use crate::celery::envelope::{Envelope, Ours};

/// Extends what is still ours, and returns what is not.
pub(super) async fn extend(
    inner: &Inner,
    receipts: &[Receipt],
) -> Result<Vec<Receipt>, BrokerError> {
    let mut lost = Vec::new();
    let mut kept = Vec::new();
    let mut extend = script::EXTEND.prepare_invoke();
    extend
        .key(&inner.keys.unacked_index)
        .arg(inner.taken_at())
        .arg(inner.lease_end());
    for receipt in receipts {
        match inner.held.of(receipt) {
            None => lost.push(receipt.clone()),
            Some(held) => {
                extend.key(inner.keys.leases(&held.queue)).arg(&held.tag);
                kept.push(receipt);
            }
        }
    }
    if kept.is_empty() {
        return Ok(lost);
    }
    let alive: Vec<bool> = extend
        .invoke_async(&mut inner.server.shared())
        .await
        .map_err(trouble)?;
    for (receipt, _) in kept.into_iter().zip(alive).filter(|(_, alive)| !alive) {
        inner.held.forget(receipt);
        lost.push(receipt.clone());
    }
    Ok(lost)
}

/// Ends a delivery by one script, if it is still ours.
pub(super) async fn settle(
    inner: &Inner,
    delivery: &Delivery,
    settlement: Settlement,
) -> Result<(), BrokerError> {
    let lost = || BrokerError::LeaseLost {
        queue: delivery.queue.clone(),
        receipt: delivery.receipt.clone(),
    };
    let held = inner.held.of(&delivery.receipt).ok_or_else(lost)?;
    // The key is free again once its message neither waits nor runs.
    let ends = matches!(settlement, Settlement::Ack | Settlement::DeadLetter { .. });
    let marker = held.key.as_deref().filter(|_| ends);
    let (how, place) = onward(inner, delivery, settlement);
    let settled: bool = script::SETTLE
        .key(&inner.keys.unacked)
        .key(&inner.keys.unacked_index)
        .key(inner.keys.leases(&held.queue))
        .key(inner.keys.marker(marker.unwrap_or_default()))
        .key(place.key)
        .arg(&held.tag)
        .arg(how)
        .arg(place.score)
        .arg(place.member)
        .arg(DEAD_LETTERS)
        .arg(u8::from(marker.is_some()))
        .invoke_async(&mut inner.server.shared())
        .await
        .map_err(trouble)?;
    inner.held.forget(&delivery.receipt);
    if settled { Ok(()) } else { Err(lost()) }
}

/// Where a delivery goes that is not simply acknowledged.
fn onward(
    inner: &Inner,
    delivery: &Delivery,
    settlement: Settlement,
) -> (&'static str, keys::Place) {
    let held = inner.held.of(&delivery.receipt);
    let mut envelope = Envelope {
        message: delivery.message.clone(),
        ours: Ours {
            deliveries: delivery.deliveries.saturating_sub(1),
            ready_at: Some(delivery.ready_at.as_millisecond()),
            key: held.and_then(|held| held.key),
            ..Ours::default()
        },
    };
    let queue = &delivery.queue;
    match settlement {
        Settlement::Ack => ("ack", inner.keys.nowhere()),
        Settlement::Requeue => ("front", inner.keys.place(queue, &envelope, None)),
        Settlement::Return => {
            envelope.ours.deliveries = delivery.deliveries;
            ("front", inner.keys.place(queue, &envelope, None))
        }
        Settlement::Park(until) => {
            envelope.ours.ready_at = Some(until.as_millisecond());
            ("park", inner.keys.place(queue, &envelope, Some(until)))
        }
        Settlement::DeadLetter { reason } => {
            envelope.ours.reason = Some(reason);
            envelope.ours.died_at = Some(inner.now().as_millisecond());
            let dead = keys::Place {
                key: inner.keys.dead(queue),
                score: 0,
                member: envelope.write(queue),
            };
            ("dead", dead)
        }
    }
}
