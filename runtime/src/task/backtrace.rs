//! How the functions of a trap are told to people.

/// Beginnings of the functions that a panic runs through before it traps.
const PANIC: [&str; 5] = [
    "core::panicking::",
    "std::panicking::",
    "std::sys::backtrace::",
    "std::sys_common::backtrace::",
    "celeriac_sdk::guest::report_panics",
];
/// Parts of names the compiler gives to such functions.
const RUNTIME: [&str; 3] = ["rust_begin_unwind", "rust_panic", "__rust_"];
/// Last parts of the names of functions that end the program; a panic ends in
/// them, and a task may call them itself.
const ENDS: [&str; 2] = ["abort", "abort_internal"];

/// Times in a row that one function must stand at the outer end of a backtrace
/// before it counts as endless (10): a backtrace has 20 frames at most, and one
/// that was not cut ends with the entry of the component instead.
const ENDLESS: usize = 10;

/// What helps against recursion that is deeper than the stack.
const DEEPER: &str = "this looks like recursion without end; \
    a deeper stack: [package.metadata.celeriac] stack = \"1MiB\" in Cargo.toml";

/// Tells the functions of a trap, innermost first, without those that only
/// carry a panic, and with one line for each run of the same function.
#[must_use]
pub fn told(frames: &[String]) -> Vec<String> {
    without_panic(frames)
        .chunk_by(|one, next| one == next)
        .filter_map(|run| match run {
            [] => None,
            [one] => Some(one.clone()),
            [one, ..] => Some(format!("{one} ({} times)", run.len())),
        })
        .collect()
}

/// Says what to do where a trap looks like recursion that left its stack.
/// `code` is the name of the trap.
#[must_use]
pub fn advice(code: &str, frames: &[String]) -> Option<&'static str> {
    // A guest's stack lies at the low end of its memory: what runs over it is
    // out of bounds.
    let of_stack = code == "memory-out-of-bounds" || code.contains("stack");
    let outer = frames.chunk_by(|one, next| one == next).next_back();
    let is_endless = outer.is_some_and(|run| run.len() >= ENDLESS);
    (of_stack && is_endless).then_some(DEEPER)
}

/// Leaves out the inner functions of a panic.
fn without_panic(frames: &[String]) -> &[String] {
    let is_end = |frame: &str| ENDS.contains(&frame.rsplit("::").next().unwrap_or(frame));
    let inner = frames
        .iter()
        .take_while(|frame| is_panic(frame) || is_end(frame))
        .count();
    match frames.split_at_checked(inner) {
        Some((machinery, rest))
            if !rest.is_empty() && machinery.iter().any(|frame| is_panic(frame)) =>
        {
            rest
        }
        // No panic, or nothing but one: all of it says more than nothing.
        _ => frames,
    }
}

fn is_panic(frame: &str) -> bool {
    let name = frame.trim_start_matches('<');
    PANIC.iter().any(|start| name.starts_with(start))
        || RUNTIME.iter().any(|part| last_word(name).starts_with(part))
}

/// The last part of a path, without its generic arguments.
fn last_word(name: &str) -> &str {
    let path = name.split("::<").next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_panic_begins_where_the_author_wrote_it() {
        let of_the_sdk = frames(&[
            "abort",
            "std::sys::pal::wasi::abort_internal",
            "std::process::abort",
            "__rustc::__rust_abort",
            "__rustc::__rust_start_panic",
            "__rustc::rust_panic",
            "std::panicking::panic_with_hook",
            "std::panicking::panic_handler::{closure#0}",
            "std::sys::backtrace::__rust_end_short_backtrace::<std::panicking::panic_handler::{closure#0}, !>",
            "__rustc::rust_begin_unwind",
            "core::panicking::panic_fmt",
            "<flaky::panics as celeriac_sdk::task::Task>::run",
            "celeriac:task/handler@0.1.0#run",
        ]);
        assert_eq!(
            told(&of_the_sdk),
            [
                "<flaky::panics as celeriac_sdk::task::Task>::run",
                "celeriac:task/handler@0.1.0#run"
            ]
        );
    }

    #[test]
    fn an_abort_that_is_no_panic_keeps_its_functions() {
        let of_a_task = frames(&["abort", "std::process::abort", "mine::stop"]);
        assert_eq!(told(&of_a_task), of_a_task);
        let outer = frames(&["mine::stop", "core::panicking::panic_fmt", "mine::run"]);
        assert_eq!(told(&outer), outer);
        let nothing_else = frames(&["core::panicking::panic_fmt"]);
        assert_eq!(told(&nothing_else), nothing_else);
        assert_eq!(told(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_run_of_one_function_is_one_line() {
        let mixed = frames(&["a", "b", "b", "b", "a"]);
        assert_eq!(told(&mixed), ["a", "b (3 times)", "a"]);
        let same = vec!["recurse".to_owned(); 20];
        assert_eq!(told(&same), ["recurse (20 times)"]);
    }

    #[test]
    fn recursion_without_end_is_told_with_what_helps() {
        let mut deep = vec!["recurse".to_owned(); ENDLESS];
        assert_eq!(advice("memory-out-of-bounds", &deep), Some(DEEPER));
        assert_eq!(advice("stack-overflow", &deep), Some(DEEPER));
        assert_eq!(advice("integer-division-by-zero", &deep), None);
        deep.insert(0, "memset".to_owned());
        assert_eq!(advice("memory-out-of-bounds", &deep), Some(DEEPER));
        deep.push("celeriac:task/handler@0.1.0#run".to_owned());
        assert_eq!(advice("memory-out-of-bounds", &deep), None);
        let few = vec!["recurse".to_owned(); ENDLESS - 1];
        assert_eq!(advice("memory-out-of-bounds", &few), None);
        assert_eq!(advice("memory-out-of-bounds", &[]), None);
    }
}
