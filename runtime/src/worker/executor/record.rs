//! Steps g, h, i: record, follow up, settle. In this order, each insisted on,
//! because the message is the only memory of an attempt until it is settled.
//!
//! An answer may be lost although the step was done. So a refused write is a question:
//! who stored the end, and is anybody left to carry out what follows?

use super::Attempt;
use super::leave::Left;
use super::report::Story;
use super::tell;
use crate::broker::{BrokerError, Delivery, Outgoing, Settlement};
use crate::celery::request::AGAIN;
use crate::celery::{Message, Request};
use crate::results::{ResultsError, Write, Written};
use crate::task::Fence;
use crate::worker::crew::Crew;
use crate::worker::patience::insist;
use serde_json::Value;

/// Step g: stores the state, unless somebody else has gone further.
pub(super) async fn record(
    crew: &Crew,
    attempt: &Attempt,
    write: Option<Write>,
) -> Result<(), Left> {
    let Some(write) = write else {
        return Ok(());
    };
    match insist(&crew.shutdown, || crew.results.write(write.clone())).await {
        Ok(Written::Stored) => {
            crew.stored(&write);
            Ok(())
        }
        Ok(Written::Refused) => Err(overtaken(crew, &attempt.delivery, &attempt.request).await),
        Err(error) => Err(Left::unrecorded(&attempt.delivery, &error)),
    }
}

/// Says what is left to do where a write about a run was refused. Of a task that is over,
/// what follows from its record: whoever stored it may have died, or be we ourselves, who
/// did not hear of it. A run that has gone further does that itself.
pub(super) async fn overtaken(crew: &Crew, delivery: &Delivery, request: &Request) -> Left {
    match over(crew, delivery, request).await {
        Ok(Some(over)) => over,
        Ok(None) => Left::stale(delivery.clone()),
        Err(error) => Left::unrecorded(delivery, &error),
    }
}

/// Looks whether the task of a message is over, and leaves with its record if so.
pub(super) async fn look(crew: &Crew, delivery: &Delivery, request: &Request) -> Result<(), Left> {
    match over(crew, delivery, request).await {
        Ok(Some(over)) => Err(over),
        // Where no results are kept, nobody can tell.
        Ok(None) | Err(ResultsError::Misconfigured { .. }) => Ok(()),
        Err(error @ (ResultsError::Unavailable { .. } | ResultsError::Malformed { .. })) => {
            Err(Left::unrecorded(delivery, &error))
        }
    }
}

/// Looks for a final record. One that a later delivery or retry stored is not the business
/// of this message.
async fn over(
    crew: &Crew,
    delivery: &Delivery,
    request: &Request,
) -> Result<Option<Left>, ResultsError> {
    let record = insist(&crew.shutdown, || crew.results.get(&request.id)).await?;
    let ours = fence(delivery, request);
    let record = record.filter(|record| record.is_last() && record.fence <= ours);
    Ok(record.map(|record| Left::Over {
        delivery: Box::new(delivery.clone()),
        request: Box::new(request.clone()),
        record: Box::new(record),
    }))
}

/// The run that a message asks for.
pub(super) fn fence(delivery: &Delivery, request: &Request) -> Fence {
    Fence {
        retries: request.retries,
        deliveries: delivery.deliveries,
    }
}

/// Step h: publishes what follows from the attempt.
pub(super) async fn follow_up(crew: &Crew, messages: Vec<Outgoing>) -> Result<(), Left> {
    if messages.is_empty() {
        return Ok(());
    }
    publish(crew, messages).await
}

/// Publishes. Where no answer came, the messages may be there all the same: what is sent
/// after that is marked, so that whoever takes both looks before it runs the second.
pub(super) async fn publish(crew: &Crew, mut messages: Vec<Outgoing>) -> Result<(), Left> {
    let mut is_tried = false;
    let publish = || {
        if is_tried {
            messages.iter_mut().for_each(|sent| mark(&mut sent.message));
        }
        is_tried = true;
        crew.broker.publish(messages.clone())
    };
    insist(&crew.shutdown, publish).await?;
    tell::sent(crew, &messages);
    Ok(())
}

/// Marks a message as one that was perhaps sent before.
pub(super) fn mark(message: &mut Message) {
    message.headers.insert(AGAIN.to_owned(), Value::Bool(true));
}

/// Step i: ends the delivery, exactly once.
pub(super) async fn settle(
    crew: &Crew,
    attempt: &Attempt,
    settlement: Settlement,
    story: &mut Story,
) -> Result<(), Left> {
    story.settles(&settlement);
    if attempt.code.task.at_most_once {
        // It was acknowledged before the guest started.
        return Ok(());
    }
    acknowledge(crew, attempt, settlement).await
}

/// Settles the message of an attempt.
pub(super) async fn acknowledge(
    crew: &Crew,
    attempt: &Attempt,
    settlement: Settlement,
) -> Result<(), Left> {
    let settled = insist(&crew.shutdown, || {
        crew.broker.settle(&attempt.delivery, settlement.clone())
    });
    match settled.await {
        Ok(()) => Ok(()),
        Err(BrokerError::LeaseLost { .. }) => Err(Left::Lost),
        Err(error) => Err(error.into()),
    }
}
