//! How modules, tasks and records look in text.

mod modules;
mod records;

pub(crate) use modules::{MENTIONED, asked, more, signature, task_names, tasks};
pub(crate) use records::{carried, document, log, record, used, used_grant, warnings};

use crate::registry::Digest;
use crate::telemetry::human;
use jiff::Timestamp;
use std::time::Duration;

/// Shows the beginning of a digest.
pub(crate) fn digest(digest: &Digest) -> String {
    format!(
        "sha256:{}…",
        digest.hex().chars().take(8).collect::<String>()
    )
}

/// Shows how long ago a moment was.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    let span = Duration::try_from(now.duration_since(then)).unwrap_or_default();
    match span.as_secs() {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", human::span(Duration::from_secs(seconds))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_by_their_age() {
        let then = Timestamp::UNIX_EPOCH;
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(ago(after(0), then), "just now");
        assert_eq!(ago(after(5), then), "5 s ago");
        assert_eq!(ago(after(192), then), "3 min 12 s ago");
        assert_eq!(ago(then, after(9)), "just now");
    }
}
