//! What the pages say of tests: a test that a table names is in the tree, so that
//! no page promises what nothing checks any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Finding;
use super::source::Source;
use super::tokens::Token;

/// The pages whose tables name tests, in a last column with one of [`HEADS`].
const PAGES: [&str; 4] = [
    "docs/celery.md",
    "docs/limits.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
];

/// How the column that names tests is called.
const HEADS: [&str; 2] = ["test", "held by"];

/// What stands in that column where nothing checks what a row says.
const UNTESTED: &str = "untested";

/// How the macros end that make tests of the functions they list, one for each driver.
const EXPANDER: &str = "behaviours";

/// Compares the tables of every page with the tests of these sources.
pub(super) fn check(root: &Path, sources: &[Source]) -> Result<Vec<Finding>> {
    let tests: BTreeSet<&str> = sources.iter().flat_map(tests).collect();
    let mut findings = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root.join(page)).with_context(|| page.to_owned())?;
        let rows = rows(&text);
        ensure!(
            !rows.is_empty(),
            "{page}: no table has a last column called {HEADS:?}; name the tests, or take the page out of PAGES"
        );
        findings.extend(rows.iter().flat_map(|row| row.findings(page, &tests)));
    }
    Ok(findings)
}

/// The tests that one row names.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    line: usize,
    cell: &'a str,
}

impl Row<'_> {
    fn findings(&self, page: &str, tests: &BTreeSet<&str>) -> Vec<Finding> {
        let finding = |what| Finding {
            file: page.to_owned(),
            line: self.line,
            what,
        };
        if self.cell == UNTESTED {
            return Vec::new();
        }
        let names: Vec<&str> = quoted(self.cell).filter(|text| is_name(text)).collect();
        if names.is_empty() && page.starts_with("docs/") {
            let what = format!("a row names its tests, or says '{UNTESTED}'");
            return vec![finding(what)];
        }
        let missing = names.into_iter().filter(|name| !tests.contains(name));
        missing
            .map(|name| finding(format!("there is no test '{name}'; name the one that is")))
            .collect()
    }
}

/// Lists the rows of tables whose last column names tests.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut names_tests = None;
    for (line, content) in (1..).zip(text.lines()) {
        let Some(cell) = last_cell(content) else {
            names_tests = None;
            continue;
        };
        match names_tests {
            None => names_tests = Some(HEADS.contains(&cell)),
            Some(true) if !cell.starts_with("---") => rows.push(Row { line, cell }),
            Some(_) => {}
        }
    }
    rows
}

/// Returns the last cell of a line of a table.
fn last_cell(line: &str) -> Option<&str> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.rsplit('|').next()?.trim())
}

/// Lists what stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Returns whether this could be the name of a test, which is a sentence of three
/// words at least, and not a file or a lint.
fn is_name(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.matches('_').count() >= 2 && text.chars().all(is_word)
}

/// Lists the test functions of a file.
fn tests(source: &Source) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_marked = false;
    let mut is_list = false;
    for window in source.tokens.windows(3) {
        let [first, second, third] = window else {
            continue;
        };
        match [first, second, third].map(|token: &Token| token.text.as_str()) {
            ["[", "test", "]"] | ["tokio", "::", "test"] => is_marked = true,
            ["fn", name, _] => {
                names.extend(is_marked.then_some(name));
                is_marked = false;
            }
            [name, "!", "{"] if name.ends_with(EXPANDER) => is_list = true,
            [name, end @ ("," | "}"), _] if is_list => {
                names.push(name);
                is_list = end == ",";
            }
            // After the last name's comma.
            ["}", ..] => is_list = false,
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    const PAGE: &str = "\
| what | test |
|---|---|
| a | `it_is_there`, `it_is_gone` |
| b | untested |
| c | |

Between tables.

| what | why |
|---|---|
| d | `not_a_test` |
";

    fn said(page: &str, text: &str) -> Vec<String> {
        let tests = BTreeSet::from(["it_is_there"]);
        let rows = rows(text);
        let findings = rows.iter().flat_map(|row| row.findings(page, &tests));
        findings.map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_test_that_is_not_there_is_told_with_its_line() {
        let gone = ":3: there is no test 'it_is_gone'; name the one that is";
        let bare = ":5: a row names its tests, or says 'untested'";
        assert_eq!(
            said("docs/a.md", PAGE),
            [format!("docs/a.md{gone}"), format!("docs/a.md{bare}")]
        );
        assert_eq!(said("A.md", PAGE), [format!("A.md{gone}")]);
    }

    #[test]
    fn only_functions_that_run_as_tests_are_tests() {
        let text = "#[test]\nfn one_is() {}\nfn none_is() {}\n\
            #[tokio::test(flavor = \"multi_thread\")]\nasync fn two_is() {}\n\
            #[cfg(test)]\nmod tests { fn nor_this() {} }\n\
            behaviours! {\n[embedded, redis]:\nthree_is,\nfour_is,\n}\nfn nor_that(a: u8, b: u8) {}";
        let source = Source::new("tests/a.rs", text);
        let names = tests(&source);
        for name in ["one_is", "two_is", "three_is", "four_is"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        for name in ["none_is", "nor_this", "nor_that"] {
            assert!(!names.contains(&name), "{name}: {names:?}");
        }
    }

    #[test]
    fn the_vectors_are_numbered_without_a_gap_and_each_names_a_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
        let mut numbers = Vec::new();
        for line in text.lines() {
            let number = line.split('|').nth(1).unwrap_or_default().trim();
            if let Ok(number) = number.parse::<usize>() {
                let cell = last_cell(line).unwrap();
                assert!(quoted(cell).any(is_name), "{line}");
                numbers.push(number);
            }
        }
        assert_eq!(numbers, (1..=42).collect::<Vec<_>>());
    }

    #[test]
    fn every_test_that_the_pages_name_is_in_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources = source::read_all(&root).unwrap();
        assert_eq!(check(&root, &sources).unwrap(), []);
    }
}
