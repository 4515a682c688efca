//! How large a file may be and what it may be called.

use super::Finding;
use super::source::Source;

/// Most lines outside tests; past it a file holds more than one subject.
const MAX_LINES: usize = 600;

/// Most lines of a crate's root, which lists modules and does nothing.
const MAX_ROOT_LINES: usize = 80;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "util", "utils", "common", "helper", "helpers", "manager", "misc", "shared",
];

/// Checks one file's size and name.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.stem() == "mod" {
        let folder = source.path.trim_end_matches("/mod.rs");
        findings.push(Finding::new(
            source,
            1,
            format!("mod.rs is not used here; write {folder}.rs"),
        ));
    }
    let empty = |part: &&str| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"));
    if let Some(name) = source.path.split('/').find(empty) {
        let what = format!("'{name}' says nothing; name it after the one thing it holds");
        findings.push(Finding::new(source, 1, what));
    }
    let limit = limit(source);
    let lines = source.tests_from.map_or(source.lines, |from| from - 1);
    if lines > limit {
        let what = format!("{lines} lines outside tests, at most {limit}; move one subject out");
        findings.push(Finding::new(source, limit + 1, what));
    }
    findings
}

/// Returns how many lines outside tests a file may have.
fn limit(source: &Source) -> usize {
    let task = source.path.starts_with("tasks/") || source.path.starts_with("tests/guests/");
    match source.stem() {
        // Generated code has the size it has.
        "bindings" => usize::MAX,
        // The one file of a task crate is its content, not a list of modules.
        "lib" | "main" if !task => MAX_ROOT_LINES,
        _ => MAX_LINES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, lines: usize) -> Vec<String> {
        let source = Source::new(path, &"fn f() {}\n".repeat(lines));
        check(&source)
            .iter()
            .map(|finding| finding.to_string())
            .collect()
    }

    #[test]
    fn a_file_may_reach_its_limit_and_not_pass_it() {
        for (path, limit) in [
            ("runtime/src/broker.rs", MAX_LINES),
            ("runtime/src/lib.rs", MAX_ROOT_LINES),
            ("tests/e2e/main.rs", MAX_ROOT_LINES),
            ("tasks/text/src/lib.rs", MAX_LINES),
        ] {
            assert!(findings(path, limit).is_empty(), "{path}");
            let found = findings(path, limit + 1);
            assert!(
                found[0].starts_with(&format!("{path}:{}: ", limit + 1)),
                "{found:?}"
            );
        }
        assert!(findings("sdk/src/bindings.rs", 5_000).is_empty());
    }

    #[test]
    fn lines_of_tests_do_not_count() {
        let code = "fn f() {}\n".repeat(MAX_LINES);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert!(check(&Source::new("a/b.rs", &(code + &tests))).is_empty());
    }

    #[test]
    fn a_name_that_says_nothing_is_refused() {
        for name in EMPTY_NAMES {
            assert_eq!(
                findings(&format!("runtime/src/{name}.rs"), 1).len(),
                1,
                "{name}"
            );
            assert_eq!(
                findings(&format!("runtime/src/{name}/a.rs"), 1).len(),
                1,
                "{name}"
            );
        }
        let found = findings("runtime/src/broker/mod.rs", 1);
        assert!(
            found[0].ends_with("write runtime/src/broker.rs"),
            "{found:?}"
        );
    }
}
