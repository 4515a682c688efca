//! The sections `[grants.WHOM]`: what tasks may reach beyond computing.

mod http;
mod inject;
mod stores;

pub use inject::InjectLine;
pub use stores::StoreGrant;

use super::error::ConfigError;
use super::raw::RawConfig;
use super::reader::Reader;
use super::routes::check_pattern;
use super::secrets::{self, SecretSource};
use super::values;
use celeriac_sandbox::HttpGrant;
use std::collections::BTreeMap;
use stores::Named;

/// Most sections (1,000): they are looked through for each attempt.
const SECTIONS: usize = 1_000;
/// Most tasks one section names (1,000).
const TASKS: usize = 1_000;

/// The keys of a section.
const KEYS: [&str; 8] = [
    "submit",
    "http",
    "http_private",
    "config",
    "secrets",
    "inject",
    "key_value",
    "scratch",
];

/// What one section grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The tasks that may be sent: names, or beginnings of names and a `*`.
    pub submit: Vec<String>,
    /// What may be reached by HTTP.
    pub http: HttpGrant,
    /// What may be read and kept.
    pub stores: StoreGrant,
}

/// The grants by whom they are for, the values and the places of the secrets that they
/// name.
type Read = (
    BTreeMap<String, Grant>,
    BTreeMap<String, String>,
    BTreeMap<String, SecretSource>,
);

/// Reads the grants, and what they name.
pub(super) fn read(reader: &mut Reader) -> Result<Read, ConfigError> {
    let values = values::read(reader)?;
    let secrets = secrets::read(reader)?;
    let grants = sections(reader, "grants", &values, &secrets)?;
    Ok((grants, values, secrets))
}

/// Grants somebody something by a flag, beside what is granted to them: `key` is one of
/// a section.
pub fn grant(raw: &mut RawConfig, whom: &str, key: &str, flag: &'static str, value: String) {
    let path = format!("grants.{whom}.{key}");
    match key {
        "key_value" | "scratch" => raw.set_flag(&path, flag, value),
        _ => raw.add_flag(&path, flag, value),
    }
}

/// Reads the sections of a table.
pub(super) fn sections(
    reader: &mut Reader,
    table: &str,
    values: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, SecretSource>,
) -> Result<BTreeMap<String, Grant>, ConfigError> {
    let named = Named {
        values: values.keys().map(String::as_str).collect(),
        secrets: secrets.keys().map(String::as_str).collect(),
    };
    let mut grants = BTreeMap::new();
    for whom in reader.sections(table, &KEYS, SECTIONS)? {
        let section = format!("{table}.{whom:?}");
        let grant = Grant {
            submit: submit(reader, &section, &whom)?,
            http: http::read(reader, &section)?,
            stores: stores::read(reader, &section, &named)?,
        };
        grants.insert(whom, grant);
    }
    Ok(grants)
}

fn submit(reader: &mut Reader, section: &str, whom: &String) -> Result<Vec<String>, ConfigError> {
    let key = format!("{section}.submit");
    let (tasks, source_place) = reader.list(&key, &[])?;
    let wrong = std::iter::once(whom).chain(&tasks).find_map(|pattern| {
        let wanted = check_pattern(pattern).err()?;
        Some(format!("{pattern:?} is not {wanted}"))
    });
    let wrong = wrong
        .or_else(|| (tasks.len() > TASKS).then(|| format!("at most {TASKS} tasks can be named")));
    match wrong {
        None => Ok(tasks),
        Some(reason) => Err(ConfigError::Wrong {
            value: format!("{tasks:?}"),
            key,
            reason,
            source_place,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use std::path::Path;

    fn grants(text: &str) -> Result<BTreeMap<String, Grant>, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.grants)
    }

    #[test]
    fn grants_are_read_by_whom_they_are_for() {
        let text = "[grants.images]\nsubmit = [\"images.*\", \"mail.send\"]\n[grants.\"shop.*\"]\nsubmit = [\"*\"]\n";
        let grants = grants(text).unwrap();
        assert_eq!(grants["images"].submit, ["images.*", "mail.send"]);
        assert_eq!(grants["shop.*"].submit, ["*"]);
    }

    #[test]
    fn a_flag_grants_beside_what_is_granted() {
        let text = "[grants.\"shop.eu\"]\nsubmit = [\"a.b\"]\nscratch = \"1MiB\"\n";
        let granted = |pairs: &[(&str, &str)]| {
            let mut raw = RawConfig::default();
            raw.read_text(Path::new("c.toml"), text).unwrap();
            for (key, value) in pairs {
                grant(&mut raw, "shop.eu", key, "--grant", (*value).to_owned());
            }
            let checked = Config::check(raw).map_err(|error| error.to_string());
            checked.map(|(mut config, _)| config.grants.remove("shop.eu").unwrap())
        };
        let pairs = [("submit", "c.*"), ("http", "a.test"), ("http", "b.test")];
        let given = granted(&pairs).unwrap();
        assert_eq!(given.submit, ["a.b", "c.*"]);
        assert_eq!((given.http.hosts.len(), given.stores.scratch), (2, 1 << 20));
        let given = granted(&[("scratch", "2MiB")]).unwrap();
        assert_eq!(given.stores.scratch, 2 << 20);
        let error = granted(&[("htp", "a.test")]).unwrap_err();
        assert!(error.contains("grants.shop.eu.http"), "{error}");
        let error = granted(&[("config", "CITY")]).unwrap_err();
        assert!(
            error.contains("\"CITY\" in [values]") && error.contains("--grant"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_grant_is_refused_with_key_value_and_reason() {
        for (text, words) in [
            (
                "[grants.a]\nsubmit = [\"a.*.b\"]\n",
                "grants.\"a\".submit is [\"a.*.b\"]: \"a.*.b\" is not the name of a task",
            ),
            ("[grants.a]\nsubmit = [\"\"]\n", "\"\" is not the name"),
            ("[grants.\"a*b\"]\nsubmit = []\n", "\"a*b\" is not the name"),
            (
                "[grants.a]\nsubmit = \"b\"\n",
                "a list of strings is wanted",
            ),
            ("[grants.a]\nsubmits = [\"b\"]\n", "grants.a.submit"),
        ] {
            let error = grants(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let many: Vec<String> = (0..=TASKS).map(|n| format!("t{n}")).collect();
        let error = grants(&format!("[grants.a]\nsubmit = {many:?}\n")).unwrap_err();
        assert!(error.contains("at most 1000 tasks"), "{error}");
        let many: String = (0..=SECTIONS)
            .map(|n| format!("[grants.m{n}]\nsubmit = []\n"))
            .collect();
        let error = grants(&many).unwrap_err();
        assert!(error.contains("at most 1000 are allowed"), "{error}");
    }
    const NAMED: &str = "[values]\nGREETING = \"hi\"\n[secrets]\nTOKEN = { env = \"T\" }\n";

    #[test]
    fn values_secrets_and_room_are_granted_by_name_and_size() {
        let text = format!(
            "{NAMED}[grants.a]\nconfig = [\"GREETING\"]\nsecrets = [\"TOKEN\"]\nkey_value = \"1MiB\"\nscratch = \"16MiB\"\ninject = [\"a.b x: {{TOKEN}}\"]\n"
        );
        let stores = grants(&text).unwrap()["a"].stores.clone();
        assert_eq!(stores.config, ["GREETING"]);
        assert_eq!(stores.secrets, ["TOKEN"]);
        assert_eq!((stores.key_value, stores.scratch), (1 << 20, 16 << 20));
        assert_eq!(stores.inject.len(), 1);
        let none = grants("[grants.a]\nsubmit = []\n").unwrap()["a"]
            .stores
            .clone();
        assert_eq!(none, StoreGrant::default());
    }

    #[test]
    fn what_is_not_there_cannot_be_granted() {
        let many: Vec<String> = (0..=100).map(|n| format!("n{n}")).collect();
        for (line, words) in [
            (
                "config = [\"TOKEN\"]".to_owned(),
                "grants.\"a\".config is [\"TOKEN\"]: there is no \"TOKEN\" in [values]",
            ),
            (
                "secrets = [\"GREETING\"]".to_owned(),
                "there is no \"GREETING\" in [secrets]",
            ),
            (
                "inject = [\"a.b x: {OTHER}\"]".to_owned(),
                "there is no secret \"OTHER\" in [secrets]",
            ),
            (
                "inject = [\"a.b\"]".to_owned(),
                "line 1: a server, a header and a secret are wanted",
            ),
            ("key_value = 1000".to_owned(), "it has no unit"),
            (
                "key_value = \"2GiB\"".to_owned(),
                "at most \"1GiB\" is allowed",
            ),
            (
                "scratch = \"1GiB\"".to_owned(),
                "at most \"256MiB\" is allowed",
            ),
            (format!("config = {many:?}"), "at most 100 names"),
            (format!("inject = {many:?}"), "at most 100 headers"),
        ] {
            let error = grants(&format!("{NAMED}[grants.a]\n{line}\n")).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        // Who forgets the braces writes the secret itself.
        let line = "inject = [\"a.b Authorization: Bearer hunter2\"]";
        let error = grants(&format!("{NAMED}[grants.a]\n{line}\n")).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
