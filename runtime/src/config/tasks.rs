//! The sections `[tasks.NAME]`: what an operator says about single tasks.

use super::address::Address;
use super::error::ConfigError;
use super::reader::Reader;
use super::routes::check_pattern;
use crate::task::{Rate, RateScope};
use std::collections::BTreeMap;

/// Most tasks and patterns that are described (10,000): they are held in memory and
/// looked up per message.
const TASKS: usize = 10_000;
/// The keys of a section.
const KEYS: [&str; 1] = ["rate_limit"];

/// Reads the rates of tasks, by their names and beginnings of these.
pub(super) fn read(reader: &mut Reader) -> Result<BTreeMap<String, Option<Rate>>, ConfigError> {
    let mut rates = BTreeMap::new();
    for name in reader.sections("tasks", &KEYS, TASKS)? {
        let key = format!("tasks.{name:?}.rate_limit");
        check_pattern(&name).map_err(|wanted| ConfigError::Wrong {
            key: "tasks".to_owned(),
            value: format!("{name:?}"),
            reason: format!("a section is for {wanted}"),
            source_place: reader.place(&key),
        })?;
        let rate = reader.text(
            &key,
            None,
            |text| Rate::parse(text).map_err(|error| error.to_string()),
            |rate| {
                rate.as_ref()
                    .map_or_else(|| "0".to_owned(), Rate::to_string)
            },
        )?;
        // No rate at all is kept, too: it is the exception to that of a wider pattern.
        rates.insert(name, rate);
    }
    Ok(rates)
}

/// Refuses to count the starts of workers together that share no Redis.
pub(super) fn check_scope(
    reader: &Reader,
    scope: RateScope,
    places: [&Address; 2],
) -> Result<(), ConfigError> {
    let is_redis = |place: &&Address| match place {
        Address::Redis(_) | Address::Sentinel(_) => true,
        Address::Embedded(_)
        | Address::Database(_)
        | Address::Postgres(_)
        | Address::Files(_)
        | Address::Amqp(_)
        | Address::Rpc
        | Address::Disabled => false,
    };
    if scope == RateScope::Worker || places.iter().any(is_redis) {
        return Ok(());
    }
    let key = "worker.rate_limit_scope";
    Err(ConfigError::Wrong {
        key: key.to_owned(),
        value: "\"cluster\"".to_owned(),
        reason: "workers count their starts together in Redis, and neither broker nor result_backend is one".to_owned(),
        source_place: reader.source(key),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn config(text: &str) -> Result<Config, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config)
    }

    #[test]
    fn rates_are_of_tasks_and_patterns() {
        let text = "[tasks.\"images.*\"]\nrate_limit = \"10/m\"\n[tasks.\"images.thumbnail\"]\nrate_limit = \"0\"\n";
        let rates = config(text).unwrap().rates;
        let images = rates.get("images.*").unwrap().as_ref().unwrap();
        assert_eq!(images.interval(), Duration::from_secs(6));
        assert_eq!(rates.get("images.thumbnail"), Some(&None));
    }

    #[test]
    fn a_wrong_section_is_refused_with_key_value_and_reason() {
        for (text, words) in [
            (
                "[tasks.\"a.b\"]\nrate_limit = \"10/y\"\n",
                "tasks.\"a.b\".rate_limit is \"10/y\": the unit of a rate is \"s\", \"m\" or \"h\", not \"y\", in c.toml:2",
            ),
            (
                "[tasks.\"a.b\"]\nrate_limit = 10\n",
                "tasks.\"a.b\".rate_limit is 10: a string is wanted, in c.toml:2",
            ),
            (
                "[tasks.\"a.b\"]\nrate_limt = \"1\"\n",
                "there is no key \"tasks.a.b.rate_limt\" in c.toml:2; did you mean \"tasks.a.b.rate_limit\"?",
            ),
            (
                "[tasks.\"a.*.b\"]\nrate_limit = \"1\"\n",
                "tasks is \"a.*.b\": a section is for the name of a task, or its beginning and one \"*\" at the end, at most 512 bytes, in c.toml:2",
            ),
            (
                "[worker]\nrate_limit_scope = \"all\"\n",
                "worker.rate_limit_scope is \"all\": \"worker\" or \"cluster\" is wanted, in c.toml:2",
            ),
            (
                "broker = \"amqp://h\"\n[worker]\nrate_limit_scope = \"cluster\"\n",
                "worker.rate_limit_scope is \"cluster\": workers count their starts together in Redis, and neither broker nor result_backend is one, in c.toml:3",
            ),
        ] {
            assert_eq!(config(text).unwrap_err(), words, "{text}");
        }
        let shared = "broker = \"redis://h\"\n[worker]\nrate_limit_scope = \"cluster\"\n";
        assert!(config(shared).is_ok());
    }

    #[test]
    fn tasks_are_counted() {
        let many = |count: usize| -> String {
            (0..count)
                .map(|n| format!("[tasks.t{n}]\nrate_limit = \"1\"\n"))
                .collect()
        };
        assert_eq!(config(&many(TASKS)).unwrap().rates.len(), TASKS);
        let error = config(&many(TASKS + 1)).unwrap_err();
        assert!(error.contains("at most 10000 are allowed"), "{error}");
    }
}
