//! The section `[values]`, which tasks may read, and the names it shares with `[secrets]`.

use super::error::ConfigError;
use super::reader::Reader;
use celeriac_sandbox::{NAME_BYTES, VALUE_BYTES};
use std::collections::BTreeMap;

/// Most values (1,000).
const VALUES: usize = 1_000;

/// Reads the values by their names.
pub(super) fn read(reader: &mut Reader) -> Result<BTreeMap<String, String>, ConfigError> {
    reader.texts("values", VALUES, "what tasks may read", |name, value| {
        check_name(name)?;
        match value.len() <= VALUE_BYTES {
            true => Ok(()),
            false => Err(format!(
                "it has {} bytes; at most {VALUE_BYTES} are allowed",
                value.len()
            )),
        }
    })
}

/// Says what the name of a value or a secret looks like, if this is none.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.len() <= NAME_BYTES && name.chars().all(is_inner) {
        return Ok(());
    }
    Err(format!(
        "a name has 1 to {NAME_BYTES} letters, digits, \"_\", \"-\" and \".\", and begins with a letter or \"_\""
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;

    fn values(text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.values)
    }

    #[test]
    fn values_are_read_by_their_names() {
        let values = values("[values]\nGREETING = \"hello\"\nshop.city = \"Ulm\"\n").unwrap();
        assert_eq!(values["GREETING"], "hello");
        assert_eq!(values["shop.city"], "Ulm");
    }

    #[test]
    fn a_wrong_value_is_refused_with_key_value_and_reason() {
        let large = "x".repeat(VALUE_BYTES + 1);
        for (text, words) in [
            (
                "[values]\n\"1a\" = \"x\"\n".to_owned(),
                "values.\"1a\" is \"x\": a name has 1 to 128",
            ),
            (
                "[values]\na = 1\n".to_owned(),
                "values.\"a\" is 1: a string is wanted",
            ),
            (
                format!("[values]\na = \"{large}\"\n"),
                "it has 65537 bytes; at most 65536",
            ),
        ] {
            let error = values(&text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let many: String = (0..=VALUES).map(|n| format!("v{n} = \"x\"\n")).collect();
        let error = values(&format!("[values]\n{many}")).unwrap_err();
        assert!(error.contains("at most 1000 are allowed"), "{error}");
    }
}
