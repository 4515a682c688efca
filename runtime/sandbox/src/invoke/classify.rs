//! Turns what the engine and the guest said into an [`Outcome`].

use super::json::check_json;
use super::tally::Exceeded;
use crate::bindings::celeriac::task::types as shared;
use crate::bindings::exports::celeriac::task::handler as wire;
use crate::config::GUEST_STACK;
use crate::defence::{Defence, stands};
use crate::error::SandboxError;
use crate::host::Host;
use crate::limits::Limits;
use crate::log::escape;
use crate::outcome::{Failure, Interruption, Limit, LimitHit, Outcome, Rejection, Retry, Trap};
use std::time::Duration;
use wasmtime::{PoolConcurrencyLimitError, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Frames of a trap that are told.
pub(crate) const FRAMES: usize = 20;
/// Bytes of a function's name that are told.
const FRAME_BYTES: usize = 200;

/// Whose fault an error of the engine is.
pub(crate) enum Fault {
    Guest(Outcome),
    Host(SandboxError),
}

/// Judges the value of a guest that returned a result.
pub(crate) fn returned(payload: shared::PayloadResult, limits: &Limits) -> Outcome {
    let wanted = payload.data.len() as u64;
    if wanted > limits.result_bytes && stands(Defence::ResultSize) {
        return Outcome::LimitHit(LimitHit {
            limit: Limit::Result,
            allowed: limits.result_bytes,
            wanted: Some(wanted),
        });
    }
    if payload.content_type != "application/json" {
        let named: String = escape(&payload.content_type).chars().take(80).collect();
        return Outcome::BadResult {
            reason: format!(
                "the result's content type is {named:?}; only application/json is accepted"
            ),
        };
    }
    if !stands(Defence::ResultCheck) {
        return Outcome::Returned(payload.data.into());
    }
    match check_json(&payload.data) {
        Ok(()) => Outcome::Returned(payload.data.into()),
        Err(reason) => Outcome::BadResult { reason },
    }
}

/// Reads what a guest said instead of returning a result.
pub(crate) fn reported(error: wire::OutcomeError, limits: &Limits, host: &Host) -> Outcome {
    match error {
        wire::OutcomeError::Retry(retry) => Outcome::Retry(Retry {
            countdown: retry.countdown_ms.map(Duration::from_millis),
            max_retries: retry.max_retries,
            reason: failure(retry.reason, limits),
        }),
        wire::OutcomeError::Reject(rejection) => Outcome::Reject(Rejection {
            requeue: rejection.requeue,
            reason: told(&rejection.reason, limits.failure_bytes, limits),
        }),
        wire::OutcomeError::Ignore => Outcome::Ignore,
        wire::OutcomeError::Failure(said) => Outcome::Failed(failure(said, limits)),
        wire::OutcomeError::Interrupted(claimed) => Outcome::Interrupted {
            claimed: match claimed {
                shared::Interruption::SoftLimit => Interruption::SoftLimit,
                shared::Interruption::Cancelled => Interruption::Cancelled,
                shared::Interruption::Shutdown => Interruption::Shutdown,
            },
            raised: host.interrupted(),
        },
    }
}

fn failure(said: shared::Failure, limits: &Limits) -> Failure {
    let kind = cut(&said.kind, limits.failure_bytes);
    let mut left = limits.failure_bytes.saturating_sub(kind.len() as u64);
    let mut take = |text: &str| {
        let text = told(text, left, limits);
        left = left.saturating_sub(text.len() as u64);
        text
    };
    Failure {
        kind,
        message: take(&said.message),
        trace: said.trace.as_deref().map(take),
        retryable: said.retryable,
    }
}

/// Escapes a text for people and cuts it to so many bytes; what was cut says so.
fn told(text: &str, most: u64, limits: &Limits) -> String {
    let whole = cut(text, most);
    let is_whole = text.len() as u64 <= most && escape(text).len() as u64 <= most;
    if is_whole {
        return whole;
    }
    let (bytes, allowed) = (text.len(), limits.failure_bytes);
    let note = format!(" … cut: {bytes} bytes, and limits.failure = {allowed} bytes");
    match most.checked_sub(note.len() as u64) {
        Some(room) => cut(text, room) + &note,
        None => whole,
    }
}

/// Escapes a text and cuts it to so many bytes.
fn cut(text: &str, most: u64) -> String {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let mut text = escape(text.get(..end.unwrap_or(0)).unwrap_or(""));
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text
}

/// Judges an error of the engine: a guest's trap, a limit, or the host's fault.
pub(crate) fn fault(error: &wasmtime::Error, host: &Host, limits: &Limits, slots: u32) -> Fault {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return Fault::Guest(Outcome::LimitHit(exceeded.0.clone()));
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Fault::Guest(Outcome::Exited { code: exit.0 });
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::Host(SandboxError::Busy { slots });
    }
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::StackOverflow) => Fault::Guest(Outcome::LimitHit(LimitHit {
            limit: Limit::Stack,
            allowed: GUEST_STACK as u64,
            wanted: None,
        })),
        trap => Fault::Guest(trapped(error, trap, host, limits)),
    }
}

fn trapped(
    error: &wasmtime::Error,
    trap: Option<&wasmtime::Trap>,
    host: &Host,
    limits: &Limits,
) -> Outcome {
    let cause = error.root_cause().to_string();
    if trap.is_none() && cause.contains("fuel allocated for hostcalls") {
        // The engine gives this no type. Past the guest's last frame it was the result.
        let in_guest = error
            .downcast_ref::<WasmBacktrace>()
            .is_some_and(|trace| !trace.frames().is_empty());
        let (limit, allowed) = if in_guest {
            (
                Limit::HostCall,
                limits.result_bytes.max(limits.failure_bytes),
            )
        } else {
            (Limit::Result, limits.result_bytes)
        };
        return Outcome::LimitHit(LimitHit {
            limit,
            allowed,
            wanted: None,
        });
    }
    let code = trap.map_or_else(|| "host-call".to_owned(), |trap| code(*trap));
    let is_unreachable = trap == Some(&wasmtime::Trap::UnreachableCodeReached);
    // Only an abort leaves last words; a division by zero does not.
    let words = if is_unreachable {
        host.log.last_words()
    } else {
        None
    };
    let (message, panicked) = words.unwrap_or((escape(&cause), false));
    Outcome::Trapped(Trap {
        code,
        message: told(&message, limits.failure_bytes, limits),
        panicked,
        frames: frames(error),
    })
}

fn code(trap: wasmtime::Trap) -> String {
    let words = format!("{trap:?}");
    let mut code = String::with_capacity(words.len() + 4);
    for c in words.chars() {
        if c.is_ascii_uppercase() && !code.is_empty() {
            code.push('-');
        }
        code.push(c.to_ascii_lowercase());
    }
    code
}

fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let named = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        // The alternate form leaves the hash out.
        Some(name) => cut(
            &format!("{:#}", rustc_demangle::demangle(name)),
            FRAME_BYTES as u64,
        ),
        None => format!("function {}", frame.func_index()),
    };
    trace.frames().iter().take(FRAMES).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character_and_escaped() {
        assert_eq!(cut("ää", 3), "ä");
        assert_eq!(cut("\u{1b}x", 100), "\\u{1b}x");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_failure_that_is_cut_says_so_within_its_limit() {
        let limits = Limits {
            failure_bytes: 1_024,
            ..Limits::default()
        };
        let said = |message: &str| shared::Failure {
            kind: "ValueError".to_owned(),
            message: message.to_owned(),
            trace: Some("x".repeat(100)),
            retryable: None,
        };
        let short = failure(said("no"), &limits);
        assert_eq!(short.message, "no");
        assert_eq!(short.trace.as_deref(), Some("x".repeat(100).as_str()));
        // Escaped it would be too long.
        for (text, bytes) in [("y".repeat(2_000), 2_000), ("\u{7}".repeat(500), 500)] {
            let long = failure(said(&text), &limits);
            let note = format!(" … cut: {bytes} bytes, and limits.failure = 1024 bytes");
            assert!(long.message.ends_with(&note), "{}", long.message);
            let all = long.kind.len() + long.message.len() + long.trace.unwrap().len();
            assert!(all <= 1_024, "{all}");
        }
    }

    #[test]
    fn trap_codes_are_words_with_hyphens() {
        assert_eq!(
            code(wasmtime::Trap::UnreachableCodeReached),
            "unreachable-code-reached"
        );
        assert_eq!(
            code(wasmtime::Trap::IntegerDivisionByZero),
            "integer-division-by-zero"
        );
    }
}
