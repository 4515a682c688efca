//! Spans of time and sizes for people to read.

use std::time::Duration;

/// Prints a span: `0.4 ms`, `14 ms`, `3.1 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let micros = span.as_micros();
    let seconds = span.as_secs();
    match seconds {
        0 if micros == 0 => "0 ms".to_owned(),
        0 if micros < 950 => format!("{:.1} ms", (span.as_secs_f64() * 1e3).max(0.1)),
        0 => format!("{} ms", (micros + 500) / 1_000),
        1..60 => format!("{:.1} s", span.as_secs_f64()).replace(".0 s", " s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, smaller: &str) -> String {
    match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    }
}

/// Prints a size: `512 B`, `3.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        None => format!("{bytes} B"),
        Some((unit, size)) => {
            // Whole numbers and tenths, without floating point.
            let tenths = bytes / (size / 10).max(1);
            match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                tenth => format!("{}.{tenth} {unit}", tenths / 10),
            }
        }
    }
}

/// Prints a number with its word: `1 task`, `2 tasks`.
#[must_use]
pub fn count(number: u64, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_unit_that_reads_best() {
        for (micros, text) in [
            (0, "0 ms"),
            (40, "0.1 ms"),
            (420, "0.4 ms"),
            (960, "1 ms"),
            (14_400, "14 ms"),
            (999_400, "999 ms"),
            (3_140_000, "3.1 s"),
            (10_000_000, "10 s"),
            (192_000_000, "3 min 12 s"),
            (600_000_000, "10 min"),
            (3_600_000_000, "1 h"),
            (7_500_000_000, "2 h 5 min"),
            (273_600_000_000, "3 d 4 h"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_reads_best() {
        for (bytes, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1_024, "1 KiB"),
            (3_355_444, "3.2 MiB"),
            (64 << 20, "64 MiB"),
            (3 << 29, "1.5 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(count(1, "task"), "1 task");
        assert_eq!(count(0, "task"), "0 tasks");
    }
}
