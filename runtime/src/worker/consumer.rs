//! Feeds the executor of a lane: messages, then a place for each.
//!
//! Overload cannot happen by accident, because no more messages are taken than could start.
//! A lane that shares its worker with others takes one message more, which says that it has
//! some; it starts when it is the lane's turn.

use super::crew::Crew;
use super::executor::{self, Hand};
use super::patience::Backoff;
use super::shares::Place;
use crate::broker::{BrokerError, Delivery, Settlement};
use crate::policy::quota::Hold;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Most messages of one fetch: enough to share the cost of a round trip, few
/// enough to leave some to other workers.
const BATCH: usize = 256;
/// How often a worker without a free permit asks the broker anything (4 s):
/// often enough for health, which calls an answer old after ten.
const ASK: Duration = Duration::from_secs(4);
/// Time guests have to unwind after the drain is over and they were told.
const GRACE: Duration = Duration::from_secs(2);

/// Takes and runs messages until the lane stops; returns when every attempt
/// has ended or was given back.
pub(super) async fn consume(crew: &Arc<Crew>) {
    let mut attempts = JoinSet::new();
    let mut backoff = Backoff::default();
    while let Some(taken) = take(crew).await {
        match taken {
            Ok(deliveries) => {
                backoff = Backoff::default();
                start(crew, deliveries, &mut attempts).await;
            }
            Err(error) => {
                let tenant = crew.settings.tenant.as_str();
                tracing::warn!(%error, tenant, "no messages; trying again");
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

/// Starts an attempt for each message when it is the lane's turn.
async fn start(crew: &Arc<Crew>, deliveries: Vec<Delivery>, attempts: &mut JoinSet<()>) {
    let mut waiting: VecDeque<_> = deliveries
        .into_iter()
        .map(|delivery| (crew.leases.keep(&delivery.receipt), delivery))
        .collect();
    while let Some((alive, delivery)) = waiting.pop_front() {
        if crew.steering.meter.hold().is_some() {
            // Its quota was filled meanwhile.
            give_back(crew, &delivery).await;
            continue;
        }
        let task = delivery.message.headers.get("task");
        let task = task.and_then(serde_json::Value::as_str).unwrap_or_default();
        tokio::select! {
            biased;
            place = crew.door.place(task) => {
                if crew.steering.meter.begins() {
                    // The attempt keeps the lease from here on.
                    drop(alive);
                    attempts.spawn(run(crew.clone(), delivery, place));
                } else {
                    give_back(crew, &delivery).await;
                }
            }
            () = crew.shutdown.stopping() => {
                give_back(crew, &delivery).await;
                for (_alive, delivery) in waiting.drain(..) {
                    give_back(crew, &delivery).await;
                }
            }
            // It is somebody else's by now.
            () = alive.lost() => {}
            never = keep_asking(crew) => match never {},
        }
    }
}

/// Gives a message back that did not start. Where that fails, it comes back when its lease
/// lapses.
async fn give_back(crew: &Crew, delivery: &Delivery) {
    crew.count(&Settlement::Requeue);
    if let Err(error) = crew.broker.settle(delivery, Settlement::Requeue).await {
        tracing::warn!(%error, "a message that waited for its turn was not given back");
    }
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

/// Takes as many messages as there is room for; `None` once the lane stops.
async fn take(crew: &Crew) -> Option<Result<Vec<Delivery>, BrokerError>> {
    loop {
        let mut follow = crew.steering.queues.follow();
        let queues = follow.borrow_and_update().clone();
        let hold = crew.steering.meter.hold();
        let quota = match hold {
            Some(_) => 0,
            None => crew.steering.meter.starts_left(),
        };
        let room = crew.door.room().min(BATCH).min(quota);
        tokio::select! {
            biased;
            () = crew.shutdown.stopping() => return None,
            // Other queues: asked for at once.
            Ok(()) = follow.changed() => {}
            // A lane without room asks again when there may be some.
            () = crew.door.changed(), if room == 0 => {}
            () = held(crew, hold), if hold.is_some() => {}
            never = keep_asking(crew), if room == 0 => match never {},
            fetched = fetch(crew, &queues, room), if room > 0 => {
                return Some(fetched.inspect(|_| crew.metrics.fetched()));
            }
        }
    }
}

/// Holds the messages of a tenant whose quota is full: what waits in this process goes back
/// to the broker. Cancel-safe.
async fn held(crew: &Crew, hold: Option<Hold>) {
    let until = hold.and_then(|hold| hold.until);
    let back = async {
        if let Err(error) = crew.broker.fetch(&[], 1).await {
            tracing::debug!(%error, "what waits here was not given back");
        }
        match until {
            Some(until) => crew.clock.sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    back.await;
}

/// Fetches, or waits where there is no queue to fetch from. Cancel-safe.
async fn fetch(crew: &Crew, queues: &[String], max: usize) -> Result<Vec<Delivery>, BrokerError> {
    let fetched = crew.broker.fetch(queues, max).await?;
    if queues.is_empty() {
        // The broker gave back what it held; there is nothing else to ask it for.
        match keep_asking(crew).await {}
    }
    Ok(fetched)
}

/// Runs the attempt of a message, and those that run ahead in its place.
async fn run(crew: Arc<Crew>, delivery: Delivery, mut place: Place) {
    let running = crew.metrics.in_flight(1);
    let mut hand = Some(Hand::take(&crew, delivery));
    while let Some(next) = hand {
        let (cpu, ahead) = executor::attempt(&crew, next).await;
        crew.steering.meter.took(cpu);
        place.took(cpu);
        if let Some(ahead) = &ahead {
            place.is_kept_for(ahead.task());
        }
        hand = ahead;
    }
    drop(running);
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
