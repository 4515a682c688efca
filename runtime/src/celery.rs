//! Celery's formats: what is on the wire. No I/O, no decisions.

mod base64;
pub mod body;
pub mod broadcast;
pub mod compression;
pub mod envelope;
pub mod event;
pub mod message;
pub mod pidbox;
pub mod repr;
pub mod request;
pub mod result;
pub mod stamps;

pub use message::{Message, Properties};
pub use request::{CallError, Malformed, Request, TaskCall};

use jiff::Timestamp;

/// Writes a moment as Python's `isoformat` does: with microseconds, or without
/// a fraction when there are none.
pub(crate) fn iso(moment: Timestamp) -> String {
    let form = match moment.subsec_microsecond() {
        0 => "%Y-%m-%dT%H:%M:%S+00:00",
        _ => "%Y-%m-%dT%H:%M:%S%.6f+00:00",
    };
    let moment = moment.to_zoned(jiff::tz::TimeZone::UTC);
    moment.strftime(form).to_string()
}
