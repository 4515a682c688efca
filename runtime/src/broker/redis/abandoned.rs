//! Giving back what a Python worker took and lost, as kombu does it: under kombu's
//! lock, at kombu's pace, and never before kombu's time is over.
//!
//! What we took has a lease and comes back with it alone, however old it is.

use super::{BrokerError, Inner, keys, script, take, trouble};
use crate::celery::envelope::{Envelope, foreign, redelivered};
use crate::clock::before;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use uuid::Uuid;

/// Pause between two looks, milliseconds (100 s): every tenth round of kombu's ten
/// seconds.
const EVERY: i64 = 100_000;
/// How long the lock holds should its holder die, milliseconds (300 s), as kombu's.
const LOCKED: u64 = 300_000;
/// Most that is read at once.
const PAGE: usize = 100;
/// Most that one look reads, so that others get the lock; what is left comes with
/// the next look.
const MOST: usize = 10_000;

/// When what was abandoned was last looked for, milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicI64);

/// One entry of kombu's `unacked`.
pub(super) struct Entry {
    envelope: Value,
    exchange: String,
    pub(super) routing_key: String,
}

/// Gives back what Python workers abandoned, if it is time to look for it. The look
/// goes on when its caller goes away, so that the lock is always released.
pub(super) async fn restore(inner: &Arc<Inner>) -> Result<(), BrokerError> {
    let now = inner.now().as_millisecond();
    if now.saturating_sub(inner.looked.0.load(Ordering::Relaxed)) < EVERY {
        return Ok(());
    }
    take::apart(
        inner,
        |inner| async move { inner.restore_abandoned().await },
    )
    .await?;
    inner.looked.0.store(now, Ordering::Relaxed);
    Ok(())
}

impl Inner {
    async fn restore_abandoned(&self) -> Result<(), BrokerError> {
        let mut server = self.server.shared();
        let token = Uuid::new_v4().to_string();
        let lock: Option<String> = redis::cmd("SET")
            .arg(&self.keys.mutex)
            .arg(&token)
            .arg("NX")
            .arg("PX")
            .arg(LOCKED)
            .query_async(&mut server)
            .await
            .map_err(trouble)?;
        if lock.is_none() {
            // Another worker is at it.
            return Ok(());
        }
        let restored = self.restore_older().await;
        let released = script::RELEASE
            .key(&self.keys.mutex)
            .arg(token)
            .invoke_async::<()>(&mut server)
            .await;
        restored?;
        released.map_err(trouble)
    }

    async fn restore_older(&self) -> Result<(), BrokerError> {
        let oldest = keys::seconds(before(self.now(), self.settings.visibility_timeout));
        let (mut read, mut left) = (0, 0);
        while read < MOST {
            // The newest first, so that the oldest is pushed last and served first.
            let tags: Vec<String> = redis::cmd("ZRANGE")
                .arg(&self.keys.unacked_index)
                .arg(&oldest)
                .arg("-inf")
                .arg("BYSCORE")
                .arg("REV")
                .arg("LIMIT")
                .arg(left)
                .arg(PAGE)
                .query_async(&mut self.server.shared())
                .await
                .map_err(trouble)?;
            if tags.is_empty() {
                break;
            }
            read += tags.len();
            for tag in &tags {
                left += usize::from(!self.restore_one(tag, &oldest).await?);
            }
        }
        Ok(())
    }

    /// Gives one back, and tells whether it is gone from the index.
    async fn restore_one(&self, tag: &str, oldest: &str) -> Result<bool, BrokerError> {
        let held: Option<Vec<u8>> = redis::cmd("HGET")
            .arg(&self.keys.unacked)
            .arg(tag)
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        let mut restore = script::ABANDONED.prepare_invoke();
        restore
            .key(&self.keys.unacked)
            .key(&self.keys.unacked_index);
        restore.arg(tag).arg(oldest);
        if let Some(held) = held {
            // What cannot be read is not thrown away: it waits for a person.
            let Some(entry) = Entry::read(&held) else {
                return Ok(false);
            };
            let queues = self.queues_of(&entry).await?;
            if queues.is_empty() {
                return Ok(false);
            }
            let text = entry.restored();
            let envelope = Envelope::read(text.as_bytes());
            restore.arg(text);
            for queue in queues {
                restore.key(self.keys.leases(&queue));
                restore.key(self.keys.list_of(&queue, &envelope));
            }
        }
        restore
            .invoke_async(&mut self.server.shared())
            .await
            .map_err(trouble)
    }

    /// The queues that a message came through: the one named by the routing key, or
    /// those bound to the exchange with that very key. Patterns are left to Python
    /// workers, which know the type of the exchange.
    pub(super) async fn queues_of(&self, entry: &Entry) -> Result<Vec<String>, BrokerError> {
        if entry.exchange.is_empty() {
            return Ok(vec![entry.routing_key.clone()]);
        }
        let bindings: Vec<String> = redis::cmd("SMEMBERS")
            .arg(self.keys.bindings(&entry.exchange))
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        let bound = |binding: &String| keys::bound(binding, &entry.routing_key).map(str::to_owned);
        Ok(bindings.iter().filter_map(bound).collect())
    }
}

impl Entry {
    /// Reads `[envelope, exchange, routing key]`.
    pub(super) fn read(held: &[u8]) -> Option<Self> {
        let (envelope, exchange, routing_key): (&RawValue, Option<String>, String) =
            serde_json::from_slice(held).ok()?;
        Some(Self {
            envelope: foreign(envelope)?,
            exchange: exchange.unwrap_or_default(),
            routing_key,
        })
    }

    /// Returns the envelope as it was written.
    pub(super) fn text(&self) -> String {
        self.envelope.to_string()
    }

    /// Returns the envelope as kombu writes it again.
    fn restored(&self) -> String {
        redelivered(self.envelope.clone()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_is_restored_with_both_flags_of_kombu_and_nothing_else_changed() {
        let held = br#"[{"body": "W10=", "headers": {"id": "i", "x": [1, null]},
            "properties": {"delivery_tag": "d", "delivery_info": {"exchange": "", "routing_key": "q"}}},
            "", "q"]"#;
        let entry = Entry::read(held).unwrap();
        assert_eq!(entry.routing_key, "q");
        let restored: Value = serde_json::from_str(&entry.restored()).unwrap();
        assert_eq!(
            restored,
            json!({
                "body": "W10=", "headers": {"id": "i", "x": [1, null], "redelivered": true},
                "properties": {"delivery_tag": "d", "delivery_info":
                    {"exchange": "", "routing_key": "q", "redelivered": true}},
            })
        );
    }

    #[test]
    fn what_is_no_entry_is_left_alone() {
        for held in [
            &b""[..],
            b"\xff",
            b"{}",
            b"[]",
            br#"[{}, ""]"#,
            br#"[{}, "", 7]"#,
            br#"["text", "", "q"]"#,
            &[b'['; 100_000],
        ] {
            assert!(Entry::read(held).is_none(), "{held:?}");
        }
    }
}
