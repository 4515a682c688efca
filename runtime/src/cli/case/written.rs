//! What the file of a case may say: TOML, whose values stand for JSON.

use super::{Case, Wanted};
use crate::config::units;
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// The key of a table that stands for the bytes of a file beside the case.
const FILE: &str = "$file";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    task: Option<String>,
    args: Option<toml::Value>,
    kwargs: Option<toml::Value>,
    #[serde(default)]
    retries: u32,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    result: Option<toml::Value>,
    result_has: Option<toml::Value>,
    result_json: Option<String>,
    failure: Option<String>,
    retry: Option<String>,
    limit: Option<String>,
    #[serde(default)]
    reject: bool,
    #[serde(default)]
    ignore: bool,
    #[serde(default)]
    trap: bool,
    message: Option<String>,
    cpu: Option<String>,
    time: Option<String>,
    memory: Option<String>,
}

/// Reads the text of a case; files it names are in `folder`.
pub(super) fn parse(text: &str, folder: &Path) -> anyhow::Result<Case> {
    let written: Written = toml::from_str(text)?;
    let Expect {
        cpu,
        time,
        memory,
        message,
        ..
    } = &written.expect;
    let span = |key: &str, text: &Option<String>| match text {
        Some(text) => units::duration(text)
            .map(Some)
            .with_context(|| format!("expect.{key} is {text:?}")),
        None => Ok(None),
    };
    let (cpu, time) = (span("cpu", cpu)?, span("time", time)?);
    let memory = match memory {
        Some(text) => {
            Some(units::bytes(text).with_context(|| format!("expect.memory is {text:?}"))?)
        }
        None => None,
    };
    Ok(Case {
        args: arguments("args", written.args, Value::Array(Vec::new()), folder)?,
        kwargs: arguments("kwargs", written.kwargs, Value::Object(Map::new()), folder)?,
        task: written.task,
        retries: written.retries,
        message: message.clone(),
        cpu,
        time,
        memory,
        wanted: wanted(written.expect, folder)?,
    })
}

/// Makes arguments JSON: a TOML value, or JSON text (TOML has no null).
fn arguments(
    key: &str,
    written: Option<toml::Value>,
    none: Value,
    folder: &Path,
) -> anyhow::Result<String> {
    let value = match written {
        None => none.clone(),
        Some(toml::Value::String(text)) => {
            serde_json::from_str(&text).with_context(|| format!("{key} is text, but not JSON"))?
        }
        Some(value) => json_of(value, folder)?,
    };
    match (&value, &none) {
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
            Ok(value.to_string())
        }
        (_, Value::Array(_)) => bail!("{key} must be a list, or a JSON array as text"),
        _ => bail!("{key} must be a table, or a JSON object as text"),
    }
}

fn wanted(expect: Expect, folder: &Path) -> anyhow::Result<Wanted> {
    let mut found = Vec::new();
    if let Some(value) = expect.result {
        found.push(Wanted::Result(json_of(value, folder)?));
    }
    if let Some(value) = expect.result_has {
        found.push(Wanted::Part(json_of(value, folder)?));
    }
    if let Some(text) = &expect.result_json {
        let value = serde_json::from_str(text).context("expect.result_json is not JSON")?;
        found.push(Wanted::Result(value));
    }
    found.extend(expect.failure.map(Wanted::Failure));
    found.extend(expect.retry.map(Wanted::Retry));
    found.extend(expect.limit.map(Wanted::Limit));
    found.extend(expect.reject.then_some(Wanted::Word("rejected")));
    found.extend(expect.ignore.then_some(Wanted::Word("ignored")));
    found.extend(expect.trap.then_some(Wanted::Word("trapped")));
    match (found.pop(), found.is_empty()) {
        (Some(wanted), true) => Ok(wanted),
        (count, _) => bail!(
            "[expect] names {} endings; it must name one of result, result_has, result_json, failure, \
             retry, limit, reject, ignore, trap",
            found.len() + usize::from(count.is_some())
        ),
    }
}

/// Turns a TOML value into JSON. A table `{ "$file" = "photo.png" }` becomes
/// the bytes of that file, as Celery sends bytes.
fn json_of(value: toml::Value, folder: &Path) -> anyhow::Result<Value> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) if number.is_finite() => json!(number),
        toml::Value::Float(number) => bail!("{number} has no form in JSON"),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(moment) => {
            json!({ "__type__": "datetime", "__value__": moment.to_string() })
        }
        toml::Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| json_of(item, folder))
                .collect::<Result<_, _>>()?,
        ),
        toml::Value::Table(table) => {
            if let (1, Some(toml::Value::String(file))) = (table.len(), table.get(FILE)) {
                let path = folder.join(file);
                let bytes =
                    std::fs::read(&path).with_context(|| format!("cannot read {path:?}"))?;
                return Ok(json!({ "__type__": "base64", "__value__": STANDARD.encode(bytes) }));
            }
            let pairs = table
                .into_iter()
                .map(|(key, value)| Ok((key, json_of(value, folder)?)));
            Value::Object(pairs.collect::<anyhow::Result<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Case> {
        super::parse(text, Path::new("."))
    }

    #[test]
    fn arguments_are_toml_or_json() {
        let case =
            parse("args = [1, 'a', 1.5]\nkwargs = { a = { b = true } }\n[expect]\nresult = 1")
                .unwrap();
        assert_eq!(
            (case.args.as_str(), case.kwargs.as_str()),
            (r#"[1,"a",1.5]"#, r#"{"a":{"b":true}}"#)
        );
        let case = parse("args = '[null]'\n[expect]\nresult_json = 'null'").unwrap();
        assert_eq!((case.args.as_str(), case.kwargs.as_str()), ("[null]", "{}"));
        for bad in [
            "args = { a = 1 }",
            "args = '{}'",
            "kwargs = [1]",
            "kwargs = 'no'",
            "args = [nan]",
        ] {
            assert!(
                parse(&format!("{bad}\n[expect]\nresult = 1")).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn bytes_come_from_a_file_beside_the_case() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.bin"), [0, 255]).unwrap();
        let text = "kwargs = { b = { '$file' = 'a.bin' } }\n[expect]\nresult = 1";
        let case = super::parse(text, folder.path()).unwrap();
        assert_eq!(
            case.kwargs,
            r#"{"b":{"__type__":"base64","__value__":"AP8="}}"#
        );
        assert!(parse("args = [{ '$file' = 'missing' }]\n[expect]\nresult = 1").is_err());
    }

    #[test]
    fn exactly_one_ending_is_wanted_and_nothing_unknown() {
        assert!(
            parse("[expect]\ncpu = '1s'")
                .unwrap_err()
                .to_string()
                .contains("names 0 endings")
        );
        let two = parse("[expect]\nresult = 1\nfailure = 'E'")
            .unwrap_err()
            .to_string();
        assert!(two.contains("names 2 endings"), "{two}");
        assert!(parse("tsak = 'a'\n[expect]\nresult = 1").is_err());
        let error = parse("[expect]\nresult = 1\ncpu = '5'").unwrap_err();
        assert!(
            format!("{error:#}").contains("expect.cpu is \"5\""),
            "{error:#}"
        );
    }
}
