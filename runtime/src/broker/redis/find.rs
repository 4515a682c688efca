//! Finding the message of a task: by going through the keys of each queue, in the order
//! in which a worker would.
//!
//! The server looks for the text of the id, so that only messages that have it travel.

use super::abandoned::Entry;
use super::{BrokerError, Inner, script, trouble};
use crate::broker::{Found, LOOKED_AT, Looked, Place, Reach, is_of};
use crate::celery::envelope::Envelope;
use jiff::Timestamp;

/// Most messages that one script looks at, so that it stays short.
const PAGE: usize = 1_000;
/// Most bytes that one script looks at (64 MiB); a single message always fits.
const BYTES: usize = 64 << 20;

/// What kind of key it is, and from which end it is read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A list whose end is served first.
    List,
    /// A list whose head is the newest.
    Dead,
    /// A sorted set, the lowest score first.
    Parked,
    /// Kombu's `unacked`, the newest first.
    Held,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Dead => "dead",
            Self::Parked => "parked",
            Self::Held => "held",
        }
    }
}

/// A message that has the text of the id somewhere.
struct Hit {
    /// Its place in the key, from 0.
    place: usize,
    raw: Vec<u8>,
    /// The score, or the tag of what is held.
    note: String,
}

/// Looks through some queues.
pub(super) async fn look(
    inner: &Inner,
    id: &str,
    queues: &[String],
) -> Result<Looked, BrokerError> {
    let search = Search {
        inner,
        id,
        needles: needles(id),
    };
    let mut longer = Vec::new();
    let mut dead = None;
    let mut found = search.held(&mut longer).await?;
    for queue in queues {
        if found.is_some() {
            break;
        }
        let mut left = LOOKED_AT;
        found = search.waiting(queue, &mut left).await?;
        if found.is_none() {
            found = search.parked(queue, &mut left).await?;
        }
        if found.is_none() && dead.is_none() {
            dead = search.dead(queue).await?;
        }
        if left == 0 {
            longer.push(queue.clone());
        }
    }
    let queues = queues.to_vec();
    let reach = match longer.is_empty() {
        true => Reach::All(queues),
        false => Reach::Part { queues, longer },
    };
    let found = found.or(dead);
    Ok(Looked { found, reach })
}

/// How an id stands in an envelope, as Python writes JSON and as we do.
fn needles(id: &str) -> [String; 4] {
    let id = serde_json::Value::from(id);
    [
        format!("\"id\": {id}"),
        format!("\"id\":{id}"),
        format!("\"correlation_id\": {id}"),
        format!("\"correlation_id\":{id}"),
    ]
}

struct Search<'a> {
    inner: &'a Inner,
    id: &'a str,
    needles: [String; 4],
}

impl Search<'_> {
    /// Looks at what workers hold, whatever the queue.
    async fn held(&self, longer: &mut Vec<String>) -> Result<Option<Found>, BrokerError> {
        let keys = &self.inner.keys;
        let (mut at, mut left) = (0, LOOKED_AT);
        while let Some(hit) = self
            .next(
                Kind::Held,
                [&keys.unacked_index, &keys.unacked],
                at,
                &mut left,
            )
            .await?
        {
            at = hit.place + 1;
            let Some(entry) = Entry::read(&hit.raw) else {
                continue;
            };
            let message = Envelope::read(entry.text().as_bytes()).message;
            if !is_of(&message, self.id) {
                continue;
            }
            let queue = self.inner.queues_of(&entry).await?.into_iter().next();
            let queue = queue.unwrap_or_else(|| entry.routing_key.clone());
            let until = self.lease(&queue, &hit.note).await?;
            return Ok(Some(Found {
                place: match until {
                    Some(until) if until <= self.inner.now() => Place::Ready { ahead: 0 },
                    until => Place::Leased { until },
                },
                queue,
                message,
            }));
        }
        if left == 0 {
            longer.push(keys.unacked.clone());
        }
        Ok(None)
    }

    async fn waiting(&self, queue: &str, left: &mut usize) -> Result<Option<Found>, BrokerError> {
        let mut before = 0;
        for list in self.inner.keys.lists(queue) {
            let begin = *left;
            let mut at = 0;
            while let Some(hit) = self.next(Kind::List, [&list, &list], at, left).await? {
                at = hit.place + 1;
                let message = Envelope::read(&hit.raw).message;
                if is_of(&message, self.id) {
                    let ahead = u64::try_from(before + hit.place).unwrap_or(u64::MAX);
                    return Ok(Some(Found {
                        queue: queue.to_owned(),
                        place: Place::Ready { ahead },
                        message,
                    }));
                }
            }
            before += begin - *left;
        }
        Ok(None)
    }

    async fn parked(&self, queue: &str, left: &mut usize) -> Result<Option<Found>, BrokerError> {
        let key = self.inner.keys.parked(queue);
        let mut at = 0;
        while let Some(hit) = self.next(Kind::Parked, [&key, &key], at, left).await? {
            at = hit.place + 1;
            // Before the envelope are a name and the step of its priority.
            let raw = hit.raw.get(33..).unwrap_or_default();
            let message = Envelope::read(raw).message;
            if is_of(&message, self.id) {
                let until = moment(&hit.note);
                return Ok(Some(Found {
                    queue: queue.to_owned(),
                    place: match until <= self.inner.now() {
                        true => Place::Ready { ahead: 0 },
                        false => Place::Parked { until },
                    },
                    message,
                }));
            }
        }
        Ok(None)
    }

    async fn dead(&self, queue: &str) -> Result<Option<Found>, BrokerError> {
        let key = self.inner.keys.dead(queue);
        let (mut at, mut left) = (0, LOOKED_AT);
        while let Some(hit) = self.next(Kind::Dead, [&key, &key], at, &mut left).await? {
            at = hit.place + 1;
            let Envelope { message, ours } = Envelope::read(&hit.raw);
            if is_of(&message, self.id) {
                let died_at = ours.died_at.map(Timestamp::from_millisecond);
                return Ok(Some(Found {
                    queue: queue.to_owned(),
                    place: Place::Dead {
                        reason: ours.reason.unwrap_or_default(),
                        died_at: died_at.and_then(Result::ok).unwrap_or_default(),
                    },
                    message,
                }));
            }
        }
        Ok(None)
    }

    /// Returns the next message from a place on that has the text of the id; at most
    /// `left` are looked at, and that becomes less.
    async fn next(
        &self,
        kind: Kind,
        keys: [&str; 2],
        mut at: usize,
        left: &mut usize,
    ) -> Result<Option<Hit>, BrokerError> {
        while *left > 0 {
            let mut find = script::FIND.prepare_invoke();
            find.key(keys[0]).key(keys[1]);
            find.arg(kind.word())
                .arg(at)
                .arg((*left).min(PAGE))
                .arg(BYTES);
            for needle in &self.needles {
                find.arg(needle);
            }
            let (seen, raw, note): (usize, Option<Vec<u8>>, Option<String>) = find
                .invoke_async(&mut self.inner.server.shared())
                .await
                .map_err(trouble)?;
            *left -= seen.min(*left);
            at += seen;
            if let Some(raw) = raw {
                return Ok(Some(Hit {
                    place: at.saturating_sub(1),
                    raw,
                    note: note.unwrap_or_default(),
                }));
            }
            if seen == 0 {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Returns until when one of ours holds what has this tag.
    async fn lease(&self, queue: &str, tag: &str) -> Result<Option<Timestamp>, BrokerError> {
        let score: Option<String> = redis::cmd("ZSCORE")
            .arg(self.inner.keys.leases(queue))
            .arg(tag)
            .query_async(&mut self.inner.server.shared())
            .await
            .map_err(trouble)?;
        Ok(score.as_deref().map(moment))
    }
}

/// Reads a score: milliseconds since 1970.
fn moment(score: &str) -> Timestamp {
    let milliseconds = score.parse::<f64>().ok();
    let span = milliseconds.map(|ms| jiff::SignedDuration::try_from_secs_f64(ms / 1e3));
    let since = span.and_then(Result::ok).unwrap_or_default();
    Timestamp::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_a_moment() {
        let text = |score| moment(score).to_string();
        assert_eq!(text("1790000000250"), "2026-09-21T14:13:20.25Z");
        assert_eq!(text("1.79e12"), "2026-09-21T14:13:20Z");
        assert_eq!(text("junk"), "1970-01-01T00:00:00Z");
        assert_eq!(moment("1e300"), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn an_id_is_looked_for_as_it_stands_in_json() {
        assert_eq!(needles("a\"b")[1], r#""id":"a\"b""#);
    }
}
