//! Celery's formats: what is on the wire. No I/O, no decisions.

pub mod envelope;
pub mod message;
pub mod request;
pub mod result;

pub use message::{Message, Properties};
pub use request::{Malformed, Request, TaskCall};

use jiff::Timestamp;

/// Writes a moment as Python's `isoformat` does.
pub(crate) fn iso(moment: Timestamp) -> String {
    let moment = moment.to_zoned(jiff::tz::TimeZone::UTC);
    moment.strftime("%Y-%m-%dT%H:%M:%S%.f+00:00").to_string()
}
