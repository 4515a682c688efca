//! What the machine says of itself.

/// Returns how many processes wanted a processor on average over the last 1, 5
/// and 15 minutes; zeros where the system does not tell.
pub(super) fn averages() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    read(&text).unwrap_or_default()
}

fn read(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split(' ').map(|number| number.parse::<f64>().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Returns the system's name, as Python's `platform.system` has it.
pub(super) fn system() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_averages_are_three_numbers_or_none() {
        assert_eq!(read("1.36 2.58 3.05 1/99 1\n"), Some([1.36, 2.58, 3.05]));
        assert_eq!(read(""), None);
        assert_eq!(read("1 x 2"), None);
    }
}
