//! Values that JSON lacks, as kombu writes them.

use super::document::{quoted, wrapped};
use super::{BodyError, shown};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::fmt::Write as _;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Microseconds of a second.
const MICROS: i64 = 1_000_000;
/// Longest span of Python's `timedelta`, days.
const DAYS: i64 = 999_999_999;

/// A value that JSON lacks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    /// A moment, with or without an offset.
    DateTime(DateTime, Option<Offset>),
    /// A day.
    Date(Date),
    /// A time of day, with or without an offset.
    Time(Time, Option<Offset>),
    /// A decimal number, as its text.
    Decimal(Box<str>),
    /// A UUID.
    Uuid(u128),
    /// A span of time, microseconds. kombu has no word for it: it becomes seconds.
    Span(i128),
    /// The zone of a moment; nothing by itself.
    Zone(Zone),
    /// What a body names: data may be made of it, but it is none.
    Name(Box<str>),
}

/// The distance from UTC, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset(i64);

/// A zone of a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Zone {
    /// One with a fixed distance from UTC.
    Fixed(Offset),
    /// One of the IANA database.
    Named(TimeZone),
}

impl Offset {
    /// Takes less than a day, as Python.
    pub(super) fn micros(micros: i128) -> Result<Self, BodyError> {
        let limit = i128::from(DAY * MICROS);
        match i64::try_from(micros) {
            Ok(micros) if i128::from(micros).abs() < limit => Ok(Self(micros)),
            _ => Err(BodyError::malformed(
                "the offset of a moment is not less than a day",
            )),
        }
    }

    pub(super) fn seconds(seconds: i64) -> Result<Self, BodyError> {
        Self::micros(i128::from(seconds) * i128::from(MICROS))
    }

    /// Writes it as `isoformat` does.
    fn write(self, out: &mut String) {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let micros = self.0.abs() % MICROS;
        let seconds = self.0.abs() / MICROS;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let _ = write!(out, "{sign}{hours:02}:{minutes:02}");
        if seconds != 0 || micros != 0 {
            let _ = write!(out, ":{seconds:02}");
        }
        if micros != 0 {
            let _ = write!(out, ".{micros:06}");
        }
    }
}

impl Zone {
    /// Finds a zone of the database that is part of the program.
    pub(super) fn named(name: &str) -> Result<Self, BodyError> {
        let zone = TimeZoneDatabase::bundled().get(name);
        zone.map(Self::Named)
            .map_err(|_| BodyError::malformed(format!("no time zone is named {:?}", shown(name))))
    }

    /// The offset of a moment on the clocks of this zone; `fold` tells the second of
    /// two moments with the same name.
    pub(super) fn offset(&self, at: DateTime, fold: bool) -> Result<Offset, BodyError> {
        let zone = match self {
            Self::Fixed(offset) => return Ok(*offset),
            Self::Named(zone) => zone,
        };
        let offset = match zone.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                if fold {
                    after
                } else {
                    before
                }
            }
        };
        Offset::seconds(offset.seconds().into())
    }
}

/// Makes a day of numbers.
pub(super) fn date(year: i64, month: i64, day: i64) -> Result<Date, BodyError> {
    let read = || {
        let year = i16::try_from(year).ok().filter(|year| *year >= 1)?;
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    };
    read().ok_or_else(|| BodyError::malformed(format!("{year}-{month}-{day} is no day")))
}

/// Makes a time of day of numbers.
pub(super) fn time(hour: i64, minute: i64, second: i64, micros: i64) -> Result<Time, BodyError> {
    let read = || {
        let nanos = i32::try_from(micros.checked_mul(1000)?).ok()?;
        let [hour, minute, second] =
            [hour, minute, second].map(|part| i8::try_from(part).ok().filter(|part| *part < 60));
        Time::new(hour?, minute?, second?, nanos).ok()
    };
    read().ok_or_else(|| BodyError::malformed(format!("{hour}:{minute}:{second} is no time")))
}

/// Makes a span of Python's three numbers.
pub(super) fn span(days: i64, seconds: i64, micros: i64) -> Result<Typed, BodyError> {
    let seconds = i128::from(days) * i128::from(DAY) + i128::from(seconds);
    let whole = seconds * i128::from(MICROS) + i128::from(micros);
    if whole.abs() > i128::from(DAYS) * i128::from(DAY * MICROS) {
        return Err(BodyError::malformed("a timedelta is longer than Python's"));
    }
    Ok(Typed::Span(whole))
}

/// Takes the text of a decimal number.
pub(super) fn decimal(text: &str) -> Result<Typed, BodyError> {
    let fits = text.len() <= super::DIGITS
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if fits {
        return Ok(Typed::Decimal(text.into()));
    }
    Err(BodyError::malformed(format!(
        "{:?} is no decimal number",
        shown(text)
    )))
}

impl Typed {
    /// Its name, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::DateTime(..) => "datetime",
            Self::Date(_) => "date",
            Self::Time(..) => "time",
            Self::Decimal(_) => "decimal",
            Self::Uuid(_) => "uuid",
            Self::Span(_) => "timedelta",
            Self::Zone(_) => "tzinfo",
            Self::Name(_) => "type",
        }
    }

    /// Writes it as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), BodyError> {
        let text = match self {
            Self::DateTime(at, offset) => {
                let mut text = day(at.date());
                text.push('T');
                clock(at.time(), *offset, &mut text);
                text
            }
            Self::Date(date) => day(*date),
            Self::Time(time, offset) => {
                let mut text = String::new();
                clock(*time, *offset, &mut text);
                text
            }
            Self::Decimal(text) => text.to_string(),
            Self::Uuid(number) => {
                out.extend_from_slice(b"{\"__type__\":\"uuid\",\"__value__\":{\"hex\":");
                quoted(&format!("{number:032x}"), out)?;
                out.extend_from_slice(b"}}");
                return Ok(());
            }
            Self::Span(micros) => {
                seconds(*micros, out);
                return Ok(());
            }
            Self::Zone(_) => return Err(BodyError::no_json("a time zone is not JSON")),
            Self::Name(name) => {
                return Err(BodyError::no_json(format!("{name} is a name, not a value")));
            }
        };
        wrapped(self.kind(), &text, out)
    }
}

fn day(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

fn clock(time: Time, offset: Option<Offset>, out: &mut String) {
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    let micros = time.subsec_nanosecond() / 1000;
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
    }
    if let Some(offset) = offset {
        offset.write(out);
    }
}

/// Writes a span as a JSON number of seconds, no microsecond lost.
fn seconds(micros: i128, out: &mut Vec<u8>) {
    let sign = if micros < 0 { "-" } else { "" };
    let (micros, per) = (micros.unsigned_abs(), u128::from(MICROS.unsigned_abs()));
    let text = format!("{sign}{}.{:06}", micros / per, micros % per);
    let text = text.trim_end_matches('0');
    out.extend_from_slice(text.as_bytes());
    if text.ends_with('.') {
        out.push(b'0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(typed: &Typed) -> String {
        let mut out = Vec::new();
        typed.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What Python's `isoformat` and `total_seconds` say of the same values.
    #[test]
    fn values_are_written_as_python_writes_them() {
        let at = date(2030, 1, 2)
            .unwrap()
            .to_datetime(time(3, 4, 5, 678_901).unwrap());
        let offset = |seconds| Some(Offset::seconds(seconds).unwrap());
        for (typed, expected) in [
            (
                Typed::DateTime(at, None),
                r#""datetime","__value__":"2030-01-02T03:04:05.678901""#,
            ),
            (
                Typed::DateTime(at, offset(0)),
                r#""datetime","__value__":"2030-01-02T03:04:05.678901+00:00""#,
            ),
            (
                Typed::DateTime(at, offset(-19_830)),
                r#""datetime","__value__":"2030-01-02T03:04:05.678901-05:30:30""#,
            ),
            (Typed::Date(at.date()), r#""date","__value__":"2030-01-02""#),
            (
                Typed::Time(time(3, 4, 5, 0).unwrap(), offset(3600)),
                r#""time","__value__":"03:04:05+01:00""#,
            ),
            (decimal("1.50").unwrap(), r#""decimal","__value__":"1.50""#),
            (
                Typed::Uuid(0x11),
                r#""uuid","__value__":{"hex":"00000000000000000000000000000011"}"#,
            ),
        ] {
            assert_eq!(json(&typed), format!("{{\"__type__\":{expected}}}"));
        }
        for (days, seconds, micros, expected) in [
            (1, 2, 3, "86402.000003"),
            (0, 0, 0, "0.0"),
            (-1, 86_399, 999_999, "-0.000001"),
            (0, 90, 500_000, "90.5"),
        ] {
            assert_eq!(json(&span(days, seconds, micros).unwrap()), expected);
        }
    }

    #[test]
    fn a_zone_gives_a_moment_its_offset() {
        let paris = Zone::named("Europe/Paris").unwrap();
        let at = |month, day, hour| {
            let date = date(2030, month, day).unwrap();
            date.to_datetime(time(hour, 30, 0, 0).unwrap())
        };
        for (at, fold, hours) in [
            (at(1, 2, 3), false, 1),
            (at(7, 2, 3), false, 2),
            (at(10, 27, 2), false, 2),
            (at(10, 27, 2), true, 1),
            (at(3, 31, 2), false, 1),
            (at(3, 31, 2), true, 2),
        ] {
            let offset = paris.offset(at, fold).unwrap();
            assert_eq!(
                offset,
                Offset::seconds(hours * 3600).unwrap(),
                "{at} {fold}"
            );
        }
        assert!(Zone::named("Europe/Nowhere").is_err());
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        assert!(date(0, 1, 1).is_err());
        assert!(date(2030, 2, 30).is_err());
        assert!(date(i64::MAX, 1, 1).is_err());
        assert!(time(24, 0, 0, 0).is_err());
        assert!(time(0, 0, 60, 0).is_err());
        assert!(time(0, 0, 0, 1_000_000).is_err());
        assert!(span(i64::MAX, i64::MIN, 1).is_err());
        assert!(Offset::seconds(DAY).is_err());
        assert!(decimal("1\n").is_err());
    }
}
