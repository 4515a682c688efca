//! Step a, decode: bytes become a request, or a dead letter with a reason.

use super::admit;
use super::leave::Left;
use crate::broker::{BODY_BYTES, Delivery};
use crate::celery::body::is_plain;
use crate::celery::{Malformed, Message, Request};
use crate::defence::{Defence, stands};
use crate::registry::{Kill, Loaded};
use crate::task::{Accept, Exception, Format};
use crate::worker::crew::Crew;
use serde_json::Value;
use std::sync::Arc;

/// Reads the message of a delivery. A body that is not JSON as it stands is turned
/// into that where guests run: it may take as long as one.
pub(super) async fn decode(crew: &Crew, delivery: Delivery) -> Result<(Delivery, Request), Left> {
    let bytes = delivery.message.body.len() as u64;
    let read = if bytes > BODY_BYTES && stands(Defence::Fetched) {
        Err(too_large(&delivery, bytes))
    } else if is_plain(&delivery.message) {
        let settings = &crew.settings;
        Request::decode_in(&delivery.message, &settings.timezone, &settings.accept)
    } else {
        match accepted(crew, &delivery.message).await {
            Ok(accept) => translated(crew, delivery.message.clone(), accept).await,
            Err(Unread::Waits) => return Err(admit::waits(crew, delivery)),
            Err(Unread::Held(kill)) => return Err(Left::held(crew, delivery, &kill)),
            Err(Unread::GivenUp(given_up)) => Err(*given_up),
        }
    };
    match read {
        Ok(request) => Ok((delivery, request)),
        Err(malformed) => Err(Left::Unreadable {
            delivery: Box::new(delivery),
            malformed: Box::new(malformed),
        }),
    }
}

/// Why it is not known whether a message is accepted.
enum Unread {
    /// Its code cannot be loaded just now.
    Waits,
    /// Its task is held.
    Held(Arc<Kill>),
    /// Its code cannot be loaded, for too long already.
    GivenUp(Box<Malformed>),
}

/// What is accepted of a message: where its format is not one of ours, its task may be
/// one that reads it.
async fn accepted(crew: &Crew, message: &Message) -> Result<Accept, Unread> {
    let accept = crew.settings.accept.clone();
    let content_type = message.content_type.as_str();
    let name = message.headers.get("task").and_then(Value::as_str);
    let Some(name) = name.filter(|_| Format::of(content_type).is_none()) else {
        return Ok(accept);
    };
    if let Some(kill) = admit::killed(crew, name).filter(|kill| kill.hold) {
        return Err(Unread::Held(kill));
    }
    let reads = |code: Arc<Loaded>| code.task.accepted().any(|one| one == content_type);
    match admit::code(crew, name, None).await {
        Ok(code) => Ok(match code.is_some_and(reads) {
            true => accept.and_unread(content_type),
            false => accept,
        }),
        Err(error) => Err(match admit::may_wait(crew, name, &error) {
            Ok(()) => Unread::Waits,
            Err(given_up) => Unread::GivenUp(Box::new(Malformed {
                caller: caller(&without_body(message)),
                ..given_up
            })),
        }),
    }
}

async fn translated(crew: &Crew, message: Message, accept: Accept) -> Result<Request, Malformed> {
    let zone = crew.settings.timezone.clone();
    let headers = without_body(&message);
    let mut running = crew
        .floor
        .guests
        .run(async move { Request::decode_in(&message, &zone, &accept) });
    match running.end().await {
        Ok(read) => read,
        Err(error) => {
            tracing::error!(%error, "the host panicked while it read a message; this is a bug, please report it");
            let reason = format!("the {} body cannot be read", headers.content_type);
            Err(Malformed {
                exception: Exception::new("kombu.exceptions", "DecodeError", reason.clone()),
                reason,
                caller: caller(&headers),
            })
        }
    }
}

fn too_large(delivery: &Delivery, bytes: u64) -> Malformed {
    let reason = format!("the body has {bytes} bytes; at most {BODY_BYTES} are accepted (fixed)");
    Malformed {
        exception: Exception::new("celeriac", "LimitExceeded", reason.clone()),
        reason,
        caller: caller(&without_body(&delivery.message)),
    }
}

/// Who waits for a message, as far as its headers tell.
fn caller(headers: &Message) -> Option<(crate::task::TaskId, String)> {
    let read = Request::decode(headers).err();
    read.and_then(|malformed| malformed.caller)
}

fn without_body(message: &Message) -> Message {
    Message {
        body: bytes::Bytes::new(),
        ..message.clone()
    }
}
