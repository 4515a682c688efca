//! How fast tasks of one type may start, as Celery writes it.

use std::fmt;
use std::time::Duration;

/// Longest time between two starts (365 days): a longer one is a slip of the pen.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// Shortest time between two starts (1 µs): no worker is faster.
const SHORTEST: Duration = Duration::from_micros(1);
/// How many tasks of one type start in a time: `10/s`, `100/m`, `0.5/h`, or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    text: String,
    interval: Duration,
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// It begins with no number.
    #[error("{0:?} is no rate; write a number, or one for each \"/s\", \"/m\" or \"/h\"")]
    Number(String),
    /// Its unit is none.
    #[error("the unit of a rate is \"s\", \"m\" or \"h\", not {0:?}")]
    Unit(String),
    /// It is too fast or too slow.
    #[error("the rate {0:?} is out of range; one start in a year to a million in a second")]
    Range(String),
}

impl Rate {
    /// Reads a rate as Celery writes it; zero and nothing are no limit.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Option<Self>, RateError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit {
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            other => return Err(RateError::Unit(other.to_owned())),
        };
        let number: f64 = match number.trim().parse() {
            Ok(number) => number,
            Err(_) => return Err(RateError::Number(text.to_owned())),
        };
        if number == 0.0 {
            return Ok(None);
        }
        let range = || RateError::Range(text.to_owned());
        let interval = Duration::try_from_secs_f64(seconds / number).map_err(|_| range())?;
        if !(SHORTEST..=LONGEST).contains(&interval) {
            return Err(range());
        }
        Ok(Some(Self {
            text: text.to_owned(),
            interval,
        }))
    }

    /// Returns the time between two starts.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whose starts are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateScope {
    /// Those of each worker, as with Celery.
    #[default]
    Worker,
    /// Those of all workers on the same Redis.
    Cluster,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_celery_reads_them() {
        for (text, micros) in [
            ("10/s", 100_000),
            ("100/m", 600_000),
            ("5/h", 720_000_000),
            ("0.5/s", 2_000_000),
            ("2", 500_000),
            (" 4/", 250_000),
            ("1e3/s", 1_000),
        ] {
            let rate = Rate::parse(text).unwrap().unwrap();
            assert_eq!(rate.interval(), Duration::from_micros(micros), "{text}");
            assert_eq!(rate.to_string(), text.trim());
        }
        for text in ["", "0", "0/m", " "] {
            assert_eq!(Rate::parse(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_a_reason() {
        for (text, words) in [
            ("ten/s", "\"ten/s\" is no rate"),
            ("10/y", "\"s\", \"m\" or \"h\", not \"y\""),
            ("-1/s", "out of range"),
            ("inf", "out of range"),
            ("nan", "out of range"),
            ("1e9/s", "out of range"),
            ("1e-9/h", "out of range"),
        ] {
            let error = Rate::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
