//! What queues hold, counted and shown without taking it.

use super::{BrokerError, DeadLetter, Depth, Inner, trouble};
use crate::celery::envelope::Envelope;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Counts the messages of a queue.
pub(super) async fn depth(inner: &Inner, queue: &str) -> Result<Depth, BrokerError> {
    let keys = &inner.keys;
    let now = inner.now().as_millisecond();
    let (parked, leases) = (keys.parked(queue), keys.leases(queue));
    let mut pipe = redis::pipe();
    for list in keys.lists(queue) {
        pipe.llen(list);
    }
    pipe.zcount(&parked, "-inf", now).zcard(&parked);
    pipe.zcount(&leases, "-inf", now).zcard(&leases);
    pipe.llen(keys.dead(queue));
    let counts: Vec<u64> = pipe
        .query_async(&mut inner.server.shared())
        .await
        .map_err(trouble)?;
    let [a, b, c, d, due, parked, lapsed, leased, dead] = counts.as_slice() else {
        return Ok(Depth::default());
    };
    Ok(Depth {
        // What is due or lapsed is taken with the next fetch.
        ready: a + b + c + d + due + lapsed,
        parked: Some(parked - due),
        leased: Some(leased - lapsed),
        dead: *dead,
    })
}

/// Counts the messages of every queue that is known and not empty.
pub(super) async fn queues(inner: &Inner) -> Result<Vec<(String, Depth)>, BrokerError> {
    let names = names(inner).await?;
    let depths = names.iter().map(|name| depth(inner, name));
    let depths = futures::future::try_join_all(depths).await?;
    let all = names.into_iter().zip(depths);
    Ok(all
        .filter(|(_, depth)| *depth != Depth::default())
        .collect())
}

/// Returns the queues that something was published to.
pub(super) async fn names(inner: &Inner) -> Result<BTreeSet<String>, BrokerError> {
    redis::cmd("SMEMBERS")
        .arg(&inner.keys.queues)
        .query_async(&mut inner.server.shared())
        .await
        .map_err(trouble)
}

/// Returns the newest dead letters of a queue.
pub(super) async fn dead_letters(
    inner: &Inner,
    queue: &str,
    max: usize,
) -> Result<Vec<DeadLetter>, BrokerError> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let letters: Vec<Vec<u8>> = redis::cmd("LRANGE")
        .arg(inner.keys.dead(queue))
        .arg(0)
        .arg(max.saturating_sub(1))
        .query_async(&mut inner.server.shared())
        .await
        .map_err(trouble)?;
    let read = |raw: Vec<u8>| {
        let Envelope { message, ours } = Envelope::read(&raw);
        let died_at = ours
            .died_at
            .and_then(|at| Timestamp::from_millisecond(at).ok());
        DeadLetter {
            queue: queue.to_owned(),
            message,
            reason: ours.reason.unwrap_or_default(),
            died_at: died_at.unwrap_or_default(),
        }
    };
    Ok(letters.into_iter().map(read).collect())
}
