//! The section `[secrets]`: where secrets are, never what they are.

use super::error::ConfigError;
use super::reader::Reader;
use super::values::check_name;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most secrets (1,000).
const SECRETS: usize = 1_000;
/// The keys of a section: one of them.
const KEYS: [&str; 2] = ["env", "file"];

/// Where a worker reads a secret when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a variable of its environment.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// Reads where the secrets are, by their names.
pub(super) fn read(reader: &mut Reader) -> Result<BTreeMap<String, SecretSource>, ConfigError> {
    let mut secrets = BTreeMap::new();
    for name in reader.sections("secrets", &KEYS, SECRETS)? {
        let key = |of: &str| format!("secrets.{name:?}.{of}");
        let (env, file) = (key("env"), key("file"));
        let refuse = |reason: String, place| ConfigError::Wrong {
            key: "secrets".to_owned(),
            value: format!("{name:?}"),
            reason,
            source_place: place,
        };
        let is_env = reader.is_written(&env);
        let place = reader.place(if is_env { &env } else { &file });
        check_name(&name).map_err(|reason| refuse(reason, place.clone()))?;
        if is_env && reader.is_written(&file) {
            let reason = "a secret is in a variable or in a file: keep one of env and file";
            return Err(refuse(reason.to_owned(), place));
        }
        let source = match is_env {
            true => SecretSource::Env(named(reader, &env, "the name of a variable")?),
            false => SecretSource::File(named(reader, &file, "the path of a file")?.into()),
        };
        secrets.insert(name, source);
    }
    Ok(secrets)
}

fn named(reader: &mut Reader, key: &str, wanted: &str) -> Result<String, ConfigError> {
    let is_one = |text: &str| match text.is_empty() || text.contains(['=', '\0']) {
        true => Err(format!("{wanted} is wanted")),
        false => Ok(text.to_owned()),
    };
    reader.text(key, String::new(), is_one, Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;

    fn secrets(text: &str) -> Result<BTreeMap<String, SecretSource>, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.secrets)
    }

    #[test]
    fn secrets_are_in_variables_and_files() {
        let text = "[secrets]\nTOKEN = { env = \"SHOP_TOKEN\" }\n[secrets.KEY]\nfile = \"/run/secrets/key\"\n";
        let secrets = secrets(text).unwrap();
        assert_eq!(secrets["TOKEN"], SecretSource::Env("SHOP_TOKEN".to_owned()));
        assert_eq!(
            secrets["KEY"],
            SecretSource::File("/run/secrets/key".into())
        );
    }

    #[test]
    fn a_wrong_secret_is_refused_with_key_and_reason() {
        for (text, words) in [
            ("TOKEN = \"hunter2\"", "there is no key \"secrets.TOKEN\""),
            (
                "TOKEN = { text = \"hunter2\" }",
                "there is no key \"secrets.TOKEN.text\"",
            ),
            (
                "TOKEN = { env = \"A\", file = \"/b\" }",
                "keep one of env and file",
            ),
            (
                "TOKEN = { env = \"\" }",
                "secrets.\"TOKEN\".env is \"\": the name of a variable is wanted",
            ),
            ("TOKEN = { file = 1 }", "a string is wanted"),
            (
                "\"a b\" = { env = \"A\" }",
                "secrets is \"a b\": a name has 1 to 128",
            ),
        ] {
            let error = secrets(&format!("[secrets]\n{text}\n")).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let many: String = (0..=SECRETS)
            .map(|n| format!("s{n} = {{ env = \"A\" }}\n"))
            .collect();
        let error = secrets(&format!("[secrets]\n{many}")).unwrap_err();
        assert!(error.contains("at most 1000 are allowed"), "{error}");
    }
}
