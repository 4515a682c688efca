//! Checks what neither rustc nor clippy can: who may import whom, where external
//! crates live, how large and how named a file may be, habits of tests, and
//! whether the tests that pages name exist.
//!
//! The tables are data at the head of each rule's file. A finding names the
//! file, the line and what is allowed instead.

mod crates;
mod files;
mod habits;
mod homes;
mod layers;
mod pages;
mod reach;
mod source;
mod stale;
mod tokens;

use std::fmt;

use anyhow::{Result, bail};

use crate::commands::{Flags, say};
use crate::guests::workspace;
use source::Source;

/// Where the layer table is.
const LAYERS: &str = "xtask/src/tidy/layers.rs";

/// One thing that is wrong, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: source.path.clone(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Runs `cargo xtask tidy`.
pub(crate) fn run(_: &Flags) -> Result<()> {
    let workspace = workspace()?;
    let sources = source::read_all(&workspace.root)?;
    let mut findings = crates::check(&workspace);
    for source in &sources {
        findings.extend(layers::check(source));
        findings.extend(homes::check(source));
        findings.extend(files::check(source));
        findings.extend(habits::check(source));
    }
    findings.extend(reach::check(&sources));
    findings.extend(stale::check(&sources));
    findings.extend(pages::check(&workspace.root, &sources)?);
    findings.sort();
    for finding in &findings {
        say(&finding.to_string());
    }
    match findings.len() {
        0 => {
            say(&format!("tidy: {} files, nothing to say", sources.len()));
            Ok(())
        }
        count => bail!("tidy: {count} findings"),
    }
}
