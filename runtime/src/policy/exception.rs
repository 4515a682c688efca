//! Which exception a Python caller catches for what went wrong.
//!
//! A guest never chooses the exception's module: a kind on the list below is
//! that builtin class; anything else becomes a class of ours.

use crate::task::{Exception, backtrace};
use celeriac_sandbox::{Failure, Limit, LimitHit, Trap};
use std::time::Duration;

/// Python's exceptions that take one text and are subclasses of `Exception`.
const BUILTINS: [&str; 32] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BlockingIOError",
    "BrokenPipeError",
    "BufferError",
    "ChildProcessError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EOFError",
    "Exception",
    "FileExistsError",
    "FileNotFoundError",
    "FloatingPointError",
    "IndexError",
    "InterruptedError",
    "KeyError",
    "LookupError",
    "MemoryError",
    "NameError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PermissionError",
    "RecursionError",
    "RuntimeError",
    "TimeoutError",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
];

/// Longest class name of ours, characters.
const CLASS: usize = 64;

/// The exception of a failure the guest reported.
#[must_use]
pub fn of_failure(failure: &Failure) -> Exception {
    let (module, class) = if BUILTINS.contains(&failure.kind.as_str()) {
        ("builtins", failure.kind.clone())
    } else {
        ("celeriac", camel_case(&failure.kind))
    };
    Exception {
        class,
        module: module.to_owned(),
        message: failure.message.clone(),
        trace: failure.trace.clone(),
    }
}

/// What a call may do about the limits of time.
const LOWERED: &str = "; a call can only lower it";

/// Says how a task raises a limit of its own.
fn asked(attribute: &str, key: &str) -> String {
    format!(
        "#[task({attribute} = \"…\")] in the module, at most what [tenants.default] {key} allows"
    )
}

/// The exception of a task that ended because it was asked to, its soft limit being over.
#[must_use]
pub fn of_soft_limit(soft: Option<Duration>, whose: &str) -> Exception {
    let of = soft.map(|soft| {
        let ms = u64::try_from(soft.as_millis()).unwrap_or(u64::MAX);
        format!(" of {}", shown(Limit::Wall, ms))
    });
    let of = of.unwrap_or_default();
    let raise = asked("soft_time_limit", "soft");
    Exception::new(
        "billiard.exceptions",
        "SoftTimeLimitExceeded",
        format!("soft time limit{of} reached ({whose})\nraise it: {raise}{LOWERED}"),
    )
}

/// The exception of a limit. `whose` says which task of which module it was.
#[must_use]
pub fn of_limit(hit: &LimitHit, whose: &str) -> Exception {
    let (module, class, raise) = match hit.limit {
        Limit::Wall => (
            "billiard.exceptions",
            "TimeLimitExceeded",
            asked("time_limit", "wall") + LOWERED,
        ),
        Limit::Cpu => (
            "billiard.exceptions",
            "TimeLimitExceeded",
            asked("cpu", "cpu"),
        ),
        Limit::Memory => ("builtins", "MemoryError", asked("memory", "memory")),
        Limit::Stack => (
            "builtins",
            "RecursionError",
            "stack = \"…\" in [package.metadata.celeriac] of the module's Cargo.toml, within what the engine has"
                .to_owned(),
        ),
        Limit::Result => ("celeriac", "LimitExceeded", asked("result", "result")),
        Limit::Arguments => (
            "celeriac",
            "LimitExceeded",
            "[limits] arguments of the worker, at most what [tenants.default] arguments allows"
                .to_owned(),
        ),
        // The largest of what a task may hand over in one piece.
        Limit::HostCall => ("celeriac", "LimitExceeded", asked("result", "result")),
    };
    let (allowed, wanted) = (
        shown(hit.limit, hit.allowed),
        hit.wanted.map(|wanted| shown(hit.limit, wanted)),
    );
    let after = match (hit.limit, wanted) {
        (Limit::Cpu, Some(used)) => format!(" after {used}"),
        (_, Some(wanted)) => format!(": {wanted} wanted"),
        (_, None) => String::new(),
    };
    let name = hit.limit.name();
    Exception::new(
        module,
        class,
        format!("{name} limit of {allowed} reached{after} ({whose})\nraise it: {raise}"),
    )
}

/// The exception of a trap.
#[must_use]
pub fn of_trap(trap: &Trap) -> Exception {
    let mut message = if trap.panicked {
        trap.message.clone()
    } else {
        format!("{}: {}", trap.code, trap.message)
    };
    if let Some(advice) = backtrace::advice(&trap.code, &trap.frames) {
        message.push('\n');
        message.push_str(advice);
    }
    let frames = backtrace::told(&trap.frames)
        .iter()
        .map(|frame| format!("  in {frame}"))
        .collect::<Vec<_>>();
    Exception {
        trace: (!frames.is_empty()).then(|| frames.join("\n")),
        ..Exception::new("celeriac", "Trap", message)
    }
}

fn shown(limit: Limit, value: u64) -> String {
    match limit {
        Limit::Wall | Limit::Cpu => {
            let span = Duration::from_millis(value);
            if value < 1_000 {
                format!("{value} ms")
            } else {
                format!("{} s", span.as_secs_f64())
            }
        }
        Limit::Memory | Limit::Result | Limit::Arguments | Limit::Stack | Limit::HostCall => {
            match value {
                0..0x400 => format!("{value} bytes"),
                0x400..0x10_0000 => format!("{} KiB", rounded(value, 10)),
                _ => format!("{} MiB", rounded(value, 20)),
            }
        }
    }
}

fn rounded(value: u64, shift: u32) -> String {
    let tenths = (u128::from(value) * 10) >> shift;
    if tenths.is_multiple_of(10) {
        format!("{}", tenths / 10)
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// `http.timeout` becomes `HttpTimeout`; nothing usable becomes `Failure`.
fn camel_case(kind: &str) -> String {
    let mut class = String::new();
    for word in kind
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let mut chars = word.chars();
        class.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        class.extend(chars);
    }
    class.truncate(CLASS);
    if class.starts_with(|c: char| c.is_ascii_alphabetic()) {
        class
    } else {
        "Failure".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str) -> Exception {
        of_failure(&Failure {
            kind: kind.to_owned(),
            message: "m".to_owned(),
            trace: None,
            retryable: None,
        })
    }

    #[test]
    fn only_listed_kinds_are_builtins() {
        assert_eq!(failure("ValueError").module, "builtins");
        for kind in [
            "SystemExit",
            "KeyboardInterrupt",
            "BaseException",
            "eval",
            "UnicodeDecodeError",
            "os.system",
        ] {
            assert_eq!(failure(kind).module, "celeriac", "{kind}");
        }
    }

    #[test]
    fn other_kinds_become_a_class_name_that_is_safe_everywhere() {
        for (kind, class) in [
            ("http.timeout", "HttpTimeout"),
            ("NotAnImage", "NotAnImage"),
            ("", "Failure"),
            ("7up", "Failure"),
            ("../../x\n", "X"),
            ("ä", "Failure"),
        ] {
            assert_eq!(failure(kind).class, class, "{kind:?}");
        }
        assert_eq!(failure(&"x".repeat(500)).class.len(), CLASS);
    }

    #[test]
    fn a_limit_names_itself_its_value_and_how_to_raise_it() {
        let hit = LimitHit {
            limit: Limit::Cpu,
            allowed: 10_000,
            wanted: Some(10_004),
        };
        let exception = of_limit(&hit, "module hostile 3, task spin");
        assert_eq!(exception.class, "TimeLimitExceeded");
        let expected = "cpu limit of 10 s reached after 10.004 s (module hostile 3, task spin)\n\
                        raise it: #[task(cpu = \"…\")] in the module, at most what [tenants.default] cpu allows";
        assert_eq!(exception.message, expected);
        let hit = LimitHit {
            limit: Limit::Memory,
            allowed: 64 << 20,
            wanted: Some((64 << 20) + (1 << 16)),
        };
        let exception = of_limit(&hit, "x");
        assert_eq!(exception.class, "MemoryError");
        assert!(
            exception
                .message
                .starts_with("memory limit of 64 MiB reached: 64 MiB wanted (x)")
        );
    }

    #[test]
    fn a_trap_in_endless_recursion_says_so_in_two_lines() {
        let exception = of_trap(&Trap {
            code: "memory-out-of-bounds".to_owned(),
            message: "wasm trap: out of bounds memory access".to_owned(),
            panicked: false,
            frames: vec!["words::recurse".to_owned(); 20],
        });
        assert_eq!(
            exception.message,
            "memory-out-of-bounds: wasm trap: out of bounds memory access\n\
             this looks like recursion without end; a deeper stack: \
             [package.metadata.celeriac] stack = \"1MiB\" in Cargo.toml"
        );
        let trace = exception.trace.as_deref();
        assert_eq!(trace, Some("  in words::recurse (20 times)"));
    }

    #[test]
    fn every_limit_has_a_class_a_caller_can_catch_and_says_how_it_is_raised() {
        for limit in [
            Limit::Wall,
            Limit::Cpu,
            Limit::Memory,
            Limit::Result,
            Limit::Arguments,
            Limit::Stack,
            Limit::HostCall,
        ] {
            let hit = LimitHit {
                limit,
                allowed: 1,
                wanted: None,
            };
            let exception = of_limit(&hit, "x");
            assert!(!exception.class.is_empty());
            let value = shown(limit, 1);
            let told = format!("{} limit of {value} reached (x)\nraise it: ", limit.name());
            assert!(
                exception.message.starts_with(&told),
                "{}",
                exception.message
            );
        }
    }
}
