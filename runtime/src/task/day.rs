//! Days of UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Seconds of a day.
const SECONDS: i64 = 86_400;
/// The days that can be written, from 0000-01-01 to 9999-12-30: a moment after the last one
/// could not be.
const WRITTEN: std::ops::RangeInclusive<i64> = -719_528..=2_932_895;

/// A day of UTC, written as in `2026-11-22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(i64);

/// A text or a number that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day; write it as in 2026-11-22")]
pub struct DayError(String);

impl Day {
    /// Returns the day of a moment.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        let days = moment.as_second().div_euclid(SECONDS);
        Self(days.clamp(*WRITTEN.start(), *WRITTEN.end()))
    }

    /// Returns the days since 1970.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// Returns the day so many days later, or earlier where that is negative; the first or
    /// the last that can be written where there is none.
    #[must_use]
    pub fn plus(self, days: i64) -> Self {
        let day = self.0.saturating_add(days);
        Self(day.clamp(*WRITTEN.start(), *WRITTEN.end()))
    }
}

impl TryFrom<i64> for Day {
    type Error = DayError;

    /// Reads days since 1970.
    fn try_from(days: i64) -> Result<Self, DayError> {
        match WRITTEN.contains(&days) {
            true => Ok(Self(days)),
            false => Err(DayError(format!("{days} days since 1970"))),
        }
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let wrong = || DayError(text.chars().take(16).collect());
        let date: Date = text.parse().map_err(|_| wrong())?;
        let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
        let day = Self::try_from(midnight.timestamp().as_second().div_euclid(SECONDS))?;
        // Other ways of writing it are not ours.
        match day.to_string() == text {
            true => Ok(day),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp::from_second(self.0 * SECONDS).unwrap_or(Timestamp::MAX);
        write!(f, "{}", midnight.strftime("%Y-%m-%d"))
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_people_write_it() {
        for (text, number) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2026-11-22", 20_779),
            ("2024-02-29", 19_782),
            ("0000-01-01", -719_528),
            ("9999-12-30", 2_932_895),
        ] {
            let day: Day = text.parse().unwrap();
            assert_eq!((day.number(), day.to_string().as_str()), (number, text));
            assert_eq!(Day::try_from(number), Ok(day));
        }
        for bad in [
            "",
            "2026-02-29",
            "2026-11-22T00:00:00Z",
            "20261122",
            "2026-1-2",
            "9999-12-31",
            "-000001-01-01",
            "today",
            "2026-11-22 ",
        ] {
            assert!(bad.parse::<Day>().is_err(), "{bad:?}");
        }
        assert!(Day::try_from(i64::MAX).is_err());
    }

    #[test]
    fn a_day_ends_at_midnight_of_utc() {
        let moment = |text: &str| Day::of(text.parse().unwrap()).to_string();
        assert_eq!(moment("2026-11-22T23:59:59.999Z"), "2026-11-22");
        assert_eq!(moment("2026-11-23T00:00:00Z"), "2026-11-23");
        assert_eq!(moment("2026-11-23T00:59:59+01:00"), "2026-11-22");
        assert_eq!(moment("1969-12-31T23:59:59Z"), "1969-12-31");
    }

    #[test]
    fn days_are_counted_up_to_the_first_and_the_last() {
        let day: Day = "2026-11-22".parse().unwrap();
        assert_eq!(day.plus(-22).to_string(), "2026-10-31");
        assert_eq!(day.plus(i64::MAX).to_string(), "9999-12-30");
        assert_eq!(Day::of(Timestamp::MAX), day.plus(i64::MAX));
        assert_eq!(day.plus(i64::MIN).to_string(), "0000-01-01");
    }
}
