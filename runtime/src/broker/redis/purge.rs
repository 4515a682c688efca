//! Emptying a queue.

use super::{BrokerError, Inner, script, trouble};
use crate::broker::Purge;
use crate::celery::envelope::Envelope;

/// Most messages that one script removes, so that it stays short.
const PAGE: u64 = 1_000;

/// Removes what a queue holds at the beginning, and returns how many.
pub(super) async fn purge(inner: &Inner, queue: &str, what: Purge) -> Result<u64, BrokerError> {
    let keys = &inner.keys;
    let removed = match what {
        Purge::Dead => empty(inner, &keys.dead(queue), "LLEN").await?,
        Purge::Waiting => {
            let mut removed = empty(inner, &keys.parked(queue), "ZCARD").await?;
            for list in keys.lists(queue) {
                removed += empty(inner, &list, "LLEN").await?;
            }
            removed
        }
    };
    Ok(removed)
}

async fn empty(inner: &Inner, key: &str, count: &str) -> Result<u64, BrokerError> {
    let mut server = inner.server.shared();
    let mut left: u64 = redis::cmd(count)
        .arg(key)
        .query_async(&mut server)
        .await
        .map_err(trouble)?;
    let mut removed = 0;
    while left > 0 {
        let (some, keyed): (u64, Vec<Vec<u8>>) = script::PURGE
            .key(key)
            .arg(count)
            .arg(left.min(PAGE))
            .invoke_async(&mut server)
            .await
            .map_err(trouble)?;
        free(inner, &keyed).await?;
        if some == 0 {
            break;
        }
        removed += some;
        left -= some.min(left);
    }
    Ok(removed)
}

/// Lets the keys of removed messages be used again. Should this process die before, they
/// are forgotten with their time.
async fn free(inner: &Inner, keyed: &[Vec<u8>]) -> Result<(), BrokerError> {
    let mut pipe = redis::pipe();
    for raw in keyed {
        // What was parked has a name and a step before its envelope.
        let start = raw.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let envelope = Envelope::read(raw.get(start..).unwrap_or_default());
        if let Some(key) = envelope.ours.key {
            pipe.del(inner.keys.marker(&key)).ignore();
        }
    }
    if pipe.cmd_iter().next().is_none() {
        return Ok(());
    }
    pipe.query_async::<()>(&mut inner.server.shared())
        .await
        .map_err(trouble)
}
