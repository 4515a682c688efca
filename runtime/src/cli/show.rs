//! How modules, tasks and records look in text.

use super::screen::{Line, Screen};
use crate::registry::Digest;
use crate::results::{Exception, Record, RunUsage};
use crate::task::{ModuleName, State};
use crate::telemetry::human;
use celeriac_sandbox::{Log, ParamKind, TaskInfo};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Shows the beginning of a digest.
pub(crate) fn digest(digest: &Digest) -> String {
    format!(
        "sha256:{}…",
        digest.hex().chars().take(8).collect::<String>()
    )
}

/// Shows how long ago a moment was.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    let span = Duration::try_from(now.duration_since(then)).unwrap_or_default();
    match span.as_secs() {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", human::span(Duration::from_secs(seconds))),
    }
}

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

/// Shows a record: one line about the state, then the result or the failure.
pub(crate) fn record(screen: &mut Screen, record: &Record) {
    match &record.state {
        State::Success => {
            screen.line(Line::new().good("SUCCESS").text(used(&record.usage)));
            screen.line(text(record.result.as_deref().unwrap_or(b"null")));
        }
        State::Failure | State::Revoked => {
            let name = record.exception.as_ref().map(class).unwrap_or_default();
            screen.line(Line::new().bad(record.state.as_str()).text("  ").text(name));
            if let Some(exception) = &record.exception {
                failure(screen, exception);
            }
        }
        State::Retry => {
            let name = record.exception.as_ref().map(class).unwrap_or_default();
            let due = record
                .due
                .map(|due| format!("again at {due}  "))
                .unwrap_or_default();
            screen.line(
                Line::new()
                    .strong("RETRY")
                    .text(format!("  {due}after {name}")),
            );
            if let Some(exception) = &record.exception {
                failure(screen, exception);
            }
        }
        State::Started | State::Custom(_) => {
            screen.line(
                Line::new()
                    .strong(record.state.as_str())
                    .text(format!("  on {}", record.worker)),
            );
            if let Some(meta) = &record.result {
                screen.line(text(meta));
            }
        }
    }
}

/// Shows the log of the last attempt, and how much of it was dropped.
pub(crate) fn log(screen: &mut Screen, record: &Record) {
    let log = record
        .log
        .as_deref()
        .and_then(|log| serde_json::from_str::<Log>(log).ok());
    let Some(log) = log else {
        return;
    };
    for line in log.lines {
        let level = format!("{:?}", line.level).to_lowercase();
        let fields = line
            .fields
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect::<String>();
        screen.line(Line::new().dim(format!("{level:<5} {}{fields}", line.message)));
    }
    if log.dropped_lines > 0 {
        let lines = human::count(log.dropped_lines, "line");
        screen.line(Line::new().dim(format!(
            "and {lines} more ({}) over the limit of the log",
            human::size(log.dropped_bytes)
        )));
    }
}

/// What programs are told about a task.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    id: &'a str,
    state: &'a str,
    #[serde(flatten)]
    known: Option<Known<'a>>,
}

#[derive(Debug, Serialize)]
struct Known<'a> {
    task: &'a str,
    /// The very text of the guest: numbers and order of keys are kept.
    result: Option<&'a RawValue>,
    exception: Option<&'a Exception>,
    retries: u32,
    deliveries: u32,
    due: Option<String>,
    worker: &'a str,
    usage: RunUsage,
    log: Option<&'a RawValue>,
    written_at: String,
}

/// Makes the document of a task for programs.
pub(crate) fn document<'a>(id: &'a str, record: Option<&'a Record>) -> Document<'a> {
    Document {
        id,
        state: record.map_or("PENDING", |record| record.state.as_str()),
        known: record.map(|record| Known {
            task: &record.task,
            result: record
                .result
                .as_deref()
                .and_then(|result| serde_json::from_slice(result).ok()),
            exception: record.exception.as_ref(),
            retries: record.fence.retries,
            deliveries: record.fence.deliveries,
            due: record.due.map(|due| due.to_string()),
            worker: &record.worker,
            usage: record.usage,
            log: record
                .log
                .as_deref()
                .and_then(|log| serde_json::from_str(log).ok()),
            written_at: record.written_at.to_string(),
        }),
    }
}

fn failure(screen: &mut Screen, exception: &Exception) {
    for line in exception.message.lines() {
        screen.line(line);
    }
    for line in exception.trace.iter().flat_map(|trace| trace.lines()) {
        screen.line(Line::new().dim(format!("  {line}")));
    }
}

fn class(exception: &Exception) -> String {
    match exception.module.as_str() {
        "builtins" | "" => exception.class.clone(),
        module => format!("{module}.{}", exception.class),
    }
}

fn used(usage: &RunUsage) -> String {
    let wait = Duration::from_millis(usage.queue_wait_ms);
    let run = Duration::from_micros(usage.run_us);
    format!(
        " in {} (queue {}, cpu {}, peak {})",
        human::span(wait + run),
        human::span(wait),
        human::span(Duration::from_micros(usage.cpu_us)),
        human::size(usage.memory_peak_bytes),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::screen;
    use crate::task::{Fence, TaskId};
    use bytes::Bytes;
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

    fn success() -> Record {
        Record {
            id: TaskId::parse("7f3a").unwrap(),
            task: "images.thumbnail".to_owned(),
            fence: Fence {
                retries: 0,
                deliveries: 1,
            },
            state: State::Success,
            result: Some(Bytes::from_static(
                b"{\"z\":1.10,\"a\":123456789012345678901234567890}",
            )),
            exception: None,
            due: None,
            worker: "celeriac@box".to_owned(),
            usage: RunUsage {
                queue_wait_ms: 1,
                run_us: 13_000,
                cpu_us: 9_000,
                memory_peak_bytes: 3_355_444,
            },
            log: Some("{\"lines\":[{\"level\":\"info\",\"message\":\"half \\u001b[2J\",\"fields\":[[\"page\",\"3\"]]}],\"dropped_lines\":2,\"dropped_bytes\":4096}".to_owned()),
            written_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn exception(module: &str, class: &str) -> Exception {
        Exception {
            class: class.to_owned(),
            module: module.to_owned(),
            message: "cpu limit 10 s reached\nraise it: \u{1b}]0;x".to_owned(),
            trace: Some("at spin".to_owned()),
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

    #[test]
    fn a_success_is_its_cost_and_its_json() {
        let (mut screen, printed) = screen(false);
        record(&mut screen, &success());
        log(&mut screen, &success());
        assert_eq!(
            printed.out(),
            "SUCCESS in 14 ms (queue 1 ms, cpu 9 ms, peak 3.2 MiB)\n\
             {\"z\":1.10,\"a\":123456789012345678901234567890}\n\
             info  half \\u001b[2J page=3\n\
             and 2 lines more (4 KiB) over the limit of the log\n"
        );
    }

    #[test]
    fn a_failure_is_its_class_and_its_text() {
        let (mut screen, printed) = screen(false);
        let exception = Some(exception("billiard.exceptions", "TimeLimitExceeded"));
        record(
            &mut screen,
            &Record {
                state: State::Failure,
                result: None,
                exception,
                ..success()
            },
        );
        assert_eq!(
            printed.out(),
            "FAILURE  billiard.exceptions.TimeLimitExceeded\ncpu limit 10 s reached\nraise it: \\u001b]0;x\n  at spin\n"
        );
        assert_eq!(
            class(&self::exception("builtins", "ValueError")),
            "ValueError"
        );
    }

    #[test]
    fn programs_get_the_result_as_the_guest_wrote_it() {
        let record = success();
        let text = serde_json::to_string(&document("7f3a", Some(&record))).unwrap();
        assert!(text.starts_with("{\"id\":\"7f3a\",\"state\":\"SUCCESS\",\"task\":\"images.thumbnail\",\"result\":{\"z\":1.10,\"a\":123456789012345678901234567890},\"exception\":null,"), "{text}");
        let text = serde_json::to_string(&document("7f3a", None)).unwrap();
        assert_eq!(text, "{\"id\":\"7f3a\",\"state\":\"PENDING\"}");
    }

    #[test]
    fn moments_are_shown_by_their_age() {
        let then = Timestamp::UNIX_EPOCH;
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(ago(after(0), then), "just now");
        assert_eq!(ago(after(5), then), "5 s ago");
        assert_eq!(ago(after(192), then), "3 min 12 s ago");
        assert_eq!(ago(then, after(9)), "just now");
    }
}
