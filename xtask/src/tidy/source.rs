//! The Rust files of the workspace, and which of their lines only tests see.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::tokens::{Token, tokens};

/// The folders that hold code of ours.
const ROOMS: [&str; 5] = ["runtime", "sdk", "tasks", "tests", "xtask"];

/// One Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// The path relative to the workspace, with slashes.
    pub(super) path: String,
    /// How many lines it has.
    pub(super) lines: usize,
    /// Its code without comments and the contents of strings.
    pub(super) tokens: Vec<Token>,
    /// The line of the first `#[cfg(test)]` that opens a module, if any.
    pub(super) tests_from: Option<usize>,
}

impl Source {
    pub(super) fn new(path: impl Into<String>, text: &str) -> Self {
        let tokens = tokens(text);
        let tests_from = tests_from(&tokens);
        Self {
            path: path.into(),
            lines: text.lines().count(),
            tokens,
            tests_from,
        }
    }

    /// Returns whether a line is compiled for tests only.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.is_test_file() || self.tests_from.is_some_and(|from| line >= from)
    }

    /// Returns whether the whole file belongs to tests.
    pub(super) fn is_test_file(&self) -> bool {
        self.path.starts_with("tests/")
            || self
                .path
                .split('/')
                .any(|part| part == "tests" || part == "tests.rs")
    }

    /// Returns the file's name without `.rs`.
    pub(super) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.strip_suffix(".rs").unwrap_or(name)
    }
}

/// Finds `#[cfg(test)] mod … {`; by the order of a file, tests come last.
fn tests_from(tokens: &[Token]) -> Option<usize> {
    let pattern = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut windows = tokens.windows(pattern.len() + 3);
    let opens_module = |window: &&[Token]| {
        let starts = window
            .iter()
            .zip(pattern)
            .all(|(token, word)| token.text == word);
        starts
            && window.iter().any(|token| token.text == "mod")
            && window.iter().any(|token| token.text == "{")
    };
    windows
        .find(opens_module)
        .and_then(|window| window.first())
        .map(|token| token.line)
}

/// Reads every Rust file of the workspace.
pub(super) fn read_all(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for room in ROOMS {
        walk(root, &root.join(room), &mut sources)?;
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn walk(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, sources)?;
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let relative = path
                .strip_prefix(root)?
                .to_string_lossy()
                .replace('\\', "/");
            sources.push(Source::new(relative, &text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_module_of_a_file_is_told_from_its_code() {
        let text = "fn a() {}\n#[cfg(test)]\nuse x;\n#[cfg(test)]\nmod tests {\n}\n";
        let source = Source::new("runtime/src/a.rs", text);
        assert_eq!(source.tests_from, Some(4));
        assert!(!source.is_test(3) && source.is_test(5));
    }

    #[test]
    fn files_of_tests_are_known_by_their_place() {
        for (path, is_test) in [
            ("tests/e2e/a.rs", true),
            ("runtime/sandbox/tests/a.rs", true),
            ("runtime/src/config/tests.rs", true),
            ("runtime/src/attests.rs", false),
        ] {
            assert_eq!(Source::new(path, "").is_test_file(), is_test, "{path}");
        }
        assert_eq!(Source::new("a/b.rs", "").stem(), "b");
    }

    #[test]
    fn this_workspace_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources = read_all(&root).unwrap();
        assert!(
            sources
                .iter()
                .any(|source| source.path == "xtask/src/tidy/source.rs")
        );
    }
}
