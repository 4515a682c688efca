//! What tests must not do: wait by the clock, or not run at all.

use super::Finding;
use super::source::Source;
use super::tokens::Token;

/// Places under `tests/` whose waiting is their subject: guests sleep inside the
/// sandbox, and fixtures poll until a server answers.
const MAY_SLEEP: [&str; 2] = ["tests/guests/hostile/", "tests/support/"];

/// Checks the tests of one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for window in source.tokens.windows(3) {
        let [first, second, third] = window else {
            continue;
        };
        if (first.text.as_str(), second.text.as_str()) == ("#", "[") && third.text == "ignore" {
            let what = "an ignored test is no test; run it, or delete it";
            findings.push(Finding::new(source, third.line, what));
        }
    }
    if MAY_SLEEP.iter().any(|place| source.path.starts_with(place)) {
        return findings;
    }
    for line in sleeps(&source.tokens).filter(|line| source.is_test(*line)) {
        let what = "a test must not sleep; wait for the event with a timeout, or pause the clock";
        findings.push(Finding::new(source, line, what));
    }
    findings
}

/// Lists the lines of `thread::sleep` and `time::sleep`, alone or in a group.
fn sleeps(tokens: &[Token]) -> impl Iterator<Item = usize> {
    tokens.windows(3).enumerate().filter_map(|(at, window)| {
        let [home, colons, next] = window else {
            return None;
        };
        let path = matches!(home.text.as_str(), "thread" | "time") && colons.text == "::";
        let group = || {
            let rest = tokens.get(at + 3..).unwrap_or_default();
            rest.iter()
                .take_while(|token| token.text != "}")
                .any(is_sleep)
        };
        (path && (is_sleep(next) || (next.text == "{" && group()))).then_some(next.line)
    })
}

fn is_sleep(token: &Token) -> bool {
    matches!(token.text.as_str(), "sleep" | "sleep_until" | "sleep_ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Source::new(path, text))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn an_ignored_test_is_refused_everywhere() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn f() {}";
        assert_eq!(lines("runtime/src/a.rs", text), [2]);
        assert_eq!(lines("tests/support/src/a.rs", text), [2]);
    }

    #[test]
    fn a_sleep_in_a_test_is_refused_however_it_is_named() {
        for text in [
            "fn f() { std::thread::sleep(d) }",
            "fn f() { tokio::time::sleep(d).await }",
            "use tokio::time::{Instant, sleep};",
            "use std::thread::sleep;",
        ] {
            assert_eq!(lines("tests/e2e/a.rs", text), [1], "{text}");
            let module = format!("#[cfg(test)]\nmod tests {{\n{text}\n}}");
            assert_eq!(lines("runtime/src/a.rs", &module), [3], "{text}");
        }
    }

    #[test]
    fn code_fixtures_and_guests_may_wait() {
        let text = "fn f() { std::thread::sleep(d); context.sleep(d) }";
        for path in [
            "runtime/src/a.rs",
            "tests/support/src/a.rs",
            "tests/guests/hostile/src/a.rs",
        ] {
            assert!(lines(path, text).is_empty(), "{path}");
        }
        assert!(lines("tests/e2e/a.rs", "context.sleep(d); // thread::sleep").is_empty());
    }
}
