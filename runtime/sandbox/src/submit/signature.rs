//! Which tasks a signature document names. Arguments are not read.

use super::{SubmitError, TASK_BYTES};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Deepest nesting of signatures in signatures (24): each level is read again,
/// and read by a call within a call. Celery's own are 2 or 3 deep.
const NESTING: u32 = 24;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    task: Cow<'a, str>,
    #[serde(borrow, default)]
    subtask_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kwargs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    options: Option<&'a RawValue>,
}

/// The options that hold signatures, or lists of them.
#[derive(Deserialize, Default)]
struct Options<'a> {
    #[serde(borrow, default)]
    link: Option<&'a RawValue>,
    #[serde(borrow, default)]
    link_error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chain: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chord: Option<&'a RawValue>,
}

/// The keyword arguments of canvas tasks that hold signatures, or lists of them.
#[derive(Deserialize, Default)]
struct Members<'a> {
    #[serde(borrow, default)]
    tasks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    header: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    task: Option<&'a RawValue>,
}

/// Returns the names of all tasks in a signature, at most `most`, those of chains,
/// groups, chords, callbacks and errbacks included. `json` is valid JSON.
pub(crate) fn tasks(json: &[u8], most: u32) -> Result<Vec<String>, SubmitError> {
    let text = std::str::from_utf8(json).map_err(|error| wrong(&error.to_string()))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    let mut found = Found {
        names: Vec::new(),
        most: usize::try_from(most).unwrap_or(usize::MAX),
    };
    found.signature(raw, 0)?;
    Ok(found.names)
}

struct Found {
    names: Vec<String>,
    most: usize,
}

impl Found {
    fn signature(&mut self, raw: &RawValue, depth: u32) -> Result<(), SubmitError> {
        if depth > NESTING {
            return Err(wrong(&format!(
                "it is nested deeper than {NESTING} (fixed)"
            )));
        }
        let document: Document<'_> = parse(raw)?;
        let (task, kind) = (document.task.as_ref(), document.subtask_type.as_deref());
        let canvas = match task {
            "celery.chain" => Some("chain"),
            "celery.group" => Some("group"),
            "celery.chord" => Some("chord"),
            _ => None,
        };
        let is_canvas = canvas.is_some();
        let is_map = matches!(task, "celery.map" | "celery.starmap");
        // Whoever sends it goes by the subtask_type: what looks like one task here
        // must not be many there. Of chunks nobody knows how many they are.
        let is_odd = !is_map && kind.is_some_and(|kind| canvas != Some(kind));
        if is_odd || (is_canvas && kind != canvas) {
            return Err(wrong(&format!(
                "subtask_type {kind:?} does not fit the task {task:?}"
            )));
        }
        if !is_canvas {
            self.name(task)?;
        }
        if let Some(kwargs) = document.kwargs.filter(|_| is_canvas || is_map) {
            let members: Members<'_> = parse(kwargs)?;
            for raw in [members.tasks, members.header, members.body, members.task] {
                self.some(raw, depth)?;
            }
        }
        let options: Options<'_> = document.options.map_or(Ok(Options::default()), parse)?;
        for raw in [
            options.link,
            options.link_error,
            options.chain,
            options.chord,
        ] {
            self.some(raw, depth)?;
        }
        Ok(())
    }

    /// A signature, a list of them, or none.
    fn some(&mut self, raw: Option<&RawValue>, depth: u32) -> Result<(), SubmitError> {
        let Some(raw) = raw else {
            return Ok(());
        };
        if !raw.get().starts_with('[') {
            return self.signature(raw, depth + 1);
        }
        let all: Vec<&RawValue> = parse(raw)?;
        if all.len() > self.most {
            return Err(SubmitError::too_many(
                u32::try_from(all.len()).unwrap_or(u32::MAX),
            ));
        }
        all.into_iter()
            .try_for_each(|raw| self.signature(raw, depth + 1))
    }

    fn name(&mut self, name: &str) -> Result<(), SubmitError> {
        if name.len() > TASK_BYTES {
            let what = "the name of a task";
            return Err(SubmitError::too_long(what, name.len(), TASK_BYTES));
        }
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(wrong("a task in it has no name"));
        }
        if self.names.len() >= self.most {
            let more = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            return Err(SubmitError::too_many(more.saturating_add(1)));
        }
        self.names.push(name.to_owned());
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, SubmitError> {
    serde_json::from_str(raw.get()).map_err(|error| wrong(&error.to_string()))
}

fn wrong(reason: &str) -> SubmitError {
    SubmitError::Denied(format!("the signature cannot be understood: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(value: &serde_json::Value) -> Result<Vec<String>, SubmitError> {
        tasks(value.to_string().as_bytes(), 100)
    }

    #[test]
    fn tasks_are_found_wherever_they_hide() {
        let task = |name: &str| json!({"task": name, "args": [], "kwargs": {}, "options": {}});
        let linked = json!({"task": "a", "kwargs": {"tasks": "an argument"}, "options": {
            "link": [task("b")], "link_error": task("c"), "chain": [task("d")], "chord": task("e"),
        }});
        let group = json!({"task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": [linked, task("f")]}});
        let chord = json!({"task": "celery.chord", "subtask_type": "chord", "kwargs": {"header": group, "body": task("g")}});
        let map = json!({"task": "celery.map", "kwargs": {"task": task("h"), "it": [1]}});
        let chain = json!({"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": [chord, map]}});
        assert_eq!(
            names(&chain).unwrap(),
            ["a", "b", "c", "d", "e", "f", "g", "celery.map", "h"]
        );
    }

    #[test]
    fn more_tasks_than_allowed_are_over_the_quota() {
        let group = |n: usize| {
            let tasks = vec![json!({"task": "a"}); n];
            json!({"task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": tasks}})
        };
        assert_eq!(names(&group(100)).unwrap().len(), 100);
        assert_eq!(names(&group(101)), Err(SubmitError::too_many(101)));
    }

    #[test]
    fn what_is_no_signature_or_nested_without_end_is_refused() {
        let mut deep = json!({"task": "a"});
        for _ in 0..=NESTING {
            deep = json!({"task": "a", "options": {"link": deep}});
        }
        for value in [
            json!({}),
            json!(1),
            json!({"task": ""}),
            json!({"task": "a", "options": {"link": 1}}),
            json!({"task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": [1]}}),
            json!({"task": "celery.group", "kwargs": {"tasks": []}}),
            json!({"task": "celery.group", "subtask_type": "chord", "kwargs": {}}),
            json!({"task": "a", "subtask_type": "group", "kwargs": {"tasks": []}}),
            json!({"task": "celery.chunks", "subtask_type": "chunks", "kwargs": {}}),
            deep,
        ] {
            assert!(
                matches!(names(&value), Err(SubmitError::Denied(_))),
                "{value}"
            );
        }
        let twice = br#"{"task": "a", "task": "b"}"#;
        assert!(tasks(twice, 100).is_err());
    }
}
