//! Moments and spans as Celery's command line takes them.

use super::exit::Problem;
use crate::clock::after;
use crate::config::units;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::Duration;

/// Longest span that can be named (100 years).
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a span: seconds as in Celery (`2.5`), or with a unit (`30s`).
pub(crate) fn span(flag: &str, text: &str) -> Result<Duration, Problem> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .or_else(|| units::duration(text).ok())
        .filter(|span| *span <= LONGEST)
        .ok_or_else(|| Problem::usage(format!("{flag} is {text:?}; seconds or a time are wanted, such as 10, 0.5, \"30s\" or \"1h\"")))
}

/// Reads a moment in ISO 8601; without an offset it is UTC, as in Celery.
pub(crate) fn moment(flag: &str, text: &str) -> Result<Timestamp, Problem> {
    let utc = |date: DateTime| {
        date.to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .ok_or_else(|| {
            Problem::usage(format!(
                "{flag} is {text:?}; a moment is wanted, such as 2030-01-31T14:05:00Z"
            ))
        })
}

/// Reads a moment, or a span from `now`.
pub(crate) fn moment_or_span(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    match moment(flag, text) {
        Ok(moment) => Ok(moment),
        Err(_) => span(flag, text).map(|span| after(now, span)).map_err(|_| {
            Problem::usage(format!("{flag} is {text:?}; a moment (2030-01-31T14:05:00Z) or seconds (60, \"10m\") are wanted"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_seconds_or_have_a_unit() {
        for (text, ms) in [
            ("10", 10_000),
            ("0.5", 500),
            ("30s", 30_000),
            ("1h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(
                span("--countdown", text).unwrap(),
                Duration::from_millis(ms)
            );
        }
        for bad in ["-1", "soon", "", "1e99", "NaN", "inf"] {
            let error = span("--countdown", bad).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("--countdown is {bad:?}")),
                "{error}"
            );
        }
    }

    #[test]
    fn moments_are_utc_unless_they_say_otherwise() {
        let expected: Timestamp = "2030-01-31T14:05:00Z".parse().unwrap();
        for text in [
            "2030-01-31T14:05:00Z",
            "2030-01-31T15:05:00+01:00",
            "2030-01-31T14:05:00",
            "2030-01-31 14:05",
        ] {
            assert_eq!(moment("--eta", text).unwrap(), expected, "{text}");
        }
        assert!(moment("--eta", "tomorrow").is_err());
        assert_eq!(
            moment_or_span("--expires", "60", expected)
                .unwrap()
                .to_string(),
            "2030-01-31T14:06:00Z"
        );
        assert!(moment_or_span("--expires", "later", expected).is_err());
    }
}
