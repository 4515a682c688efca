//! Step c, start: a run that may have had predecessors takes its fence.
//!
//! The very first run of a task needs no record before its end, which keeps
//! the happy path at one write.

use super::Attempt;
use super::leave::Left;
use super::once;
use crate::clock::after;
use crate::results::{Begun, Start, Write};
use crate::task::State;
use crate::worker::crew::Crew;
use crate::worker::heartbeat::{self, Alive};
use crate::worker::patience::insist;

/// Takes the fence, and acknowledges early where the task wants it so.
pub(super) async fn start(crew: &Crew, attempt: &Attempt, alive: &Alive) -> Result<(), Left> {
    if !attempt.fence.is_first() || attempt.request.again {
        begin(crew, attempt).await?;
        alive.has_run(attempt.request.id.clone(), attempt.fence);
    }
    if crew.settings.track_started && !attempt.request.ignore_result {
        super::record::record(crew, attempt, Some(started(crew, attempt))).await?;
    }
    if let Some(kill) = attempt.guard.killed() {
        // All this may have taken long. It has not begun: it is treated as one that comes
        // after the kill, and not as one that the kill ends.
        let (delivery, request) = (attempt.delivery.clone(), attempt.request.clone());
        return Err(Left::killed(crew, delivery, request, &kill));
    }
    if attempt.code.task.at_most_once {
        once::acknowledge(crew, attempt).await?;
        alive.is_settled();
    }
    Ok(())
}

async fn begin(crew: &Crew, attempt: &Attempt) -> Result<(), Left> {
    let start = Start {
        id: attempt.request.id.clone(),
        task: attempt.request.task.clone(),
        fence: attempt.fence,
        worker: crew.run_of(&attempt.delivery.receipt),
        lease_until: after(crew.clock.now(), heartbeat::lease(crew)),
    };
    let begun = insist(&crew.shutdown, || crew.results.begin(start.clone())).await;
    let begun = begun.map_err(|error| Left::unrecorded(&attempt.delivery, &error))?;
    let delivery = || attempt.delivery.clone();
    match begun {
        Begun::Run => Ok(()),
        Begun::Stale => Err(Left::stale(delivery())),
        Begun::Over(record) => Err(Left::Over {
            delivery: Box::new(delivery()),
            request: Box::new(attempt.request.clone()),
            record,
        }),
        Begun::Retried { due } => Err(Left::Retried {
            delivery: Box::new(delivery()),
            retries: attempt.fence.retries,
            id: attempt.request.id.clone(),
            due: due.unwrap_or_else(|| crew.clock.now()),
        }),
        Begun::Held { until } => Err(Left::parked(delivery(), until)),
    }
}

fn started(crew: &Crew, attempt: &Attempt) -> Write {
    super::end::write(crew, attempt, State::Started)
}
