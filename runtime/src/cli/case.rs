//! One file of `cases/`: a call of a task, and what must come of it.

mod written;

use super::compare::differences;
use super::ending::ending;
use crate::config::units;
use crate::telemetry::human;
use anyhow::Context as _;
use celeriac_sandbox::{Outcome, Report};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

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

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or says something else than a case.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        written::parse(&text, path.parent().unwrap_or(Path::new(".")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::{Failure, Log, Usage};

    fn parse(text: &str) -> anyhow::Result<Case> {
        written::parse(text, Path::new("."))
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
            ..Usage::default()
        };
        let problems = case.judge(&report);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(
            problems[2],
            "wanted at most 1MiB of memory, it took 2048 KiB"
        );
    }
}
