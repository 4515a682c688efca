//! The grammar of sizes: a whole number and a unit, `64KiB`, `32MiB`, `1GiB`.

/// The forms a size may take, for messages.
pub(crate) const FORMS: &str = "\"512B\", \"64KiB\", \"32MiB\" or \"1GiB\"";

/// Reads a size in bytes; `None` where the text has none of the forms or is over 2^64 bytes.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let bytes_per_unit: u64 = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(bytes_per_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("32 MiB", 33_554_432),
            ("1GiB", 1_073_741_824),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn numbers_without_a_unit_and_decimal_units_are_refused() {
        for text in [
            "",
            "64",
            "MiB",
            "64M",
            "64MB",
            "1.5GiB",
            "-1MiB",
            "17179869184GiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
