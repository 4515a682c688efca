//! Steps g, h, i: record, follow up, settle. In this order, each insisted on,
//! because the message is the only memory of an attempt until it is settled.

use super::Attempt;
use super::leave::Left;
use super::report::Story;
use crate::broker::{BrokerError, Outgoing, Settlement};
use crate::results::{Write, Written};
use crate::worker::crew::Crew;
use crate::worker::patience::insist;

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
        Ok(Written::Stored) => Ok(()),
        Ok(Written::Refused) => Err(Left::stale(attempt.delivery.clone())),
        Err(error) => Err(Left::unrecorded(&attempt.delivery, &error)),
    }
}

/// Step h: publishes what follows from the attempt.
pub(super) async fn follow_up(crew: &Crew, messages: Vec<Outgoing>) -> Result<(), Left> {
    if messages.is_empty() {
        return Ok(());
    }
    insist(&crew.shutdown, || crew.broker.publish(messages.clone())).await?;
    Ok(())
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
