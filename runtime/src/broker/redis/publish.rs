//! Publishing: to a queue, or to the list of a caller.

use super::keys::Place;
use super::{BrokerError, Inner, Outgoing, SYSTEM, script, trouble};
use crate::celery::Message;
use crate::celery::envelope::{Envelope, Ours};
use crate::task::{RESERVED_QUEUES, is_reserved_queue};
use jiff::Timestamp;
use std::time::Duration;

/// Most messages that one script publishes, so that it stays short.
const PUBLISHED: usize = 100;
/// How much longer than its delay a key is remembered (1 day), should its message
/// be lost with the database.
const KEY_KEPT: Duration = Duration::from_secs(86_400);

/// Publishes messages in their order, a script for some of them at a time.
pub(super) async fn publish(inner: &Inner, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
    Outgoing::check(&messages)?;
    if let Some(taken) = messages.iter().find(|one| is_reserved_queue(&one.queue)) {
        return Err(BrokerError::Misconfigured {
            system: SYSTEM,
            reason: format!(
                "no queue can be called {:?}; choose a name that does not begin with {}",
                taken.queue,
                RESERVED_QUEUES.join(" or ")
            ),
        });
    }
    let mut rest = messages.into_iter().peekable();
    while rest.peek().is_some() {
        let some = rest.by_ref().take(PUBLISHED).collect();
        publish_some(inner, some).await?;
    }
    Ok(())
}

/// A message as it is written.
struct Written {
    place: Place,
    queue: String,
    /// What it is not published twice for, and how long that is remembered, milliseconds.
    key: Option<(String, u64)>,
}

/// Publishes as many as one script may, each unless its key is taken.
async fn publish_some(inner: &Inner, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
    let now = inner.now();
    let messages = messages.into_iter().map(|one| write(inner, one, now));
    let messages: Vec<Written> = messages.collect();
    // A script copies what it is given twice, and the rest of a long chain is large.
    let is_plain = messages.iter().all(|message| message.key.is_none());
    let mut server = inner.server.shared();
    let published = match is_plain {
        true => {
            plainly(inner, messages)
                .query_async::<()>(&mut server)
                .await
        }
        false => {
            by_script(inner, messages)
                .invoke_async::<()>(&mut server)
                .await
        }
    };
    published.map_err(trouble)
}

fn write(inner: &Inner, outgoing: Outgoing, now: Timestamp) -> Written {
    let Outgoing {
        queue,
        message,
        due,
        key,
    } = outgoing;
    let due = due.filter(|due| *due > now);
    let span = due.map_or(Duration::ZERO, |due| {
        Duration::try_from(due.duration_since(now)).unwrap_or_default()
    });
    let kept = u64::try_from((span + KEY_KEPT).as_millis()).unwrap_or(u64::MAX);
    let envelope = Envelope {
        message,
        ours: Ours {
            ready_at: Some(due.unwrap_or(now).as_millisecond()),
            key: key.clone(),
            ..Ours::default()
        },
    };
    Written {
        place: inner.keys.place(&queue, &envelope, due),
        queue,
        key: key.map(|key| (inner.keys.marker(&key), kept)),
    }
}

/// Messages without keys, in one transaction: nobody sees some of them. Redis does not take
/// back what stood beside a command that failed.
fn plainly(inner: &Inner, messages: Vec<Written>) -> redis::Pipeline {
    let mut publish = redis::pipe();
    publish.atomic();
    for Written { place, queue, .. } in messages {
        match place.score {
            0 => publish.cmd("LPUSH").arg(place.key).arg(place.member),
            score => publish
                .cmd("ZADD")
                .arg(place.key)
                .arg(score)
                .arg(place.member),
        };
        publish.ignore();
        publish.sadd(&inner.keys.queues, queue).ignore();
    }
    publish
}

fn by_script(inner: &Inner, messages: Vec<Written>) -> redis::ScriptInvocation<'static> {
    let mut publish = script::PUBLISH.prepare_invoke();
    publish.key(&inner.keys.queues);
    for Written { place, queue, key } in messages {
        let (marker, kept) = key.unwrap_or_else(|| (inner.keys.marker(""), 0));
        publish
            .key(place.key)
            .key(marker)
            .arg(place.score)
            .arg(place.member)
            .arg(queue)
            .arg(kept);
    }
    publish
}

/// Sends to a list of a caller; where the name is one of ours, nowhere.
pub(super) async fn reply(inner: &Inner, to: &str, message: Message) -> Result<(), BrokerError> {
    let envelope = Envelope {
        message,
        ours: Ours::default(),
    };
    if is_reserved_queue(to) {
        return Ok(());
    }
    let [list, ..] = inner.keys.lists(to);
    let sent = redis::cmd("LPUSH")
        .arg(list)
        .arg(envelope.write(to))
        .query_async::<()>(&mut inner.server.shared())
        .await;
    match sent {
        // The name is the caller's choice: what is no list there is no queue.
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(()),
        sent => sent.map_err(trouble),
    }
}
