//! Publishing: to a queue, or to the list of a caller.

use super::{BrokerError, Inner, Outgoing, keys, script, trouble};
use crate::celery::Message;
use crate::celery::envelope::{Envelope, Ours};
use std::time::Duration;

/// Most messages that one script publishes, so that it stays short.
const PUBLISHED: usize = 100;
/// How much longer than its delay a key is remembered (1 day), should its message
/// be lost with the database.
const KEY_KEPT: Duration = Duration::from_secs(86_400);

/// Publishes messages in their order, a script for some of them at a time.
pub(super) async fn publish(inner: &Inner, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
    Outgoing::check(&messages)?;
    let mut rest = messages.into_iter().peekable();
    while rest.peek().is_some() {
        let some = rest.by_ref().take(PUBLISHED).collect();
        publish_some(inner, some).await?;
    }
    Ok(())
}

/// Publishes as many as one script may, each unless its key is taken.
async fn publish_some(inner: &Inner, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
    let now = inner.now();
    let mut publish = script::PUBLISH.prepare_invoke();
    publish.key(&inner.keys.queues);
    for outgoing in messages {
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
        let place = inner.keys.place(&queue, &envelope, due);
        publish
            .key(place.key)
            .key(inner.keys.marker(key.as_deref().unwrap_or_default()))
            .arg(place.score)
            .arg(place.member)
            .arg(queue)
            .arg(if key.is_some() { kept } else { 0 });
    }
    publish
        .invoke_async::<()>(&mut inner.server.shared())
        .await
        .map_err(trouble)
}

/// Sends to a list of a caller; where the name is one of ours, nowhere.
pub(super) async fn reply(inner: &Inner, to: &str, message: Message) -> Result<(), BrokerError> {
    let envelope = Envelope {
        message,
        ours: Ours::default(),
    };
    if keys::is_taken(to) {
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
