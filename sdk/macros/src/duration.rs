//! The one grammar of durations: a whole number and a unit, `500ms`, `30s`, `10m`, `2h`, `1d`.

use std::time::Duration;

/// The forms a duration may take, for messages.
pub(crate) const FORMS: &str = "\"500ms\", \"30s\", \"10m\", \"2h\" or \"1d\"";

/// Reads a duration; `None` where the text has none of the forms or is over 2^64 ms.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let ms_per_unit: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(ms_per_unit)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("10 min", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn numbers_without_a_unit_and_other_texts_are_refused() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "30 seconds",
            "30S",
            "1m30s",
            "99999999999999999999s",
            "18446744073709551615s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
