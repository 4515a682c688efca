//! How a record looks: to people, its state and its result or failure; to programs, a
//! document.

use crate::cli::screen::{Line, Screen};
use crate::results::{Exception, Record, RunUsage};
use crate::task::State;
use crate::telemetry::human;
use celeriac_sandbox::Log;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Warnings of the host that are shown without being asked for: a task that misses more
/// grants has a log.
const WARNINGS: usize = 3;

/// Shows a record: one line about the state, then the result or the failure.
pub(crate) fn record(screen: &mut Screen, record: &Record) {
    match &record.state {
        State::Success => {
            screen.line(Line::new().good("SUCCESS").text(used(&record.usage)));
            grants(screen, &record.usage);
            screen.value(&text(record.result.as_deref().unwrap_or(b"null")));
        }
        State::Failure | State::Revoked => {
            let name = record.exception.as_ref().map(class).unwrap_or_default();
            screen.line(Line::new().bad(record.state.as_str()).text("  ").text(name));
            grants(screen, &record.usage);
            if let Some(exception) = &record.exception {
                failure(screen, exception);
            }
            if record.usage.run_us > 0 {
                screen.line(Line::new().dim(used(&record.usage).trim_start()));
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
                    .text(format!("  on {}", record.worker_name())),
            );
            if let Some(meta) = &record.result {
                screen.value(&text(meta));
            }
        }
    }
}

fn log_of(record: &Record) -> Option<Log> {
    serde_json::from_str(record.log.as_deref()?).ok()
}

/// Shows what the host wrote into the log of the last attempt, such as the grant that a
/// task misses: each text once, and the first few of them.
pub(crate) fn warnings(screen: &mut Screen, record: &Record) {
    let lines = log_of(record).unwrap_or_default().lines;
    let mut shown: Vec<String> = Vec::new();
    for line in lines.into_iter().filter(|line| line.by_host) {
        if shown.len() < WARNINGS && !shown.contains(&line.message) {
            screen.line(&line.message);
            shown.push(line.message);
        }
    }
}

/// Shows the log of the last attempt, and how much of it was dropped.
pub(crate) fn log(screen: &mut Screen, record: &Record) {
    let Some(log) = log_of(record) else {
        return;
    };
    for line in &log.lines {
        let level = format!("{:?}", line.level).to_lowercase();
        let fields = line
            .fields
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect::<String>();
        screen.line(Line::new().dim(format!("{level:<5} {}{fields}", line.message)));
    }
    if let Some(more) = log.dropped() {
        screen.line(Line::new().dim(more));
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
            worker: record.worker_name(),
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

/// Says what a run took: ` in 14 ms (queue 1 ms, cpu 9 ms, peak 3.2 MiB)`.
pub(crate) fn used(usage: &RunUsage) -> String {
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

/// Shows what the last run did with its grants, if anything, and what it carried then.
fn grants(screen: &mut Screen, usage: &RunUsage) {
    if usage.uses.is_none() {
        return;
    }
    let mut texts = vec![carried(usage.bytes_in, usage.bytes_out, usage.host_calls)];
    let used = usage.uses.iter();
    texts.extend(used.map(|(name, used)| used_grant(name, used.calls, used.denied)));
    screen.line(Line::new().dim(texts.join("; ")));
}

/// Says what a run carried: `12 B in, 2 B out, 3 host calls`.
pub(crate) fn carried(bytes_in: u64, bytes_out: u64, host_calls: u64) -> String {
    let (into, out) = (human::size(bytes_in), human::size(bytes_out));
    let calls = human::count(host_calls, "host call");
    format!("{into} in, {out} out, {calls}")
}

/// Says how often a grant was used: `submit 2 times, denied once`.
pub(crate) fn used_grant(name: &str, calls: u64, denied: u64) -> String {
    let times = |number: u64| match number {
        1 => "once".to_owned(),
        _ => format!("{number} times"),
    };
    match (calls, denied) {
        (_, 0) => format!("{name} {}", times(calls)),
        (0, _) => format!("{name} denied {}", times(denied)),
        _ => format!("{name} {}, denied {}", times(calls), times(denied)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::screen;
    use crate::task::{Fence, TaskId, UsedGrant, UsedGrants};
    use bytes::Bytes;
    use jiff::Timestamp;

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
                bytes_in: 12,
                bytes_out: 2,
                host_calls: 3,
                uses: UsedGrants::default(),
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
    fn a_success_is_its_cost_and_its_json() {
        let (mut screen, printed) = screen(false);
        record(&mut screen, &success());
        log(&mut screen, &success());
        assert_eq!(
            printed.out(),
            "SUCCESS in 14 ms (queue 1 ms, cpu 9 ms, peak 3.2 MiB)\n\
             {\"z\":1.10,\"a\":123456789012345678901234567890}\n\
             info  half \\u001b[2J page=3\n\
             2 more lines of 4096 bytes were dropped; limits.log_lines and limits.log make room\n"
        );
    }

    #[test]
    fn grants_are_shown_where_one_was_used_or_missed() {
        let (mut screen, printed) = screen(false);
        let grant = |calls, denied| {
            let bytes_out = 9;
            let used = UsedGrant {
                calls,
                denied,
                bytes_out,
                ..UsedGrant::default()
            };
            Some(used)
        };
        let uses = UsedGrants {
            submit: grant(2, 1),
            http: grant(0, 3),
            scratch: grant(1, 0),
            ..UsedGrants::default()
        };
        let known = success();
        let usage = RunUsage {
            uses,
            ..known.usage
        };
        record(&mut screen, &Record { usage, ..known });
        let line = "12 B in, 2 B out, 3 host calls; submit 2 times, denied once; http denied 3 times; scratch once";
        assert_eq!(printed.out().lines().nth(1), Some(line));
    }

    #[test]
    fn warnings_of_the_host_are_shown_once_and_no_imitations_of_the_guest() {
        let line = |message: &str, by_host: bool| {
            format!(r#"{{"level":"warn","message":"{message}","by_host":{by_host}}}"#)
        };
        let lines = [
            line("no grant a", true),
            line("no grant b", false),
            line("no grant a", true),
            line("no grant c", true),
            line("no grant d", true),
            line("no grant e", true),
        ];
        let log = format!(
            r#"{{"lines":[{}],"dropped_lines":0,"dropped_bytes":0}}"#,
            lines.join(",")
        );
        let (mut screen, printed) = screen(false);
        let of = |log| Record { log, ..success() };
        warnings(&mut screen, &of(Some(log)));
        warnings(&mut screen, &of(None));
        assert_eq!(printed.out(), "no grant a\nno grant c\nno grant d\n");
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
            "FAILURE  billiard.exceptions.TimeLimitExceeded\ncpu limit 10 s reached\nraise it: \\u001b]0;x\n  at spin\n\
             in 14 ms (queue 1 ms, cpu 9 ms, peak 3.2 MiB)\n"
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
}
