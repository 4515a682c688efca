//! Whether callers of a module's tasks can go on as they are when a new version runs.
//!
//! It compares what two components say about their tasks. Every finding is something a
//! caller would meet: a call that fails, an argument that means something else, a result
//! of a kind that was not promised. What cannot be told is no finding.

mod bounds;
mod parameters;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod widening;

use celeriac_sandbox::TaskInfo;
use schema::{Less, Steps};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most findings that are told of one push (64): who broke more reads no longer list.
pub const FINDINGS: usize = 64;

/// What callers of a task would see of a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The task.
    pub task: String,
    /// The parameter, where it is about one.
    pub parameter: Option<String>,
    /// What kind of break it is.
    pub breaks: Break,
    /// One line for people, which names the task and the parameter.
    pub seen: String,
}

/// The kinds of breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// The task is gone.
    TaskGone,
    /// A parameter is gone.
    ParameterGone,
    /// A parameter has another name.
    ParameterRenamed,
    /// There is a new parameter that every call must give.
    NewRequired,
    /// A parameter that could be left out cannot any more.
    BecameRequired,
    /// A parameter stands at another position.
    Moved,
    /// A parameter is taken by name only.
    ByNameOnly,
    /// A schema takes less than it did.
    TakesLess,
    /// Bytes of a content type are not taken any more.
    ContentType,
    /// The schema of the result promises less than it did.
    PromisesLess,
}

impl Break {
    /// Returns the word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TaskGone => "task_gone",
            Self::ParameterGone => "parameter_gone",
            Self::ParameterRenamed => "parameter_renamed",
            Self::NewRequired => "new_required",
            Self::BecameRequired => "became_required",
            Self::Moved => "moved",
            Self::ByNameOnly => "by_name_only",
            Self::TakesLess => "takes_less",
            Self::ContentType => "content_type",
            Self::PromisesLess => "promises_less",
        }
    }
}

/// What a new version changes, task by task: names, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Tasks that were not there.
    pub added: Vec<String>,
    /// Tasks that are not there any more.
    pub removed: Vec<String>,
    /// Tasks that say something else about themselves than before.
    pub changed: Vec<String>,
}

/// Tells what breaks for callers when the tasks `before` become those `after`, at most
/// [`FINDINGS`].
#[must_use]
pub fn breaks(before: &[TaskInfo], after: &[TaskInfo]) -> Vec<Finding> {
    let now: BTreeMap<_, _> = after
        .iter()
        .map(|task| (task.name.as_str(), task))
        .collect();
    let mut steps = Steps::new();
    let mut found = Vec::new();
    for old in before {
        let Some(new) = now.get(old.name.as_str()) else {
            let what = "is gone; calls of it fail with NotRegistered";
            found.push(Finding {
                task: old.name.clone(),
                parameter: None,
                breaks: Break::TaskGone,
                seen: format!("{} {what}", old.name),
            });
            continue;
        };
        let mut task = Task {
            name: &old.name,
            steps: &mut steps,
            found: &mut found,
        };
        task.parameters(&old.params, &new.params);
        task.content_types(old, new);
        task.result(old.result_schema.as_deref(), new.result_schema.as_deref());
    }
    found.truncate(FINDINGS);
    found
}

/// Tells which tasks a new version adds, removes and changes.
#[must_use]
pub fn changes(before: &[TaskInfo], after: &[TaskInfo]) -> Changes {
    let by_name = |tasks: &'_ [TaskInfo]| -> BTreeMap<String, TaskInfo> {
        let pairs = tasks.iter().map(|task| (task.name.clone(), task.clone()));
        pairs.collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let names = |of: &BTreeMap<String, TaskInfo>, keep: &dyn Fn(&str, &TaskInfo) -> bool| {
        let kept = of.iter().filter(|(name, task)| keep(name, task));
        kept.map(|(name, _)| name.clone()).collect()
    };
    Changes {
        added: names(&after, &|name, _| !before.contains_key(name)),
        removed: names(&before, &|name, _| !after.contains_key(name)),
        changed: names(&after, &|name, task| {
            before.get(name).is_some_and(|old| old != task)
        }),
    }
}

/// A task that both versions have.
struct Task<'a> {
    name: &'a str,
    steps: &'a mut Steps,
    found: &'a mut Vec<Finding>,
}

impl Task<'_> {
    fn find(&mut self, parameter: Option<&str>, breaks: Break, what: &str) {
        let subject = parameter.map_or_else(String::new, |name| format!(": {name}"));
        self.found.push(Finding {
            task: self.name.to_owned(),
            parameter: parameter.map(str::to_owned),
            breaks,
            seen: format!("{}{subject} {what}", self.name),
        });
    }

    fn content_types(&mut self, old: &TaskInfo, new: &TaskInfo) {
        for content_type in old.accepted() {
            if !new.accepted().any(|one| one == content_type) {
                let what = format!("takes no bytes of {content_type:?} any more");
                self.find(None, Break::ContentType, &what);
            }
        }
    }

    fn result(&mut self, old: Option<&str>, new: Option<&str>) {
        let Some(old) = old else {
            return;
        };
        let Some(new) = new else {
            let what = "says nothing of its result any more";
            return self.find(None, Break::PromisesLess, what);
        };
        // Every result there may be now must be one that was promised.
        for less in self.steps.less(new, old) {
            if let Some(what) = less.of_result() {
                self.find(None, Break::PromisesLess, &what);
            }
        }
    }

    fn taken(&mut self, parameter: &str, old: Option<&str>, new: Option<&str>) {
        let (Some(old), Some(new)) = (old, new) else {
            return;
        };
        for less in self.steps.less(old, new) {
            self.find(
                Some(parameter),
                Break::TakesLess,
                &Less::of_parameter(&less),
            );
        }
    }
}
