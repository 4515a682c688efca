//! Feeds the executor: a permit first, then a message.
//!
//! Overload cannot happen by accident, because no message is taken without a
//! permit that runs with it.

use super::crew::Crew;
use super::executor;
use super::patience::Backoff;
use crate::broker::Delivery;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Most messages of one fetch: enough to share the cost of a round trip, few
/// enough to leave some to other workers.
const BATCH: usize = 256;
/// How often a worker without a free permit asks the broker anything (4 s):
/// often enough for health, which calls an answer old after ten.
const ASK: Duration = Duration::from_secs(4);
/// Time guests have to unwind after the drain is over and they were told.
const GRACE: Duration = Duration::from_secs(2);

/// Takes and runs messages until the worker stops; returns when every attempt
/// has ended or was given back.
pub(super) async fn consume(crew: &Arc<Crew>) {
    let permits = Arc::clone(crew.steering.pool.permits());
    let mut attempts = JoinSet::new();
    let mut backoff = Backoff::default();
    while let Some(taken) = take(crew, &permits).await {
        match taken {
            Ok((deliveries, permits)) => {
                backoff = Backoff::default();
                for (delivery, permit) in deliveries.into_iter().zip(permits) {
                    attempts.spawn(run(crew.clone(), delivery, permit));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no messages; trying again");
                tokio::select! {
                    () = tokio::time::sleep(backoff.next()) => {}
                    () = crew.shutdown.stopping() => {}
                }
            }
        }
        while let Some(ended) = attempts.try_join_next() {
            note(ended);
        }
    }
    drain(crew, &mut attempts).await;
}

/// Asks the broker anything: an answer makes the worker ready at once, where a
/// fetch from empty queues answers only after a while. Cancel-safe.
pub(super) async fn greet(crew: &Crew) {
    if let Some(queue) = crew.settings.queues.first()
        && crew.broker.depth(queue).await.is_ok()
    {
        crew.metrics.fetched();
    }
}

/// Asks the broker again and again: a worker that is full, or waits for its orders, does
/// not fetch, and is as healthy as its broker all the same.
pub(super) async fn keep_asking(crew: &Crew) -> Infallible {
    loop {
        tokio::time::sleep(ASK).await;
        greet(crew).await;
    }
}

type Taken = (Vec<Delivery>, Vec<OwnedSemaphorePermit>);

/// Takes as many messages as there are permits; `None` once the worker stops.
async fn take(
    crew: &Crew,
    permits: &Arc<Semaphore>,
) -> Option<Result<Taken, crate::broker::BrokerError>> {
    let first = tokio::select! {
        biased;
        () = crew.shutdown.stopping() => return None,
        permit = permits.clone().acquire_owned() => permit.ok()?,
        never = keep_asking(crew) => match never {},
    };
    let mut held = vec![first];
    while held.len() < BATCH
        && let Ok(permit) = permits.clone().try_acquire_owned()
    {
        held.push(permit);
    }
    loop {
        let mut follow = crew.steering.queues.follow();
        let queues = follow.borrow_and_update().clone();
        tokio::select! {
            biased;
            () = crew.shutdown.stopping() => return None,
            // Other queues: asked for at once, with the same permits.
            Ok(()) = follow.changed() => {}
            fetched = fetch(crew, &queues, held.len()) => return Some(fetched.map(|deliveries| {
                crew.metrics.fetched();
                (deliveries, held)
            })),
        }
    }
}

/// Fetches, or waits where there is no queue to fetch from. Cancel-safe.
async fn fetch(
    crew: &Crew,
    queues: &[String],
    max: usize,
) -> Result<Vec<Delivery>, crate::broker::BrokerError> {
    let fetched = crew.broker.fetch(queues, max).await?;
    if queues.is_empty() {
        // The broker gave back what it held; there is nothing else to ask it for.
        match keep_asking(crew).await {}
    }
    Ok(fetched)
}

async fn run(crew: Arc<Crew>, delivery: Delivery, permit: OwnedSemaphorePermit) {
    let running = crew.metrics.in_flight(1);
    executor::attempt(&crew, delivery).await;
    drop(running);
    drop(permit);
}

/// Waits for what runs: until the drain is over, then a little for guests to
/// unwind, then no longer. What is dropped was not acknowledged.
async fn drain(crew: &Crew, attempts: &mut JoinSet<()>) {
    let over = async {
        crew.shutdown.drain(crew.settings.drain).await;
        tokio::time::sleep(2 * GRACE).await;
    };
    let all = async {
        while let Some(ended) = attempts.join_next().await {
            note(ended);
        }
    };
    tokio::select! {
        () = all => {}
        () = over => tracing::warn!("attempts did not end in time; their messages come back when their leases lapse"),
    }
    attempts.shutdown().await;
}

/// The time a guest has to unwind.
pub(super) fn grace() -> Duration {
    GRACE
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // The message was not settled: it comes back when its lease lapses.
        tracing::error!(%error, "an attempt panicked; this is a bug, please report it");
    }
}
