//! How the tasks of a module look: as calls, with what they ask for.

use crate::cli::screen::{Line, Screen};
use crate::task::ModuleName;
use crate::telemetry::human;
use celeriac_sandbox::{ParamKind, TaskInfo};
use std::time::Duration;

/// Shows a task as its call: `thumbnail(bytes, width=128, *rest, **more)`.
pub(crate) fn signature(task: &TaskInfo) -> String {
    let mut shown = Vec::new();
    let mut keyword_only = false;
    for param in &task.params {
        let named = match (&param.default, param.required) {
            (Some(default), _) => format!("{}={default}", param.name),
            (None, true) => param.name.clone(),
            (None, false) => format!("{}=…", param.name),
        };
        match param.kind {
            ParamKind::PositionalOrKeyword => shown.push(named),
            ParamKind::VarPositional => {
                keyword_only = true;
                shown.push(format!("*{}", param.name));
            }
            ParamKind::KeywordOnly => {
                if !std::mem::replace(&mut keyword_only, true) {
                    shown.push("*".to_owned());
                }
                shown.push(named);
            }
            ParamKind::VarKeyword => shown.push(format!("**{}", param.name)),
        }
    }
    format!("{}({})", task.name, shown.join(", "))
}

/// Most tasks that are named where a module is only mentioned.
pub(crate) const MENTIONED: usize = 12;

/// Says how many tasks of a module were not mentioned, if there are such.
pub(crate) fn more(tasks: &[TaskInfo]) -> Option<String> {
    let more = tasks
        .len()
        .checked_sub(MENTIONED)
        .filter(|more| *more > 0)?;
    Some(format!("… and {more} more"))
}

/// Shows the names of tasks, the first twelve.
pub(crate) fn task_names(tasks: &[TaskInfo]) -> String {
    let names = tasks.iter().take(MENTIONED).map(|task| task.name.clone());
    names.chain(more(tasks)).collect::<Vec<_>>().join(", ")
}

/// Shows what a task asks for.
pub(crate) fn asked(task: &TaskInfo) -> String {
    let asked = &task.limits;
    let mut shown = Vec::new();
    for (name, ms) in [
        ("time", asked.wall_ms),
        ("soft time", asked.soft_wall_ms),
        ("cpu", asked.cpu_ms),
    ] {
        shown.extend(ms.map(|ms| format!("{name} {}", human::span(Duration::from_millis(ms)))));
    }
    for (name, bytes) in [
        ("memory", asked.memory_bytes),
        ("result", asked.result_bytes),
    ] {
        shown.extend(bytes.map(|bytes| format!("{name} {}", human::size(bytes))));
    }
    if let Some(retry) = &task.retry {
        shown.extend(retry.max_retries.map(|most| match most {
            1 => "1 retry".to_owned(),
            _ => format!("{most} retries"),
        }));
    }
    if task.at_most_once {
        shown.push("at most once".to_owned());
    }
    let accepted = task.accepted().map(|name| format!("accepts {name}"));
    shown.extend(accepted);
    match shown.is_empty() {
        true => "default limits".to_owned(),
        false => shown.join(", "),
    }
}

/// Most tasks that get a paragraph each (4): more are a table.
const PARAGRAPHS: usize = 4;

/// Shows the tasks of a module: how they are called, what they do, what they ask for.
pub(crate) fn tasks(screen: &mut Screen, module: &ModuleName, tasks: &[TaskInfo]) {
    let call = |task: &TaskInfo| format!("{module}.{}", signature(task));
    if tasks.len() > PARAGRAPHS {
        let first = |task: &TaskInfo| task.doc.trim().lines().next().unwrap_or("").to_owned();
        let rows = tasks
            .iter()
            .map(|task| vec![call(task), asked(task), first(task)]);
        screen.line("");
        screen.table(&["task", "asks for", ""], rows.collect());
        return;
    }
    for task in tasks {
        screen.line("");
        screen.line(Line::new().strong(call(task)));
        for line in task.doc.trim().lines() {
            screen.line(format!("  {}", line.trim()));
        }
        screen.line(Line::new().dim(format!("  {}", asked(task))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::screen;
    use celeriac_sandbox::{AskedLimits, Param};

    fn param(name: &str, kind: ParamKind, default: Option<&str>) -> Param {
        let default = default.map(str::to_owned);
        Param {
            name: name.to_owned(),
            kind,
            required: default.is_none(),
            default,
            schema: None,
        }
    }

    fn task(params: Vec<Param>) -> TaskInfo {
        TaskInfo {
            name: "t".to_owned(),
            doc: String::new(),
            params,
            result_schema: None,
            limits: AskedLimits::default(),
            retry: None,
            at_most_once: false,
            wants: Vec::new(),
            extra: Vec::new(),
        }
    }

    #[test]
    fn a_task_is_shown_as_its_call() {
        use ParamKind::{KeywordOnly, PositionalOrKeyword, VarKeyword, VarPositional};
        for (params, shown) in [
            (vec![], "t()"),
            (
                vec![
                    param("a", PositionalOrKeyword, None),
                    param("w", PositionalOrKeyword, Some("128")),
                ],
                "t(a, w=128)",
            ),
            (
                vec![
                    param("rest", VarPositional, None),
                    param("k", KeywordOnly, None),
                ],
                "t(*rest, k)",
            ),
            (
                vec![
                    param("k", KeywordOnly, None),
                    param("l", KeywordOnly, Some("[]")),
                ],
                "t(*, k, l=[])",
            ),
            (vec![param("more", VarKeyword, None)], "t(**more)"),
        ] {
            assert_eq!(signature(&task(params)), shown);
        }
    }

    #[test]
    fn a_few_tasks_are_paragraphs_and_many_are_a_table() {
        let described = |n: usize| TaskInfo {
            name: format!("t{n}"),
            doc: "Counts.\n\nSlowly.".to_owned(),
            ..task(vec![])
        };
        let shown = |most: usize| {
            let (mut screen, printed) = screen(false);
            let all: Vec<_> = (1..=most).map(described).collect();
            tasks(&mut screen, &"m".parse().unwrap(), &all);
            printed.out()
        };
        assert_eq!(
            shown(1),
            "\nm.t1()\n  Counts.\n  \n  Slowly.\n  default limits\n"
        );
        assert_eq!(shown(PARAGRAPHS).matches("\n\n").count(), PARAGRAPHS - 1);
        let table = shown(PARAGRAPHS + 1);
        assert!(
            table.starts_with("\ntask    asks for        \nm.t1()  default limits  Counts.\n")
                || table.starts_with("\ntask    asks for\nm.t1()  default limits  Counts.\n"),
            "{table:?}"
        );
        assert_eq!(table.lines().count(), PARAGRAPHS + 3);
    }
}
