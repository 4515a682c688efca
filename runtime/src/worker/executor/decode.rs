//! Step a, decode: bytes become a request, or a dead letter with a reason.

use super::leave::Left;
use crate::broker::{BODY_BYTES, Delivery};
use crate::celery::body::is_plain;
use crate::celery::{Malformed, Message, Request};
use crate::task::Exception;
use crate::worker::crew::Crew;

/// Reads the message of a delivery. A body that is not JSON as it stands is turned
/// into that where guests run: it may take as long as one.
pub(super) async fn decode(crew: &Crew, delivery: Delivery) -> Result<(Delivery, Request), Left> {
    let bytes = delivery.message.body.len() as u64;
    let read = if bytes > BODY_BYTES {
        Err(too_large(&delivery, bytes))
    } else if is_plain(&delivery.message) {
        let settings = &crew.settings;
        Request::decode_in(&delivery.message, &settings.timezone, &settings.accept)
    } else {
        translated(crew, delivery.message.clone()).await
    };
    match read {
        Ok(request) => Ok((delivery, request)),
        Err(malformed) => Err(Left::Unreadable {
            delivery: Box::new(delivery),
            malformed: Box::new(malformed),
        }),
    }
}

async fn translated(crew: &Crew, message: Message) -> Result<Request, Malformed> {
    let (zone, accept) = (crew.settings.timezone.clone(), crew.settings.accept.clone());
    let headers = without_body(&message);
    let mut running = crew
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
    let reason = format!("the body has {bytes} bytes; at most {BODY_BYTES} are accepted");
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
