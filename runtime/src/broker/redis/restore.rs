//! Giving back what a worker took that shows no sign of life any more.

use super::{BrokerError, Inner, script, trouble};
use crate::celery::envelope::Envelope;
use std::sync::atomic::{AtomicI64, Ordering};

/// How long a lapsed lease may wait to be noticed, milliseconds.
const EVERY: i64 = 100;
/// Most messages that one look gives back.
const MOST: isize = 1_000;

/// When lapsed leases were last looked for, milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicI64);

impl Pace {
    /// Lets the next look be at once: there is something.
    pub(super) fn soon(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Inner {
    /// Makes ready what lapsed in some queues; it counts as delivered.
    pub(super) async fn restore(&self, queues: &[String]) -> Result<(), BrokerError> {
        let now = self.now().as_millisecond();
        if now.saturating_sub(self.restored.0.load(Ordering::Relaxed)) < EVERY {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for queue in queues {
            pipe.zrangebyscore_limit(self.keys.leases(queue), "-inf", now, 0, MOST);
        }
        let lapsed: Vec<Vec<String>> = pipe
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        self.restored.0.store(now, Ordering::Relaxed);
        for (queue, tags) in queues.iter().zip(lapsed) {
            // The last to be given back is the first to be served.
            for tag in tags.iter().rev() {
                self.give_back(queue, tag, now).await?;
            }
        }
        Ok(())
    }

    async fn give_back(&self, queue: &str, tag: &str, now: i64) -> Result<(), BrokerError> {
        let held: Option<Vec<u8>> = redis::cmd("HGET")
            .arg(&self.keys.unacked)
            .arg(tag)
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        // A Python worker gave it back already: only our lease is left.
        let raw = held.as_deref().map(|held| envelope_of(held, queue));
        let place = raw.map(|raw| {
            let mut envelope = Envelope::read(raw);
            envelope.ours.deliveries = envelope.ours.deliveries.saturating_add(1);
            self.keys.place(queue, &envelope, None)
        });
        let place = place.unwrap_or_else(|| self.keys.nowhere());
        script::RESTORE
            .key(&self.keys.unacked)
            .key(&self.keys.unacked_index)
            .key(self.keys.leases(queue))
            .key(place.key)
            .arg(tag)
            .arg(now)
            .arg(place.member)
            .invoke_async::<()>(&mut self.server.shared())
            .await
            .map_err(trouble)
    }
}

/// Cuts the envelope out of what stands in kombu's `unacked`, which the script
/// wrote around it.
fn envelope_of<'a>(held: &'a [u8], queue: &str) -> &'a [u8] {
    let end = super::take::ending(queue);
    let inner = held.strip_prefix(b"[").unwrap_or(held);
    inner.strip_suffix(end.as_bytes()).unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_cut_out_of_what_the_script_wrote_around_it() {
        assert_eq!(
            envelope_of(br#"[{"a": "]"}, "", "q\"x"]"#, "q\"x"),
            br#"{"a": "]"}"#
        );
        assert_eq!(envelope_of(b"junk", "q"), b"junk");
    }
}
