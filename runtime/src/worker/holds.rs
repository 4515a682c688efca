//! Tasks that an operator holds: their messages wait in the broker, ever longer, and are
//! made ready when the order ends.
//!
//! The message itself knows nothing of the order: it comes back from time to time, so
//! that it is not lost where nobody hears that the order ended.

use super::crew::Crew;
use super::patience;
use crate::broker::BrokerError;
use crate::clock::after;
use crate::policy::hold::{LONGEST, pause};
use crate::registry::Kill;
use jiff::Timestamp;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How long messages that were taken before the end of an order was known may be on their
/// way back to the broker (2 s): then all are made ready once more.
const LATE: Duration = Duration::from_secs(2);

/// Returns until when a message waits that an order holds.
pub(super) fn until(crew: &Crew, kill: &Kill) -> Timestamp {
    let now = crew.clock.now();
    let age = Duration::try_from(now.duration_since(kill.killed_at)).unwrap_or_default();
    after(now, pause(age, crew.broker.profile().wakes))
}

/// Makes ready what was held whenever an order ends; it is ended from outside, at any
/// moment.
pub(super) async fn follow(crew: Arc<Crew>) -> Infallible {
    heed(&crew).await
}

pub(super) async fn heed(crew: &Crew) -> Infallible {
    let mut ended = crew.resolver.released();
    loop {
        if ended.changed().await.is_err() {
            // The switch lives as long as the crew.
            std::future::pending::<()>().await;
        }
        for pause in [Duration::ZERO, LATE] {
            tokio::time::sleep(pause).await;
            if let Err(error) = wake(crew).await {
                tracing::warn!(%error, "tasks that were held come back within {} s", LONGEST.as_secs());
            }
        }
    }
}

/// Makes ready what may have been held in the queues of this worker. What is early for
/// another reason waits again.
pub(super) async fn wake(crew: &Crew) -> Result<(), BrokerError> {
    if !crew.broker.profile().wakes {
        return Ok(());
    }
    let until = after(crew.clock.now(), LONGEST);
    for queue in crew.steering.queues.names() {
        let woken = patience::insist(&crew.shutdown, || crew.broker.wake(&queue, until)).await?;
        if woken > 0 {
            tracing::info!(
                queue,
                messages = woken,
                "messages that waited are ready: an order to hold tasks has ended"
            );
        }
    }
    Ok(())
}
