//! Waking: what is parked becomes due before its time. Workers that wait are told by the
//! server, as of every change of what is parked.

use super::{BrokerError, Inner, script, trouble};
use jiff::Timestamp;

/// Most messages that one script wakes, so that it stays short.
const PAGE: u64 = 1_000;

/// Makes parked messages of a queue due that are due until then, and returns how many.
pub(super) async fn wake(inner: &Inner, queue: &str, until: Timestamp) -> Result<u64, BrokerError> {
    let (now, until) = (inner.now().as_millisecond(), until.as_millisecond());
    let parked = inner.keys.parked(queue);
    let mut server = inner.server.shared();
    let mut woken = 0;
    loop {
        let some: u64 = script::WAKE
            .key(&parked)
            .arg(now)
            .arg(until)
            .arg(PAGE)
            .invoke_async(&mut server)
            .await
            .map_err(trouble)?;
        if some == 0 {
            return Ok(woken);
        }
        woken += some;
    }
}
