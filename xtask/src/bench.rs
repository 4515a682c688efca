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
const ECHO: &str = "tasks/text";
/// The example whose tasks `add` and `total` the canvases are made of.
const NUMBERS: &str = "tasks/numbers";
/// Guests that do their worst.
const HOSTILE: &str = "tests/guests/hostile";
/// Guests that send requests.
const WEB: &str = "tests/guests/web";

/// What stands in the README after a measured table.
const END: &str = "<!-- measured: end -->\n";

/// A benchmark whose table `--write` puts into the README.
struct Written {
    name: &'static str,
    package: &'static str,
    guests: &'static [&'static str],
    /// Whether it needs the servers, and Celery's programs.
    celery: bool,
}

const WRITTEN: [Written; 5] = [
    Written {
        name: "neighbours",
        package: "celeriac-sandbox",
        guests: &[ECHO, HOSTILE, WEB],
        celery: false,
    },
    Written {
        name: "brokers",
        package: "celeriac",
        guests: &[ECHO],
        celery: true,
    },
    Written {
        name: "canvas",
        package: "celeriac",
        guests: &[NUMBERS],
        celery: true,
    },
    Written {
        name: "fair",
        package: "celeriac",
        guests: &[ECHO, NUMBERS],
        celery: false,
    },
    Written {
        name: "follow",
        package: "celeriac",
        guests: &[ECHO],
        celery: true,
    },
];

/// Runs `cargo xtask bench`.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("guest toolchain", guests::toolchain)?;
    let chosen = |one: &Written| flags.has(&format!("--{}", one.name));
    let all = !WRITTEN.iter().any(chosen);
    if all {
        let (wasip2, unknown) = steps.run("guests", || {
            Ok((build(ECHO, Target::Wasip2)?, build(ECHO, Target::Unknown)?))
        })?;
        steps.run("sandbox dispatch", || {
            bench("celeriac-sandbox", "dispatch", &[&wasip2, &unknown])
        })?;
        steps.run("embedded broker", || {
            bench("celeriac", "embedded", &[&wasip2])
        })?;
    }
    let measured = || WRITTEN.iter().filter(|one| all || chosen(one));
    if measured().any(|one| one.celery) {
        steps.run("servers and Celery", python::ensure)?;
    }
    for one in measured() {
        steps.run(one.name, || one.measure(flags.has("--write")))?;
    }
    steps.report();
    Ok(())
}

impl Written {
    /// Measures; the table goes into the README if that is asked for.
    fn measure(&self, write: bool) -> Result<()> {
        let components = self.guests.iter().map(|guest| build(guest, Target::Wasip2));
        let components = components.collect::<Result<Vec<_>>>()?;
        let components: Vec<&str> = components.iter().map(String::as_str).collect();
        let name = self.name;
        if !write {
            return bench(self.package, name, &components);
        }
        let mut tables = Tables::default();
        let command = command(self.package, name, &components)?;
        let well = watch(command, Stream::Output, |line| tables.read(line))?;
        let table = tables.text;
        ensure!(well && !table.is_empty(), "the benchmark made no table");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let readme = written(&readme, name, &table)?;
        fs::write(&path, readme).with_context(|| path.display().to_string())
    }
}

/// The tables among the lines that a benchmark prints, with an empty line between two.
#[derive(Default)]
struct Tables {
    text: String,
    is_over: bool,
}

impl Tables {
    fn read(&mut self, line: &str) {
        let is_within = line.starts_with('|');
        if is_within {
            if self.is_over && !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
        self.is_over = !is_within;
    }
}

/// Returns what stands in the README before the table of a benchmark.
fn mark(name: &str) -> String {
    format!("<!-- measured: {name} -->\n")
}

/// Puts a table between its marks.
fn written(readme: &str, name: &str, table: &str) -> Result<String> {
    let first = mark(name);
    let parts = readme
        .split_once(&first)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?)));
    let (before, (old, after)) =
        parts.with_context(|| format!("README.md has no place for it: {first}{END}"))?;
    ensure!(
        !old.contains("<!--"),
        "README.md has another mark before the end of the table: {first}"
    );
    Ok(format!("{before}{first}{table}{END}{after}"))
}

/// Builds the example by a program of its own: this tool is light and cannot
/// encode a component for every target.
fn build(example: &str, target: Target) -> Result<String> {
    let target = target.to_string();
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--package",
        "celeriac-build",
        "--features",
        "encode",
    ]);
    command.args(["--example", "component", "--", example, &target]);
    let mut component = None;
    let well = watch(command, Stream::Output, |line| {
        component = Some(line.trim().to_owned());
    })?;
    ensure!(well, "{example} was not built for {target}");
    component.with_context(|| format!("building {example} for {target} named no component"))
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
        let (one, two) = (mark("one"), mark("two"));
        let readme = format!("# A\n\n{one}| old |\n{END}\n{two}{END}## B\n");
        let expected = format!("# A\n\n{one}| new |\n| 1 |\n{END}\n{two}{END}## B\n");
        let table = "| new |\n| 1 |\n";
        assert_eq!(written(&readme, "one", table).unwrap(), expected);
        let expected = format!("# A\n\n{one}| old |\n{END}\n{two}{table}{END}## B\n");
        assert_eq!(written(&readme, "two", table).unwrap(), expected);
    }

    #[test]
    fn two_tables_are_two_in_the_readme_as_well() {
        let mut tables = Tables::default();
        for line in [
            "begins", "| a |", "|---|", "| 1 |", "", "words", "| b |", "|---|",
        ] {
            tables.read(line);
        }
        assert_eq!(tables.text, "| a |\n|---|\n| 1 |\n\n| b |\n|---|\n");
    }

    #[test]
    fn a_readme_without_the_marks_is_refused_with_them() {
        let (one, two) = (mark("one"), mark("two"));
        for readme in [
            String::new(),
            one.clone(),
            format!("{END}{one}"),
            format!("{one}{two}{END}"),
        ] {
            let error = written(&readme, "one", "| 1 |\n").unwrap_err().to_string();
            assert!(error.contains(&one), "{error}");
        }
    }

    #[test]
    fn the_readme_has_a_place_for_each_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = fs::read_to_string(path).unwrap();
        for one in &WRITTEN {
            written(&readme, one.name, "").unwrap();
        }
    }
}
