//! `celeriac test`: the cases of a task crate, in the sandbox a worker uses.

use super::case::Case;
use super::ending::{Document, document, ending, is_success};
use super::exit::{Exit, Problem};
use super::local::{self, Local};
use super::options::Options;
use super::screen::{Line, Screen};
use crate::telemetry::human;
use anyhow::Context as _;
use celeriac_build::Target;
use celeriac_sandbox::{Attempt, Grants, Report};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"passed\", \"failed\", \"cases\": [{\"name\", \"passed\", \"problems\", \"run\"}]}; \
    run as `celeriac run`, without \"submitted\".";

/// Most cases of one crate: beyond it, something generates them.
const CASES: usize = 10_000;
/// Lines of its log that a failing case shows: the last ones.
const LOG_TAIL: usize = 20;
/// Characters of a failure beside a case that wants it.
const BESIDE: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only cases whose names contain one of these
    names: Vec<String>,
    /// The task crate
    #[arg(long, default_value = ".")]
    path: PathBuf,
    /// wasm32-wasip2, or wasm32-unknown-unknown for a component without WASI
    #[arg(long, default_value_t)]
    target: Target,
}

/// A case that ran, or could not.
struct Ran {
    name: String,
    task: String,
    problems: Vec<String>,
    report: Option<Report>,
}

/// Builds a task crate and runs its cases.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let cases = find(&args.path.join("cases"), &args.names)?;
    let built = local::build(&args.path, args.target, screen).await?;
    let (config, _) = options.read(Vec::new())?;
    let module = local::load(&built.component, &config, screen).await?;
    let name = stem(&built.component).replace(".unknown", "");
    screen.line(format!(
        "built {name} ({}) in {}",
        args.target,
        human::span(built.elapsed)
    ));
    let width = cases
        .iter()
        .map(|path| stem(path).chars().count())
        .max()
        .unwrap_or(0);
    let mut ran = Vec::new();
    for path in &cases {
        let one = run_case(path, &module, screen).await?;
        show(&one, width, screen);
        ran.push(one);
    }
    let failed = ran.iter().filter(|one| !one.problems.is_empty()).count();
    let passed = ran.len() - failed;
    let cases: Vec<CaseDocument<'_>> = ran.iter().map(case_document).collect();
    screen.document(&json!({ "passed": passed, "failed": failed, "cases": cases }));
    if failed == 0 {
        screen.line(Line::new().good(format!("{passed} passed")));
        return Ok(Exit::Done);
    }
    screen.line(
        Line::new()
            .bad(format!("{failed} failed"))
            .text(format!(", {passed} passed")),
    );
    Ok(Exit::Failed)
}

/// Lists the files of the cases that are wanted, by name.
fn find(folder: &Path, names: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"));
    let entries = entries.map_err(|error| {
        Problem::usage(format!("{error:#}"))
            .hint("celeriac test runs the files cases/*.toml of a task crate")
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let wanted =
            names.is_empty() || names.iter().any(|name| stem(&path).contains(name.as_str()));
        if wanted && path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    match files.len() {
        0 => Err(
            Problem::usage(format!("no case in {folder:?} has such a name"))
                .hint("a case is a file cases/NAME.toml")
                .into(),
        ),
        1..=CASES => Ok(files),
        many => Err(Problem::usage(format!("{many} cases in {folder:?}; at most {CASES}")).into()),
    }
}

async fn run_case(path: &Path, module: &Local, screen: &Screen) -> anyhow::Result<Ran> {
    let mut ran = Ran {
        name: stem(path),
        task: String::new(),
        problems: Vec::new(),
        report: None,
    };
    let _spinner = screen.spinner(&ran.name);
    let case = match Case::read(path) {
        Ok(case) => case,
        Err(error) => {
            ran.problems.push(format!("{}: {error:#}", path.display()));
            return Ok(ran);
        }
    };
    let task = match module.task(case.task.as_deref()) {
        Ok(task) => task,
        Err(problem) => {
            ran.problems.push(problem.to_string());
            return Ok(ran);
        }
    };
    let attempt = Attempt {
        retries: case.retries,
        ..Attempt::default()
    };
    let call = (case.args.clone(), case.kwargs.clone());
    let report = module.run(task, call, &Grants::default(), attempt).await?;
    ran.task.clone_from(&task.name);
    ran.problems = case.judge(&report);
    ran.report = Some(report);
    Ok(ran)
}

fn show(ran: &Ran, width: usize, screen: &mut Screen) {
    let mark = match ran.problems.is_empty() {
        true => Line::new().good("✓ "),
        false => Line::new().bad("✗ "),
    };
    let name = format!("{:width$}", ran.name);
    let Some(report) = &ran.report else {
        screen.line(mark.text(name));
        return problems(ran, screen);
    };
    let usage = &report.usage;
    let took = format!("  {:>8}", human::span(usage.wall));
    let beside = match is_success(report) {
        true => {
            let (cpu, peak) = (human::span(usage.cpu), human::size(usage.memory_peak_bytes));
            format!("   cpu {cpu:<8} peak {peak}")
        }
        false => {
            let end = ending(&report.outcome);
            let kind = end.kind.unwrap_or_else(|| end.word.to_owned());
            let first = end.text.lines().next().unwrap_or_default();
            format!(
                "   {kind}: {}",
                first.chars().take(BESIDE).collect::<String>()
            )
        }
    };
    screen.line(mark.text(name).text(took).dim(beside));
    problems(ran, screen);
}

/// Shows what is wrong with a case, and the end of its log.
fn problems(ran: &Ran, screen: &mut Screen) {
    if ran.problems.is_empty() {
        return;
    }
    for line in ran.problems.iter().flat_map(|problem| problem.lines()) {
        screen.line(format!("    {line}"));
    }
    let lines = ran
        .report
        .as_ref()
        .map(|report| report.log.lines.as_slice())
        .unwrap_or_default();
    for line in lines.iter().skip(lines.len().saturating_sub(LOG_TAIL)) {
        let level = format!("{:?}", line.level).to_lowercase();
        screen.line(Line::new().dim(format!("    log {level:<5} {}", line.message)));
    }
}

#[derive(Serialize)]
struct CaseDocument<'a> {
    name: &'a str,
    passed: bool,
    problems: &'a [String],
    run: Option<Document<'a>>,
}

fn case_document(ran: &Ran) -> CaseDocument<'_> {
    CaseDocument {
        name: &ran.name,
        passed: ran.problems.is_empty(),
        problems: &ran.problems,
        run: ran
            .report
            .as_ref()
            .map(|report| document(&ran.task, report)),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_by_a_part_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let empty = find(folder.path(), &[]).unwrap_err().to_string();
        assert!(empty.contains("no case"), "{empty}");
        for file in ["b_two.toml", "a_one.toml", "photo.png"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            find(folder.path(), &wanted)
                .map(|files| files.iter().map(|path| stem(path)).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["a_one", "b_two"]);
        assert_eq!(names(&["two", "three"]).unwrap(), ["b_two"]);
        assert!(names(&["three"]).is_err());
        assert!(find(&folder.path().join("none"), &[]).is_err());
    }
}
