//! `cargo xtask bench`: the benchmarks, in the release profile, one after the
//! other; each prints its Markdown table.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use celeriac_build::Target;

use crate::commands::Flags;
use crate::steps::{Steps, Stream, cargo, run as to_end, watch};
use crate::{guests, python};

/// The example whose task `echo` is the no-op of the benchmarks.
const EXAMPLE: &str = "tasks/text";

/// What stands in the README before and after the table of the brokers.
const MARKS: [&str; 2] = ["<!-- measured: brokers -->\n", "<!-- measured: end -->\n"];

/// Runs `cargo xtask bench`.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("guest toolchain", guests::toolchain)?;
    if flags.has("--brokers") {
        let wasip2 = steps.run("guest", || build(Target::Wasip2))?;
        brokers(flags, &mut steps, &wasip2)?;
        steps.report();
        return Ok(());
    }
    let (wasip2, unknown) = steps.run("guests", || {
        Ok((build(Target::Wasip2)?, build(Target::Unknown)?))
    })?;
    steps.run("sandbox dispatch", || {
        bench("celeriac-sandbox", "dispatch", &[&wasip2, &unknown])
    })?;
    steps.run("embedded broker", || {
        bench("celeriac", "embedded", &[&wasip2])
    })?;
    brokers(flags, &mut steps, &wasip2)?;
    steps.report();
    Ok(())
}

/// Measures the brokers beside Celery; with `--write` the table goes into the README.
fn brokers(flags: &Flags, steps: &mut Steps, component: &str) -> Result<()> {
    steps.run("servers and Celery", python::ensure)?;
    steps.run("brokers", || {
        if !flags.has("--write") {
            return bench("celeriac", "brokers", &[component]);
        }
        let mut table = String::new();
        let command = command("celeriac", "brokers", &[component])?;
        let well = watch(command, Stream::Output, |line| {
            if line.starts_with('|') {
                table.push_str(line.trim_end());
                table.push('\n');
            }
        })?;
        ensure!(well && !table.is_empty(), "the benchmark made no table");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let readme = written(&readme, &table)?;
        fs::write(&path, readme).with_context(|| path.display().to_string())
    })
}

/// Puts a table between the marks.
fn written(readme: &str, table: &str) -> Result<String> {
    let [first, last] = MARKS;
    let parts = readme
        .split_once(first)
        .and_then(|(before, rest)| Some((before, rest.split_once(last)?.1)));
    let (before, after) =
        parts.with_context(|| format!("README.md has no place for it: {first}{last}"))?;
    Ok(format!("{before}{first}{table}{last}{after}"))
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
    to_end(command(package, name, files)?)
}

fn command(package: &str, name: &str, files: &[&str]) -> Result<Command> {
    ensure!(!files.is_empty(), "a benchmark needs a component");
    let mut command = cargo(&["bench", "--package", package, "--bench", name, "--"]);
    command.args(files);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_what_is_between_its_marks_and_nothing_else() {
        let [first, last] = MARKS;
        let readme = format!("# A\n\n{first}| old |\n{last}\n## B\n");
        let expected = format!("# A\n\n{first}| new |\n| 1 |\n{last}\n## B\n");
        assert_eq!(written(&readme, "| new |\n| 1 |\n").unwrap(), expected);
    }

    #[test]
    fn a_readme_without_the_marks_is_refused_with_them() {
        let [first, last] = MARKS;
        for readme in [String::new(), first.to_owned(), format!("{last}{first}")] {
            let error = written(&readme, "| 1 |\n").unwrap_err().to_string();
            assert!(error.contains(first) && error.contains(last), "{error}");
        }
    }

    #[test]
    fn the_readme_has_a_place_for_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = fs::read_to_string(path).unwrap();
        written(&readme, "").unwrap();
    }
}
