//! Values with units, as people write them: `30s`, `64MiB`.
//!
//! A number without a unit is refused: it would be read as seconds by one and
//! as milliseconds by another.

use std::time::Duration;

const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A text that is not a value with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It has no unit.
    #[error("it has no unit; write {example}")]
    Bare {
        /// The same number with a likely unit.
        example: String,
    },
    /// It is something else.
    #[error("it is not {wanted}")]
    Form {
        /// What was wanted, with examples.
        wanted: &'static str,
    },
    /// It is more than can be held.
    #[error("it is too large")]
    Overflow,
}

const A_TIME: &str = "a time such as \"500ms\", \"30s\", \"10m\", \"1h30m\" or \"1d\"";
const A_SIZE: &str = "a size such as \"512B\", \"64KiB\", \"64MiB\" or \"1GiB\"";

/// Reads a span of time: whole numbers with `ms`, `s`, `m`, `h` or `d`, joined
/// as in `1h30m`.
///
/// # Errors
/// A missing unit, another form, more than can be held.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    parse(text, &TIMES, A_TIME, "s").map(Duration::from_millis)
}

/// Reads a number of bytes: whole numbers with `B`, `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// A missing unit, another form, more than can be held.
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    parse(text, &SIZES, A_SIZE, "MiB")
}

/// Prints a span of time in the form that [`duration`] reads; parts under a
/// millisecond are dropped.
#[must_use]
pub fn print_duration(span: Duration) -> String {
    let total = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    print(total, &TIMES, "0s")
}

/// Prints a number of bytes in the form that [`bytes()`] reads.
#[must_use]
pub fn print_bytes(count: u64) -> String {
    let whole = SIZES
        .iter()
        .find(|(_, size)| count >= *size && count.is_multiple_of(*size));
    match whole {
        Some((unit, size)) => format!("{}{unit}", count / size),
        None => format!("{count}B"),
    }
}

fn parse(
    text: &str,
    units: &[(&str, u64)],
    wanted: &'static str,
    likely: &str,
) -> Result<u64, UnitError> {
    let mut rest = text.trim();
    if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()) {
        return Err(UnitError::Bare {
            example: format!("\"{rest}{likely}\""),
        });
    }
    let mut total: u64 = 0;
    let mut smaller_than = u64::MAX;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(letters);
        let size = units
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, size)| *size);
        let (Some(size), false) = (size, number.is_empty()) else {
            return Err(UnitError::Form { wanted });
        };
        if size >= smaller_than {
            return Err(UnitError::Form { wanted });
        }
        let number: u64 = number.parse().map_err(|_| UnitError::Overflow)?;
        total = number
            .checked_mul(size)
            .and_then(|part| total.checked_add(part))
            .ok_or(UnitError::Overflow)?;
        smaller_than = size;
        rest = after;
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

fn print(total: u64, units: &[(&str, u64)], zero: &str) -> String {
    let mut rest = total;
    let mut text = String::new();
    for (unit, size) in units {
        let count = rest / size;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest %= size;
        }
    }
    if text.is_empty() {
        zero.to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_written() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1s500ms", 1_500),
            (" 2s ", 2_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_written() {
        for (text, count) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(bytes(text), Ok(count), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_with_the_likely_unit() {
        assert_eq!(
            duration("30").unwrap_err().to_string(),
            "it has no unit; write \"30s\""
        );
        assert_eq!(
            bytes("64").unwrap_err().to_string(),
            "it has no unit; write \"64MiB\""
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in ["", "s", "1.5s", "-1s", "30 s", "1s1m", "1s1s", "5min", "1S"] {
            assert!(
                matches!(duration(bad), Err(UnitError::Form { .. })),
                "{bad:?}"
            );
        }
        for bad in ["64MB", "64M", "64mib", "1MiB2MiB"] {
            assert!(matches!(bytes(bad), Err(UnitError::Form { .. })), "{bad:?}");
        }
        assert_eq!(duration("99999999999999999999s"), Err(UnitError::Overflow));
        assert_eq!(bytes("99999999999GiB"), Err(UnitError::Overflow));
    }

    #[test]
    fn what_is_printed_reads_back() {
        for ms in [0, 1, 999, 1_000, 61_000, 5_400_000, 90_061_001] {
            let span = Duration::from_millis(ms);
            assert_eq!(duration(&print_duration(span)), Ok(span));
        }
        for count in [0, 1, 1_000, 1_024, 64 << 20, (64 << 20) + 1, 3 << 30] {
            assert_eq!(bytes(&print_bytes(count)), Ok(count));
        }
    }
}
