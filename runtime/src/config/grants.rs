//! The sections `[grants.WHOM]`: what tasks may reach beyond computing.

mod http;

use super::error::ConfigError;
use super::reader::Reader;
use super::routes::check_pattern;
use celeriac_sandbox::HttpGrant;
use std::collections::BTreeMap;

/// Most sections (1,000): they are looked through for each attempt.
const SECTIONS: usize = 1_000;
/// Most tasks one section names (1,000).
const TASKS: usize = 1_000;

/// The keys of a section.
const KEYS: [&str; 3] = ["submit", "http", "http_private"];

/// What one section grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The tasks that may be sent: names, or beginnings of names and a `*`.
    pub submit: Vec<String>,
    /// What may be reached by HTTP.
    pub http: HttpGrant,
}

/// Reads the grants, by whom they are for.
pub(super) fn read(reader: &mut Reader) -> Result<BTreeMap<String, Grant>, ConfigError> {
    let mut grants = BTreeMap::new();
    for whom in reader.sections("grants", &KEYS, SECTIONS)? {
        let grant = Grant {
            submit: submit(reader, &whom)?,
            http: http::read(reader, &whom)?,
        };
        grants.insert(whom, grant);
    }
    Ok(grants)
}

fn submit(reader: &mut Reader, whom: &String) -> Result<Vec<String>, ConfigError> {
    let key = format!("grants.{whom:?}.submit");
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
    use super::super::{Config, RawConfig};
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
}
