//! What a component says about its tasks, checked.

use crate::error::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most tasks in one component.
const TASKS: usize = 256;
/// Longest task or parameter name, characters.
const NAME: usize = 128;
/// Most bytes of everything a component says about one task.
const INFO_BYTES: usize = 256 << 10;

/// One task of a component, as it described itself at upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Matches `[A-Za-z_][A-Za-z0-9_]*`.
    pub name: String,
    /// What it does, for people.
    pub doc: String,
    /// Parameters in the order of the signature.
    pub params: Vec<Param>,
    /// JSON Schema of the result, as JSON text.
    pub result_schema: Option<String>,
    /// Limits it asks for.
    pub limits: AskedLimits,
    /// Retry policy it asks for; `None` takes the host's.
    pub retry: Option<RetryPolicy>,
    /// Whether its message is acknowledged before it starts.
    pub at_most_once: bool,
    /// Grants it would like to have.
    pub wants: Vec<String>,
    /// Hints as names and values.
    pub extra: Vec<(String, String)>,
}

/// Limits a task asks for; `None` takes the host's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedLimits {
    /// Milliseconds from start to end.
    pub wall_ms: Option<u64>,
    /// Milliseconds until the guest is asked to stop.
    pub soft_wall_ms: Option<u64>,
    /// Milliseconds of CPU time.
    pub cpu_ms: Option<u64>,
    /// Bytes of memories and tables.
    pub memory_bytes: Option<u64>,
    /// Bytes of a result.
    pub result_bytes: Option<u64>,
}

/// When and how often a failed attempt is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None` takes the host's default.
    pub max_retries: Option<u32>,
    /// Delay before the first retry, milliseconds; `None` takes the host's for
    /// every retry.
    pub first_delay_ms: Option<u64>,
    /// Longest delay, milliseconds.
    pub max_delay_ms: u64,
    /// Growth of the delay, thousandths.
    pub factor_milli: u32,
    /// Whether the delay is chosen at random between zero and the computed one.
    pub jitter: bool,
    /// Prefixes of failure kinds that are retried.
    pub retry_kinds: Vec<String>,
}

/// One parameter of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// How it takes its argument.
    pub kind: ParamKind,
    /// Whether a call without it is an error.
    pub required: bool,
    /// Default value as JSON text.
    pub default: Option<String>,
    /// JSON Schema of the value, as JSON text.
    pub schema: Option<String>,
}

/// How a parameter takes its argument, in the terms of Python's `inspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// By position or by name.
    PositionalOrKeyword,
    /// All further positional arguments.
    VarPositional,
    /// By name only.
    KeywordOnly,
    /// All further keyword arguments.
    VarKeyword,
}

impl TaskInfo {
    /// Returns the signature as a person would write it, for example
    /// `thumbnail(bytes, width=128)`.
    #[must_use]
    pub fn signature(&self) -> String {
        let mut parts = Vec::new();
        let mut starred = false;
        for param in &self.params {
            if param.kind == ParamKind::KeywordOnly && !starred {
                parts.push("*".to_owned());
                starred = true;
            }
            let default = param.default.as_deref();
            parts.push(match (param.kind, default) {
                (ParamKind::VarPositional, _) => {
                    starred = true;
                    format!("*{}", param.name)
                }
                (ParamKind::VarKeyword, _) => format!("**{}", param.name),
                (_, Some(value)) => format!("{}={value}", param.name),
                (_, None) => param.name.clone(),
            });
        }
        format!("{}({})", self.name, parts.join(", "))
    }

    /// Returns the content types of which it takes the bytes.
    pub fn accepted(&self) -> impl Iterator<Item = &str> {
        let accepts = self.extra.iter().filter(|(name, _)| name == "accept");
        accepts.map(|(_, content_type)| content_type.as_str())
    }
}

/// Checks a whole description: count, names, sizes, JSON texts.
pub(crate) fn check(tasks: Vec<TaskInfo>) -> Result<Vec<TaskInfo>, Refusal> {
    if tasks.is_empty() || tasks.len() > TASKS {
        return Err(Refusal::Description {
            reason: format!(
                "it describes {} tasks; it must be 1 to {TASKS} (fixed)",
                tasks.len()
            ),
        });
    }
    let mut seen = BTreeSet::new();
    for task in &tasks {
        if !is_name(&task.name) {
            return Err(described(
                task,
                "the name does not match [A-Za-z_][A-Za-z0-9_]*",
            ));
        }
        if !seen.insert(task.name.as_str()) {
            return Err(described(task, "the name is used twice"));
        }
        check_task(task)?;
    }
    Ok(tasks)
}

fn check_task(task: &TaskInfo) -> Result<(), Refusal> {
    let mut bytes = task.doc.len() + task.result_schema.as_ref().map_or(0, String::len);
    let mut texts: Vec<&str> = task.result_schema.as_deref().into_iter().collect();
    for param in &task.params {
        if !is_name(&param.name) {
            let problem = format!("parameter {:?} is not a name", param.name);
            return Err(described(task, &problem));
        }
        texts.extend(param.default.as_deref());
        texts.extend(param.schema.as_deref());
    }
    bytes += texts.iter().map(|text| text.len()).sum::<usize>();
    bytes += task.wants.iter().map(String::len).sum::<usize>();
    bytes += task
        .extra
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>();
    if bytes > INFO_BYTES {
        let problem = format!("it says {bytes} bytes about itself; at most {INFO_BYTES} (fixed)");
        return Err(described(task, &problem));
    }
    for text in texts {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            let problem = format!("a default or schema is not JSON: {error}");
            return Err(described(task, &problem));
        }
    }
    Ok(())
}

fn described(task: &TaskInfo, problem: &str) -> Refusal {
    let name: String = task.name.chars().take(NAME).collect();
    Refusal::Description {
        reason: format!("task {name:?}: {problem}"),
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= NAME
        && chars
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> TaskInfo {
        TaskInfo {
            name: name.to_owned(),
            doc: String::new(),
            params: Vec::new(),
            result_schema: None,
            limits: AskedLimits::default(),
            retry: None,
            at_most_once: false,
            wants: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn param(name: &str, kind: ParamKind, default: Option<&str>) -> Param {
        Param {
            name: name.to_owned(),
            kind,
            required: default.is_none(),
            default: default.map(str::to_owned),
            schema: None,
        }
    }

    #[test]
    fn a_description_without_tasks_is_refused() {
        assert!(check(Vec::new()).is_err());
    }

    #[test]
    fn more_than_256_tasks_are_refused() {
        let many: Vec<_> = (0..=TASKS).map(|n| task(&format!("t{n}"))).collect();
        assert!(check(many).unwrap_err().to_string().contains("257"));
    }

    #[test]
    fn names_are_python_identifiers_and_unique() {
        for bad in ["", "1a", "a.b", "a b", "ä", "a\u{1b}[31m"] {
            assert!(check(vec![task(bad)]).is_err(), "{bad:?}");
        }
        assert!(check(vec![task("a"), task("a")]).is_err());
        assert!(check(vec![task("a"), task("_b1")]).is_ok());
    }

    #[test]
    fn a_default_must_be_json_and_a_description_small() {
        let mut broken = task("t");
        broken
            .params
            .push(param("p", ParamKind::PositionalOrKeyword, Some("{")));
        assert!(check(vec![broken]).is_err());
        let mut large = task("t");
        large.doc = "x".repeat(INFO_BYTES + 1);
        assert!(check(vec![large]).is_err());
    }

    #[test]
    fn a_signature_reads_like_python() {
        let mut one = task("join");
        one.params = vec![
            param("first", ParamKind::PositionalOrKeyword, None),
            param("rest", ParamKind::VarPositional, None),
            param("sep", ParamKind::KeywordOnly, Some("\", \"")),
            param("more", ParamKind::VarKeyword, None),
        ];
        assert_eq!(one.signature(), "join(first, *rest, sep=\", \", **more)");
        one.params.remove(1);
        assert_eq!(one.signature(), "join(first, *, sep=\", \", **more)");
    }
}
