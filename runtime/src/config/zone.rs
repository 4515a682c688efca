//! The time zone in which moments are read that name none.

use super::alike::alike;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// How alike a known name must be to be suggested, 0 to 1.
const ALIKE: f64 = 0.7;
/// Most names that are suggested.
const SUGGESTED: usize = 3;
/// Longest text that is compared with every name, bytes: twice the longest name.
const COMPARED: usize = 64;

/// Finds a zone by its name in the database that is part of the program, so that
/// it means the same on every machine and in a container without any.
pub(super) fn named(text: &str) -> Result<TimeZone, String> {
    let known = TimeZoneDatabase::bundled();
    match known.get(text) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        Ok(_) | Err(_) => Err(format!("no time zone has that name; {}", nearest(text))),
    }
}

/// Returns the name of a zone.
pub(super) fn name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// Names what may have been meant.
fn nearest(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut near: Vec<(f64, String)> = match text.len() {
        0 => Vec::new(),
        length if length > COMPARED => Vec::new(),
        _ => TimeZoneDatabase::bundled()
            .available()
            .map(|name| name.as_str().to_owned())
            .map(|name| (alike(&name.to_ascii_lowercase(), &lower, '/'), name))
            .filter(|(alike, _)| *alike >= ALIKE)
            .collect(),
    };
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.truncate(SUGGESTED);
    let near: Vec<String> = near
        .into_iter()
        .map(|(_, name)| format!("{name:?}"))
        .collect();
    match near.as_slice() {
        [] => "one is such as \"Europe/Paris\" or \"UTC\"".to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_its_name_in_any_case() {
        for (text, expected) in [
            ("UTC", "UTC"),
            ("Europe/Paris", "Europe/Paris"),
            ("america/new_york", "America/New_York"),
        ] {
            assert_eq!(name(&named(text).unwrap()), expected);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_or_an_example() {
        let long = "x".repeat(1 << 20);
        for (text, words) in [
            ("Europe/Pariss", "did you mean \"Europe/Paris\""),
            ("Paris", "\"Europe/Paris\""),
            ("America/New York", "\"America/New_York\""),
            ("", "such as \"Europe/Paris\""),
            ("+01:00", "such as \"Europe/Paris\""),
            ("Etc/Unknown", "no time zone has that name"),
            ("../../etc/passwd", "such as \"Europe/Paris\""),
            (&long, "such as \"Europe/Paris\""),
        ] {
            let reason = named(text).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
    }
}
