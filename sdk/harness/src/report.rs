//! The account of a run that a failing test prints.

use celeriac_sandbox::{Failure, Limit, LimitHit, Outcome, Report};
use std::fmt::Write as _;
use std::time::Duration;

/// Lines of the log an account repeats: the last ones, where the trouble is.
const LOG_TAIL: usize = 20;
/// Characters of a result an account repeats.
const RESULT_SHOWN: usize = 500;

/// Tells how the run ended although something else was wanted.
pub(crate) fn account(name: &str, wanted: &str, report: &Report) -> String {
    let usage = &report.usage;
    let mut text = format!("{name} ended otherwise than with {wanted}\n");
    let _ = writeln!(text, "  outcome  {}", indented(&outcome(&report.outcome)));
    let _ = writeln!(
        text,
        "  usage    {} wall, {} cpu, {} peak memory",
        time(usage.wall),
        time(usage.cpu),
        size(usage.memory_peak_bytes)
    );
    let log = &report.log;
    let hidden = log.lines.len().saturating_sub(LOG_TAIL);
    if log.lines.is_empty() {
        text.push_str("  log      empty\n");
    } else if hidden > 0 {
        let _ = writeln!(
            text,
            "  log      the last {LOG_TAIL} of {} lines",
            log.lines.len()
        );
    } else {
        text.push_str("  log\n");
    }
    for line in log.lines.iter().skip(hidden) {
        let _ = write!(
            text,
            "    {:<5}  {}",
            format!("{:?}", line.level).to_lowercase(),
            indented(&line.message)
        );
        for (name, value) in &line.fields {
            let _ = write!(text, "  {name}={value}");
        }
        text.push('\n');
    }
    if let Some(more) = log.dropped() {
        let _ = writeln!(text, "    {more}");
    }
    text
}

/// Says in a few lines how a run ended.
fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let shown: String = text.chars().take(RESULT_SHOWN).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            format!("returned {shown}{more}")
        }
        Outcome::BadResult { reason } => format!("returned what is not one JSON value: {reason}"),
        Outcome::Failed(failed) => failure(failed),
        Outcome::Retry(retry) => {
            let when = retry
                .countdown
                .map_or("after the policy's backoff".to_owned(), |t| {
                    format!("in {}", time(t))
                });
            format!("asked for a retry {when}: {}", failure(&retry.reason))
        }
        Outcome::Reject(rejection) => {
            let fate = if rejection.requeue {
                "to be requeued"
            } else {
                "to be dead-lettered"
            };
            format!("rejected the message, {fate}: {}", rejection.reason)
        }
        Outcome::Ignore => "asked to be ignored".to_owned(),
        Outcome::Interrupted {
            claimed,
            raised: Some(raised),
        } => format!("stopped at {raised} (it says: {claimed})"),
        Outcome::Interrupted {
            claimed,
            raised: None,
        } => format!("claims an interruption nobody raised: {claimed}"),
        Outcome::LimitHit(hit) => limit(hit),
        Outcome::Trapped(trap) => {
            let what = if trap.panicked { "panicked" } else { "trapped" };
            let frames: String = trap
                .frames
                .iter()
                .map(|frame| format!("\n  at {frame}"))
                .collect();
            format!("{what} ({}): {}{frames}", trap.code, trap.message)
        }
        Outcome::Exited { code } => format!("exited with status {code} instead of returning"),
    }
}

fn failure(failure: &Failure) -> String {
    let trace = failure
        .trace
        .as_deref()
        .map(|trace| format!("\n{trace}"))
        .unwrap_or_default();
    format!("{}: {}{trace}", failure.kind, failure.message)
}

fn limit(hit: &LimitHit) -> String {
    let amount = |n: u64| match hit.limit {
        Limit::Wall | Limit::Cpu => time(Duration::from_millis(n)),
        Limit::Memory | Limit::Result | Limit::Arguments | Limit::Stack | Limit::HostCall => {
            size(n)
        }
    };
    let wanted = hit
        .wanted
        .map(|n| format!(", wanted {}", amount(n)))
        .unwrap_or_default();
    format!(
        "{} limit of {} reached{wanted}",
        hit.limit.name(),
        amount(hit.allowed)
    )
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n           ")
}

fn time(time: Duration) -> String {
    format!("{time:.1?}")
}

/// Writes bytes in the unit people read them in, rounded down to a tenth.
fn size(bytes: u64) -> String {
    let tenths = |shift: u32| {
        let n = (u128::from(bytes) * 10) >> shift;
        format!("{}.{}", n / 10, n % 10)
    };
    match bytes {
        0..=1023 => format!("{bytes} bytes"),
        1024..=1_048_575 => format!("{} KiB", tenths(10)),
        _ => format!("{} MiB", tenths(20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kib, mib};
    use celeriac_sandbox::Trap;

    #[test]
    fn a_limit_is_told_in_its_own_unit() {
        let hit = |limit, allowed, wanted| limit_text(limit, allowed, wanted);
        assert_eq!(
            hit(Limit::Cpu, 500, Some(512)),
            "cpu limit of 500.0ms reached, wanted 512.0ms"
        );
        assert_eq!(
            hit(Limit::Memory, mib(64), None),
            "memory limit of 64.0 MiB reached"
        );
    }

    fn limit_text(limit: Limit, allowed: u64, wanted: Option<u64>) -> String {
        super::limit(&LimitHit {
            limit,
            allowed,
            wanted,
        })
    }

    #[test]
    fn a_trap_names_its_functions() {
        let trap = Trap {
            code: "unreachable".to_owned(),
            message: "no image".to_owned(),
            panicked: true,
            frames: vec!["thumb".to_owned(), "run".to_owned()],
        };
        let text = outcome(&Outcome::Trapped(trap));
        assert_eq!(
            text,
            "panicked (unreachable): no image\n  at thumb\n  at run"
        );
    }

    #[test]
    fn sizes_are_rounded_down_to_a_tenth() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(kib(1) + 1000), "1.9 KiB");
        assert_eq!(size(mib(3) + kib(300)), "3.2 MiB");
    }

    #[test]
    fn a_long_result_is_cut() {
        let text = outcome(&Outcome::Returned("x".repeat(10_000).into()));
        assert!(text.ends_with('…') && text.len() < 600, "{}", text.len());
    }
}
