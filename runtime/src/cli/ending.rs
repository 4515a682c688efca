//! How an attempt ended, in words and as JSON, for commands that run a task here.

use super::screen::Line;
use super::show;
use crate::task::backtrace;
use crate::telemetry::human;
use celeriac_sandbox::{Failure, Limit, LimitHit, Outcome, Report, Usage};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// One attempt's end, ready to be shown.
pub(crate) struct Ending {
    /// A stable word for programs.
    pub(crate) word: &'static str,
    /// The class a caller would see: a failure's kind, a trap's name.
    pub(crate) kind: Option<String>,
    /// One text for people; the result where there is one.
    pub(crate) text: String,
}

/// Describes an outcome.
pub(crate) fn ending(outcome: &Outcome) -> Ending {
    let of = |word, kind: Option<&str>, text: String| Ending {
        word,
        kind: kind.map(str::to_owned),
        text,
    };
    match outcome {
        Outcome::Returned(bytes) => of(
            "returned",
            None,
            String::from_utf8_lossy(bytes).into_owned(),
        ),
        Outcome::BadResult { reason } => of(
            "bad_result",
            None,
            format!("the result is not one JSON value: {reason}"),
        ),
        Outcome::Failed(failure) => of("failed", Some(&failure.kind), words(failure)),
        Outcome::Retry(retry) => {
            let when = match retry.countdown {
                Some(time) => format!("in {}", human::span(time)),
                None => "after the backoff of its policy".to_owned(),
            };
            let text = format!("again {when}: {}", words(&retry.reason));
            of("retry", Some(&retry.reason.kind), text)
        }
        Outcome::Reject(rejection) => {
            let fate = if rejection.requeue {
                "requeued"
            } else {
                "dead-lettered"
            };
            of("rejected", None, format!("{fate}: {}", rejection.reason))
        }
        Outcome::Ignore => of("ignored", None, "nothing is stored".to_owned()),
        Outcome::Interrupted { claimed, raised } => {
            let text = match raised {
                Some(raised) => format!("it noticed: {raised}"),
                None => format!("it claims an interruption that nobody raised: {claimed}"),
            };
            of("interrupted", None, text)
        }
        Outcome::LimitHit(hit) => of("limit", Some(hit.limit.name()), limit(hit)),
        Outcome::Trapped(trap) => {
            let advice = backtrace::advice(&trap.code, &trap.frames);
            let advice = advice.map(|advice| format!("\n{advice}"));
            let frames: String = backtrace::told(&trap.frames)
                .iter()
                .map(|frame| format!("\n  at {frame}"))
                .collect();
            let text = format!("{}{}{frames}", trap.message, advice.unwrap_or_default());
            of("trapped", Some(&trap.code), text)
        }
        Outcome::Exited { code } => of(
            "exited",
            None,
            format!("it called exit({code}) instead of returning"),
        ),
    }
}

fn words(failure: &Failure) -> String {
    match &failure.trace {
        Some(trace) => format!("{}\n{trace}", failure.message),
        None => failure.message.clone(),
    }
}

/// Tells which limit was reached, its value, what was wanted, and what raises it.
fn limit(hit: &LimitHit) -> String {
    let amount = |n: u64| match hit.limit {
        Limit::Wall | Limit::Cpu => human::span(Duration::from_millis(n)),
        Limit::Memory | Limit::Result | Limit::Arguments | Limit::Stack | Limit::HostCall => {
            human::size(n)
        }
    };
    let wanted = hit
        .wanted
        .map(|n| format!(" ({} wanted)", amount(n)))
        .unwrap_or_default();
    let attribute = match hit.limit {
        Limit::Wall => "#[task(time_limit = \"10m\")]",
        Limit::Cpu => "#[task(cpu = \"60s\")]",
        Limit::Memory => "#[task(memory = \"128MiB\")]",
        Limit::Result | Limit::HostCall => "#[task(result = \"8MiB\")]",
        Limit::Stack => "[package.metadata.celeriac] stack = \"1MiB\" in Cargo.toml",
        Limit::Arguments => "[limits] arguments in celeriac.toml",
    };
    let (name, allowed) = (hit.limit.name(), amount(hit.allowed));
    format!("{name} limit of {allowed} reached{wanted}\nraise it, for example: {attribute}")
}

/// Says what an attempt took: `in 14 ms (cpu 9 ms, peak 3.2 MiB)`.
pub(crate) fn usage(usage: &Usage) -> String {
    let (wall, cpu) = (human::span(usage.wall), human::span(usage.cpu));
    format!(
        "in {wall} (cpu {cpu}, peak {})",
        human::size(usage.memory_peak_bytes)
    )
}

/// Says what an attempt carried, and what it did with grants:
/// `12 B in, 2 B out, 3 host calls; submit 2 times, denied once`.
pub(crate) fn carried(usage: &Usage) -> String {
    let mut text = show::carried(usage.bytes_in, usage.bytes_out, usage.host_calls);
    for (capability, used) in usage.uses.iter() {
        text.push_str(&format!(
            "; {}",
            show::used_grant(capability.name(), used.calls, used.denied)
        ));
    }
    text
}

/// Returns the headline of an end: `SUCCESS in 14 ms (…)`.
pub(crate) fn headline(report: &Report) -> Line {
    let took = format!(" {}", usage(&report.usage));
    let end = ending(&report.outcome);
    if is_success(report) {
        return Line::new().good("SUCCESS").text(took);
    }
    let kind = end
        .kind
        .map(|kind| format!("  {kind} "))
        .unwrap_or_default();
    Line::new()
        .bad(end.word.to_uppercase())
        .text(kind)
        .text(took)
}

/// What programs are told about an attempt.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    task: &'a str,
    outcome: &'static str,
    /// The very text of the guest: numbers and the order of keys are kept.
    result: Option<&'a RawValue>,
    kind: Option<String>,
    message: Option<String>,
    wall_ms: f64,
    cpu_ms: f64,
    memory_peak_bytes: u64,
    bytes_in: u64,
    bytes_out: u64,
    host_calls: u64,
    uses: BTreeMap<&'static str, Value>,
    log: &'a [celeriac_sandbox::Line],
    dropped_lines: u64,
    progress: Vec<Step<'a>>,
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    state: &'a str,
    meta: Option<&'a RawValue>,
}

/// Makes the document of an attempt for programs.
pub(crate) fn document<'a>(task: &'a str, report: &'a Report) -> Document<'a> {
    let end = ending(&report.outcome);
    let result = report.outcome.result();
    let result = result.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let progress = report.progress.iter().map(|step| Step {
        state: &step.state,
        meta: serde_json::from_str(&step.meta).ok(),
    });
    let uses = report.usage.uses.iter().map(|(capability, used)| {
        let numbers = json!({"calls": used.calls, "denied": used.denied,
            "bytes_in": used.bytes_in, "bytes_out": used.bytes_out});
        (capability.name(), numbers)
    });
    Document {
        task,
        outcome: end.word,
        result,
        kind: end.kind,
        message: (!is_success(report)).then_some(end.text),
        wall_ms: number(report.usage.wall),
        cpu_ms: number(report.usage.cpu),
        memory_peak_bytes: report.usage.memory_peak_bytes,
        bytes_in: report.usage.bytes_in,
        bytes_out: report.usage.bytes_out,
        host_calls: report.usage.host_calls,
        uses: uses.collect(),
        log: &report.log.lines,
        dropped_lines: report.log.dropped_lines,
        progress: progress.collect(),
    }
}

/// Tells whether an attempt ended with a result.
pub(crate) fn is_success(report: &Report) -> bool {
    matches!(report.outcome, Outcome::Returned(_))
}

fn number(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sandbox::{Capability, Use};

    #[test]
    fn a_limit_names_itself_its_value_and_what_was_wanted() {
        let hit = LimitHit {
            limit: Limit::Cpu,
            allowed: 10_000,
            wanted: Some(10_004),
        };
        assert_eq!(
            limit(&hit),
            "cpu limit of 10 s reached (10 s wanted)\nraise it, for example: #[task(cpu = \"60s\")]"
        );
        let hit = LimitHit {
            limit: Limit::Memory,
            allowed: 64 << 20,
            wanted: None,
        };
        assert!(limit(&hit).starts_with("memory limit of 64 MiB reached\nraise it"));
    }

    #[test]
    fn what_an_attempt_carried_is_one_line() {
        let mut usage = Usage {
            bytes_in: 2_048,
            bytes_out: 2,
            host_calls: 1,
            ..Usage::default()
        };
        assert_eq!(carried(&usage), "2 KiB in, 2 B out, 1 host call");
        usage.uses.count(Capability::Submit, Use::call(0, 9));
        usage.uses.count(Capability::Http, Use::denial());
        assert_eq!(
            carried(&usage),
            "2 KiB in, 2 B out, 1 host call; submit once; http denied once"
        );
    }

    #[test]
    fn the_document_of_a_result_holds_the_result_itself() {
        let report = Report {
            outcome: Outcome::Returned("{\"b\":1.10,\"a\":[1]}".into()),
            usage: Usage {
                wall: Duration::from_micros(14_250),
                ..Usage::default()
            },
            log: Default::default(),
            progress: Vec::new(),
            submitted: celeriac_sandbox::Submitted::default(),
        };
        let text = serde_json::to_string(&document("t", &report)).unwrap();
        assert!(text.contains(r#""result":{"b":1.10,"a":[1]}"#), "{text}");
        assert!(
            text.contains(r#""message":null"#) && text.contains(r#""wall_ms":14.25"#),
            "{text}"
        );
    }
}
