//! One file of `cases/`: a call of a task, and what must come of it.

use super::compare::differences;
use super::ending::ending;
use crate::config::units;
use crate::telemetry::human;
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use celeriac_sandbox::{Outcome, Report};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// The key of a table that stands for the bytes of a file beside the case.
const FILE: &str = "$file";

/// A case, read and checked.
#[derive(Debug)]
pub(crate) struct Case {
    /// The task; without one the module's only task.
    pub(crate) task: Option<String>,
    /// A JSON array.
    pub(crate) args: String,
    /// A JSON object.
    pub(crate) kwargs: String,
    /// How often the task was retried before.
    pub(crate) retries: u32,
    wanted: Wanted,
    message: Option<String>,
    cpu: Option<Duration>,
    time: Option<Duration>,
    memory: Option<u64>,
}

/// How the attempt must end.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// With this result.
    Result(Value),
    /// With a result that has at least these parts.
    Part(Value),
    /// With a failure of this kind.
    Failure(String),
    /// With a wish for another attempt for a reason of this kind; empty for any.
    Retry(String),
    /// With one of the other words of [`ending`].
    Word(&'static str),
    /// At the limit of this name.
    Limit(String),
}

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

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or says something else than a case.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(".")))
    }

    fn parse(text: &str, folder: &Path) -> anyhow::Result<Self> {
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
        Ok(Self {
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

    /// Lists what is not as the case wants it; nothing where all is.
    pub(crate) fn judge(&self, report: &Report) -> Vec<String> {
        let end = ending(&report.outcome);
        let mut problems = self.judge_end(report);
        if let Some(message) = &self.message
            && !end.text.contains(message)
        {
            problems.push(format!(
                "wanted a message with {message:?}, got {:?}",
                end.text
            ));
        }
        let usage = &report.usage;
        for (what, most, took) in [
            ("cpu", self.cpu, usage.cpu),
            ("time", self.time, usage.wall),
        ] {
            if let Some(most) = most.filter(|most| took > *most) {
                let most = units::print_duration(most);
                problems.push(format!(
                    "wanted at most {most} of {what}, it took {}",
                    human::span(took)
                ));
            }
        }
        if let Some(most) = self.memory.filter(|most| usage.memory_peak_bytes > *most) {
            let (most, took) = (units::print_bytes(most), usage.memory_peak_bytes >> 10);
            problems.push(format!(
                "wanted at most {most} of memory, it took {took} KiB"
            ));
        }
        problems
    }

    fn judge_end(&self, report: &Report) -> Vec<String> {
        let end = ending(&report.outcome);
        let is = |word: &str, kind: &str| {
            end.word == word && (kind.is_empty() || end.kind.as_deref() == Some(kind))
        };
        let (right, wanted) = match &self.wanted {
            Wanted::Result(value) | Wanted::Part(value) => {
                let part = matches!(self.wanted, Wanted::Part(_));
                if let Outcome::Returned(bytes) = &report.outcome {
                    return match serde_json::from_slice(bytes) {
                        Ok(got) => differences(value, &got, part),
                        Err(error) => vec![format!("the result cannot be compared: {error}")],
                    };
                }
                (false, "a result".to_owned())
            }
            Wanted::Failure(kind) => (is("failed", kind), format!("the failure {kind}")),
            Wanted::Retry(kind) if kind.is_empty() => (is("retry", kind), "a retry".to_owned()),
            Wanted::Retry(kind) => (is("retry", kind), format!("a retry for {kind}")),
            Wanted::Word(word) => (is(word, ""), format!("it {word}")),
            Wanted::Limit(limit) => (is("limit", limit), format!("the {limit} limit")),
        };
        if right {
            return Vec::new();
        }
        let kind = end.kind.map(|kind| format!(" {kind}")).unwrap_or_default();
        vec![format!(
            "wanted {wanted}, got {}{kind}: {}",
            end.word, end.text
        )]
    }
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
    use celeriac_sandbox::{Failure, Log, Usage};

    fn parse(text: &str) -> anyhow::Result<Case> {
        Case::parse(text, Path::new("."))
    }

    fn report(outcome: Outcome) -> Report {
        Report {
            outcome,
            usage: Usage::default(),
            log: Log::default(),
            progress: Vec::new(),
            submitted: celeriac_sandbox::Submitted::default(),
        }
    }

    fn failed(kind: &str, message: &str) -> Report {
        report(Outcome::Failed(Failure {
            kind: kind.to_owned(),
            message: message.to_owned(),
            trace: None,
            retryable: None,
        }))
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
        let case = Case::parse(text, folder.path()).unwrap();
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

    #[test]
    fn a_result_is_compared_by_value_or_in_part() {
        let got = || report(Outcome::Returned(r#"{"a":1,"b":2}"#.into()));
        assert!(
            parse("[expect.result]\na = 1\nb = 2")
                .unwrap()
                .judge(&got())
                .is_empty()
        );
        assert!(
            parse("[expect.result_has]\na = 1")
                .unwrap()
                .judge(&got())
                .is_empty()
        );
        let problems = parse("[expect.result]\na = 2").unwrap().judge(&got());
        assert_eq!(
            problems,
            ["$.a: wanted 2, got 1", "$.b: wanted nothing, got 2"]
        );
    }

    #[test]
    fn a_failure_is_told_by_its_kind_and_message() {
        let case = parse("[expect]\nfailure = 'ValueError'\nmessage = 'empty'").unwrap();
        assert!(
            case.judge(&failed("ValueError", "the name is empty"))
                .is_empty()
        );
        let problems = case.judge(&failed("KeyError", "name"));
        assert_eq!(problems.len(), 2);
        assert_eq!(
            problems[0],
            "wanted the failure ValueError, got failed KeyError: name"
        );
        assert!(case.judge(&report(Outcome::Returned("1".into())))[0].contains("got returned: 1"));
    }

    #[test]
    fn usage_has_its_bounds() {
        let case =
            parse("[expect]\nignore = true\ncpu = '5ms'\ntime = '10ms'\nmemory = '1MiB'").unwrap();
        let mut report = report(Outcome::Ignore);
        assert!(case.judge(&report).is_empty());
        report.usage = Usage {
            wall: Duration::from_millis(11),
            cpu: Duration::from_millis(6),
            memory_peak_bytes: 2 << 20,
        };
        let problems = case.judge(&report);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(
            problems[2],
            "wanted at most 1MiB of memory, it took 2048 KiB"
        );
    }
}
