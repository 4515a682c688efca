//! Step a, decode: bytes become a request, or a dead letter with a reason.

use super::leave::Left;
use crate::broker::{BODY_BYTES, Delivery};
use crate::celery::{Malformed, Request};
use crate::task::Exception;
use jiff::tz::TimeZone;

/// Reads the message of a delivery; moments without an offset are of `zone`.
pub(super) fn decode(delivery: Delivery, zone: &TimeZone) -> Result<(Delivery, Request), Left> {
    let bytes = delivery.message.body.len() as u64;
    let read = if bytes > BODY_BYTES {
        Err(too_large(&delivery, bytes))
    } else {
        Request::decode_in(&delivery.message, zone)
    };
    match read {
        Ok(request) => Ok((delivery, request)),
        Err(malformed) => Err(Left::Unreadable {
            delivery: Box::new(delivery),
            malformed: Box::new(malformed),
        }),
    }
}

fn too_large(delivery: &Delivery, bytes: u64) -> Malformed {
    let reason = format!("the body has {bytes} bytes; at most {BODY_BYTES} are accepted");
    let headers_only = crate::celery::Message {
        body: bytes::Bytes::new(),
        ..delivery.message.clone()
    };
    Malformed {
        exception: Exception::new("celeriac", "LimitExceeded", reason.clone()),
        reason,
        caller: Request::decode(&headers_only)
            .err()
            .and_then(|malformed| malformed.caller),
    }
}
