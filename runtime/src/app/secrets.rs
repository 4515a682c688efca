//! Reads the secrets, once, when a worker starts.

use super::StartError;
use crate::config::{Config, InjectLine, SecretSource};
use celeriac_sandbox::{Secret, VALUE_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Reads all secrets; an error names the one that cannot be had, and never what it is.
pub(super) fn read(config: &Config) -> Result<BTreeMap<String, Secret>, StartError> {
    let lines = config
        .grants
        .values()
        .flat_map(|grant| &grant.stores.inject);
    let in_headers: BTreeSet<&str> = lines.flat_map(InjectLine::secrets).collect();
    let secrets = config.secrets.iter().map(|(name, source)| {
        let text = match source {
            SecretSource::Env(variable) => variable_of(variable),
            SecretSource::File(path) => file(path),
        };
        let is_header = in_headers.contains(name.as_str());
        let secret = text.and_then(|text| check(text, is_header));
        secret
            .map(|secret| (name.clone(), secret))
            .map_err(|reason| StartError::Secret {
                name: name.clone(),
                place: place(source),
                reason,
            })
    });
    secrets.collect()
}

fn check(text: String, is_header: bool) -> Result<Secret, String> {
    match text.len() {
        0 => Err("it is empty".to_owned()),
        _ if is_header && !text.chars().all(|c| matches!(c, ' '..='~')) => {
            Err("it is injected into a header, which takes printable ASCII alone".to_owned())
        }
        1..=VALUE_BYTES => Ok(Secret::new(text)),
        _ => Err(format!("it has more than {VALUE_BYTES} bytes")),
    }
}

fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(variable) => format!("the environment variable {variable}"),
        SecretSource::File(path) => format!("the file {}", path.display()),
    }
}

fn variable_of(variable: &str) -> Result<String, String> {
    match std::env::var(variable) {
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => Err("it is not set".to_owned()),
        Err(std::env::VarError::NotUnicode(_)) => Err("it is not UTF-8".to_owned()),
    }
}

fn file(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    // One byte over the limit, and a line feed, are enough to be refused for it.
    let most = VALUE_BYTES as u64 + 2;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn secrets(text: &str) -> Result<BTreeMap<String, Secret>, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let (config, _) = Config::check(raw).unwrap();
        read(&config).map_err(|error| error.to_string())
    }

    /// Reads a file with these bytes as the secret TOKEN.
    fn read_one(bytes: &[u8], more: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        let read = secrets(&format!("[secrets]\nTOKEN = {{ file = {path:?} }}\n{more}"))?;
        Ok(read["TOKEN"].expose().to_owned())
    }

    #[test]
    fn a_file_is_read_without_the_line_feed_at_its_end() {
        for (bytes, text) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("two\nlines\n\n", "two\nlines\n"),
        ] {
            assert_eq!(read_one(bytes.as_bytes(), ""), Ok(text.to_owned()));
        }
        let large = "x".repeat(VALUE_BYTES);
        assert!(read_one(format!("{large}\n").as_bytes(), "").is_ok());
    }

    #[test]
    fn what_cannot_be_had_is_told_by_its_name_and_place_and_not_by_what_it_is() {
        let large = vec![b'x'; VALUE_BYTES + 1];
        for (bytes, words) in [
            (b"".as_slice(), "it is empty"),
            (b"\n", "it is empty"),
            (b"hunter2\xff", "it is not UTF-8"),
            (&large, "it has more than 65536 bytes"),
        ] {
            let error = read_one(bytes, "").unwrap_err();
            assert!(
                error.contains(words) && error.contains("\"TOKEN\""),
                "{error}"
            );
            assert!(
                !error.contains("hunter2") && !error.contains("xxx"),
                "{error}"
            );
        }
        let unset = "[secrets]\nKEY = { env = \"CELERIAC_TEST_NOT_SET\" }\n";
        let error = secrets(unset).unwrap_err();
        let wanted = "the secret \"KEY\" cannot be read from the environment variable CELERIAC_TEST_NOT_SET: it is not set";
        assert!(error.starts_with(wanted), "{error}");
    }
    #[test]
    fn a_secret_that_would_break_a_header_is_refused_before_it_is_sent() {
        let inject = "[grants.a]\ninject = [\"a.b x: {TOKEN}\"]\n";
        for bytes in ["hunter2\r\nX-Admin: 1", "hunter2\n\n", "hünter2"] {
            let error = read_one(bytes.as_bytes(), inject).unwrap_err();
            assert!(error.contains("printable ASCII"), "{error}");
            assert!(read_one(bytes.as_bytes(), "").is_ok());
        }
        assert_eq!(read_one(b"hunter2", inject).unwrap(), "hunter2");
    }
}
