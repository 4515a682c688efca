//! Moments, exceptions and retries in a few words.

use crate::task::Exception;
use crate::telemetry::human;
use jiff::Timestamp;
use std::time::Duration;

/// An exception in one line.
pub(super) fn raised(exception: &Exception) -> String {
    let text = exception.message.lines().next().unwrap_or_default();
    match text {
        "" => exception.class.clone(),
        text => format!("{}: {text}", exception.class),
    }
}

/// Shows a moment to come, and how far off it is.
pub(super) fn due(now: Timestamp, until: Timestamp) -> String {
    let span = Duration::from_secs(between(now, until).as_secs());
    match span.is_zero() {
        true => format!("{} (now)", clock(now, until)),
        false => format!("{} (in {})", clock(now, until), human::span(span)),
    }
}

/// Returns the time between two moments, none where the second is the earlier.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Shows a moment: of today without its date.
pub(super) fn clock(now: Timestamp, moment: Timestamp) -> String {
    let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
    match day(now) == day(moment) {
        true => moment.strftime("%H:%M:%S UTC").to_string(),
        false => moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    }
}

/// Says which retry it is, and of how many.
pub(super) fn counted(number: u64, most: Option<u32>) -> String {
    match most {
        Some(most) => format!("retry {number} of {most}"),
        None => format!("retry {number}"),
    }
}
