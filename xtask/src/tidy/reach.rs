//! Finds test files that no module names, which would silently not run.

use std::collections::BTreeSet;

use super::Finding;
use super::source::Source;

/// The folders of test binaries, each with a `main.rs`.
const BINARIES: [&str; 6] = [
    "tests/client/",
    "tests/e2e/",
    "tests/conformance/",
    "tests/fuzz/",
    "tests/guests/",
    "tests/vectors/",
];

/// Folders inside them that are crates of their own.
const CRATES: [&str; 1] = ["/src/"];

/// Checks that every file of a test binary is a module of its `main.rs`.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in BINARIES {
        let files: Vec<&Source> = sources
            .iter()
            .filter(|source| belongs(folder, &source.path))
            .collect();
        let reached = reached(folder, &files);
        for source in files
            .iter()
            .filter(|source| !reached.contains(source.path.as_str()))
        {
            let parent = source
                .path
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent);
            let parent = if format!("{parent}/") == folder {
                "main"
            } else {
                parent
            };
            let parent = parent.rsplit('/').next().unwrap_or(parent);
            let what = format!(
                "never compiled: write `mod {};` into {parent}.rs",
                source.stem()
            );
            findings.push(Finding::new(source, 1, what));
        }
    }
    findings
}

fn belongs(folder: &str, path: &str) -> bool {
    path.starts_with(folder) && !CRATES.iter().any(|inner| path.contains(inner))
}

/// Follows `mod name;` from `main.rs` down.
fn reached<'a>(folder: &str, files: &[&'a Source]) -> BTreeSet<&'a str> {
    let find = |path: &str| files.iter().copied().find(|source| source.path == path);
    let mut reached = BTreeSet::new();
    let mut open: Vec<(&Source, String)> = Vec::new();
    open.extend(find(&format!("{folder}main.rs")).map(|main| (main, folder.to_owned())));
    while let Some((source, children)) = open.pop() {
        if !reached.insert(source.path.as_str()) {
            continue;
        }
        for name in modules(source) {
            let child = find(&format!("{children}{name}.rs"));
            open.extend(child.map(|child| (child, format!("{children}{name}/"))));
        }
    }
    reached
}

/// Lists the modules that a file declares as files.
fn modules(source: &Source) -> impl Iterator<Item = &str> {
    source.tokens.windows(3).filter_map(|window| match window {
        [keyword, name, end] if keyword.text == "mod" && end.text == ";" => {
            Some(name.text.as_str())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(*path, text))
            .collect();
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_that_no_module_names_is_refused() {
        let found = findings(&[
            ("tests/e2e/main.rs", "mod crash;\nmod call;"),
            ("tests/e2e/crash.rs", "mod settle;"),
            ("tests/e2e/crash/settle.rs", ""),
            ("tests/e2e/call.rs", ""),
            ("tests/e2e/crash/record.rs", ""),
            ("tests/e2e/lost.rs", ""),
        ]);
        assert_eq!(
            found,
            [
                "tests/e2e/crash/record.rs:1: never compiled: write `mod record;` into crash.rs",
                "tests/e2e/lost.rs:1: never compiled: write `mod lost;` into main.rs",
            ]
        );
    }

    #[test]
    fn a_guest_crate_beside_the_tests_is_not_one_of_their_modules() {
        let files = [
            ("tests/guests/main.rs", ""),
            ("tests/guests/hostile/src/lib.rs", ""),
        ];
        assert!(findings(&files).is_empty());
    }
}
