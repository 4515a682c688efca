//! The section `[routes]`: where what we publish goes.

use super::error::ConfigError;
use super::reader::Reader;
use super::worker::check_queue;
use std::collections::BTreeMap;

/// Most routes (10,000): they are held in memory and looked up per message.
const ROUTES: usize = 10_000;
/// Longest name or pattern of a route, bytes: the longest name of a task.
const PATTERN_BYTES: usize = 512;

/// Reads the routes: names and patterns of tasks, and their queues.
pub(super) fn read(reader: &mut Reader) -> Result<BTreeMap<String, String>, ConfigError> {
    reader.texts("routes", ROUTES, "the name of a queue", |pattern, queue| {
        check_pattern(pattern).map_err(|wanted| format!("a route is for {wanted}"))?;
        check_queue(queue)
    })
}

/// Checks the name or the pattern of tasks.
pub(super) fn check_pattern(pattern: &str) -> Result<(), String> {
    let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
    if pattern.is_empty()
        || pattern.len() > PATTERN_BYTES
        || beginning.contains('*')
        || pattern.chars().any(char::is_control)
    {
        return Err(format!(
            "the name of a task, or its beginning and one \"*\" at the end, at most {PATTERN_BYTES} bytes"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, RawConfig};
    use super::*;
    use std::path::Path;

    fn routes(text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut raw = RawConfig::default();
        raw.read_text(Path::new("c.toml"), text).unwrap();
        let checked = Config::check(raw).map_err(|error| error.to_string());
        checked.map(|(config, _)| config.routes)
    }

    #[test]
    fn routes_keep_their_dots_and_stars() {
        let text =
            "[routes]\n\"images.*\" = \"heavy\"\nimages.resize = \"light\"\n\"*\" = \"rest\"\n";
        let routes = routes(text).unwrap();
        let queue = |pattern: &str| routes.get(pattern).map(String::as_str);
        assert_eq!(queue("images.*"), Some("heavy"));
        assert_eq!(queue("images.resize"), Some("light"));
        assert_eq!(queue("*"), Some("rest"));
    }

    #[test]
    fn a_wrong_route_is_refused_with_key_value_and_reason() {
        let pattern = "a route is for the name of a task, or its beginning and one \"*\" at the end, at most 512 bytes, in c.toml:2";
        for (text, words) in [
            (
                "[routes]\n\"a.*.b\" = \"q\"\n".to_owned(),
                format!("routes.\"a.*.b\" is \"q\": {pattern}"),
            ),
            (
                "[routes]\n\"**\" = \"q\"\n".to_owned(),
                format!("routes.\"**\" is \"q\": {pattern}"),
            ),
            (
                format!("[routes]\n\"{}*\" = \"q\"\n", "x".repeat(512)),
                format!("routes.\"{}*\" is \"q\": {pattern}", "x".repeat(512)),
            ),
            (
                "[routes]\n\"a.*\" = \"\"\n".to_owned(),
                "routes.\"a.*\" is \"\": a queue's name has 1 to 255 bytes, no commas and no control characters, in c.toml:2".to_owned(),
            ),
            (
                "[routes]\n\"a.*\" = 1\n".to_owned(),
                "routes.\"a.*\" is 1: a string is wanted: the name of a queue, in c.toml:2".to_owned(),
            ),
        ] {
            assert_eq!(routes(&text).unwrap_err(), words, "{text}");
        }
        let many: String = (0..=ROUTES).map(|n| format!("t{n} = \"q\"\n")).collect();
        let error = routes(&format!("[routes]\n{many}")).unwrap_err();
        assert!(error.contains("at most 10000 are allowed"), "{error}");
    }
}
