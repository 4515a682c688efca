//! `cargo xtask bench`: the benchmarks, in the release profile, one after the
//! other; each prints its Markdown table.

use anyhow::{Context, Result, ensure};
use celeriac_build::Target;

use crate::commands::Flags;
use crate::guests;
use crate::steps::{Steps, Stream, cargo, run as to_end, watch};

/// The example whose task `echo` is the no-op of the benchmarks.
const EXAMPLE: &str = "tasks/text";

/// Runs `cargo xtask bench`.
pub(crate) fn run(_: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("guest toolchain", guests::toolchain)?;
    let (wasip2, unknown) = steps.run("guests", || {
        Ok((build(Target::Wasip2)?, build(Target::Unknown)?))
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

/// Builds the example by a program of its own: this tool is light and cannot
/// encode a component for every target.
fn build(target: Target) -> Result<String> {
    let target = target.to_string();
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--package",
        "celeriac-build",
        "--features",
        "encode",
    ]);
    command.args(["--example", "component", "--", EXAMPLE, &target]);
    let mut component = None;
    let well = watch(command, Stream::Output, |line| {
        component = Some(line.trim().to_owned());
    })?;
    ensure!(well, "{EXAMPLE} was not built for {target}");
    component.with_context(|| format!("building {EXAMPLE} for {target} named no component"))
}

fn bench(package: &str, name: &str, files: &[&str]) -> Result<()> {
    ensure!(!files.is_empty(), "a benchmark needs a component");
    let mut command = cargo(&["bench", "--package", package, "--bench", name, "--"]);
    command.args(files);
    to_end(command)
}
