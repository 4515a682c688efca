//! Taking what the server pushed.

use super::declare::{self, Purpose};
use super::session::Session;
use super::{BrokerError, Delivery, Receipt, again, carry, trouble};
use crate::amqp::{ANSWER, in_time};
use crate::broker::IDLE;
use crate::clock::Clock;
use jiff::Timestamp;

/// Takes what waits, or nothing when nothing does for a while.
pub(super) async fn take(
    session: &Session,
    clock: &Clock,
    queues: &[String],
    max: usize,
) -> Result<Vec<Delivery>, BrokerError> {
    prepare(session, queues).await?;
    let mut inbox = session.inbox.lock().await;
    let followed = inbox
        .follow(session.consuming(), &session.acks, queues)
        .await;
    if let Err(error) = followed {
        // An answer that comes too late would leave a consumer that nobody reads, and
        // messages with it.
        session.give_up().await;
        return Err(trouble(error));
    }
    if queues.is_empty() {
        return Ok(Vec::new());
    }
    let waited = tokio::time::timeout(IDLE, async {
        loop {
            if let Err(error) = inbox.arrival().await {
                // A queue may be gone: it is declared again the next time.
                session.forget().await;
                return Err(trouble(error));
            }
            again::recount(session, &mut inbox).await?;
            let taken = inbox.take(max);
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
    });
    let Ok(taken) = waited.await else {
        // Silence may be an empty queue or a dead server: only an answer tells.
        if let Some(queue) = queues.first() {
            let look = declare::look(session.consuming(), queue);
            in_time(ANSWER, look).await.map_err(trouble)?;
        }
        return Ok(Vec::new());
    };
    Ok(taken?
        .into_iter()
        .map(|(queue, pushed)| delivery(session, clock, queue, pushed))
        .collect())
}

/// Makes the queues that are missing.
pub(super) async fn prepare(session: &Session, queues: &[String]) -> Result<(), BrokerError> {
    for queue in queues {
        session.ensure(queue, Purpose::Tasks).await?;
    }
    Ok(())
}

fn delivery(
    session: &Session,
    clock: &Clock,
    queue: String,
    pushed: lapin::message::Delivery,
) -> Delivery {
    let (message, notes) = carry::read(&pushed.properties, pushed.data);
    session.held.hold(pushed.delivery_tag);
    let ready_at = notes
        .ready_at
        .and_then(|at| Timestamp::from_millisecond(at).ok());
    Delivery {
        queue,
        message,
        receipt: Receipt {
            message: i64::try_from(pushed.delivery_tag).unwrap_or(i64::MAX),
            lease: session.number,
        },
        deliveries: notes
            .deliveries
            .saturating_add(notes.counted.unwrap_or(0))
            .saturating_add(1),
        ready_at: ready_at.unwrap_or_else(|| clock.now()),
        replaced: false,
    }
}
