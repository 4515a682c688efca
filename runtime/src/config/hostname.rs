//! The worker's name: Celery's `-n` with its expansions.

use std::process::Command;

/// Longest worker name, bytes: it is stored with every result.
const NAME_BYTES: usize = 200;
/// The part before the `@` where none is given.
const DEFAULT_NAME: &str = "celeriac";

/// Expands a worker name for a machine: `%h` is the machine's full name, `%n`
/// the part before its first dot, `%d` the part after, `%%` a percent sign. A
/// text without `@` is the host part, as in Celery.
pub(super) fn expand(template: &str, machine: &str) -> Result<String, String> {
    let (short, domain) = machine.split_once('.').unwrap_or((machine, ""));
    let mut name = String::new();
    let mut letters = template.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => match letters.next() {
                Some('h') => name.push_str(machine),
                Some('n') => name.push_str(short),
                Some('d') => name.push_str(domain),
                Some('%') => name.push('%'),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "%{other} is not known; %h (host), %n (its first part), %d (its domain) and %% are"
                    ));
                }
            },
            _ => name.push(letter),
        }
    }
    if !name.contains('@') {
        name = format!("{DEFAULT_NAME}@{name}");
    }
    let is_complete = name
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if !is_complete || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(
            "a worker's name is NAME@HOST without spaces, such as \"images@%h\"".to_owned(),
        );
    }
    if name.len() > NAME_BYTES {
        return Err(format!(
            "it has {} bytes; at most {NAME_BYTES} are allowed",
            name.len()
        ));
    }
    Ok(name)
}

/// Returns the machine's name: what the kernel says, else `uname -n`, else
/// `localhost`.
#[must_use]
pub fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let uname = || {
        Command::new("uname")
            .arg("-n")
            .output()
            .ok()
            .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
    };
    kernel
        .or_else(uname)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_expand_as_in_celery() {
        for (template, name) in [
            ("celeriac@%h", "celeriac@box.example.com"),
            ("images@%n", "images@box"),
            ("images@%d", "images@example.com"),
            ("%n", "celeriac@box"),
            ("100%%@%h", "100%@box.example.com"),
        ] {
            assert_eq!(
                expand(template, "box.example.com"),
                Ok(name.to_owned()),
                "{template}"
            );
        }
    }

    #[test]
    fn names_that_cannot_be_names_are_refused() {
        for bad in ["@h", "a@", "a b@h", "%x@h", "a@%", "a@b\n", "a@%d"] {
            assert!(expand(bad, "box").is_err(), "{bad:?}");
        }
        assert!(expand(&format!("{}@h", "x".repeat(NAME_BYTES - 2)), "box").is_ok());
        assert!(expand(&format!("{}@h", "x".repeat(NAME_BYTES - 1)), "box").is_err());
        assert!(!machine().is_empty());
    }
}
