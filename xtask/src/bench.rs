//! `cargo xtask bench`: the benchmarks, in the release profile, one after the
//! other; each prints its Markdown table.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use celeriac_build::{Guest, Target};

use crate::commands::Flags;
use crate::guests;
use crate::steps::{Steps, cargo, run as to_end};

/// The example whose task `echo` is the no-op of the benchmarks.
const EXAMPLE: &str = "tasks/text";

/// Runs `cargo xtask bench`.
pub(crate) fn run(_: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("guest toolchain", guests::toolchain)?;
    let root = guests::workspace()?.root;
    let (wasip2, unknown) = steps.run("guests", || {
        Ok((
            build(&root, Target::Wasip2)?,
            build(&root, Target::Unknown)?,
        ))
    })?;
    steps.run("sandbox dispatch", || {
        bench("celeriac-sandbox", "dispatch", &[&wasip2, &unknown])
    })?;
    steps.run("embedded broker", || {
        bench("celeriac", "embedded", &[&wasip2])
    })?;
    steps.report();
    Ok(())
}

fn build(root: &Path, target: Target) -> Result<String> {
    let built = Guest::new(root.join(EXAMPLE))
        .target(target)
        .quiet(true)
        .build()?;
    let file = built
        .component
        .to_str()
        .context("the target folder's path is not text")?;
    Ok(file.to_owned())
}

fn bench(package: &str, name: &str, files: &[&str]) -> Result<()> {
    ensure!(!files.is_empty(), "a benchmark needs a component");
    let mut command = cargo(&["bench", "--package", package, "--bench", name, "--"]);
    command.args(files);
    to_end(command)
}
