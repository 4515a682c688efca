//! `celeriac run`: one task, here and now, without a broker.

mod given;

use super::call::json_argument;
use super::ending::{Document, carried, document, ending, headline, is_success};
use super::exit::{Exit, Problem};
use super::local;
use super::modules::module_name;
use super::options::Options;
use super::screen::{Line, Screen};
use crate::config;
use crate::task::ModuleName;
use celeriac_build::Target;
use celeriac_sandbox::{Attempt, Progress, Report, TaskInfo};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"task\", \"outcome\", \"result\", \"kind\", \"message\", \"wall_ms\", \"cpu_ms\", \
    \"memory_peak_bytes\", \"bytes_in\", \"bytes_out\", \"host_calls\", \"uses\": {GRANT: {\"calls\", \"denied\", \"bytes_in\", \"bytes_out\"}}, \"log\", \"dropped_lines\", \"progress\", \"submitted\": [{\"when\", \"tasks\", \"args\", \"kwargs\"}]}.";

/// Progress updates that the document repeats; a task may send millions.
const PROGRESS_KEPT: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component, or the folder of a task crate, which is built first
    file: PathBuf,
    /// Name of the task within the module [default: the only one]
    task: Option<String>,
    /// Positional arguments: a JSON array, @FILE, or @- for standard input
    #[arg(short = 'a', long, value_name = "JSON", default_value = "[]")]
    args: String,
    /// Keyword arguments: a JSON object, @FILE, or @- for standard input
    #[arg(short = 'k', long, value_name = "JSON", default_value = "{}")]
    kwargs: String,
    /// Name of the module, whose grants of celeriac.toml it gets [default: that of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Grant it something more, as a key of [grants.NAME] does: http=HOST, http_private=NETWORK,
    /// config=NAME, secrets=NAME, inject=LINE, submit=TASK, key_value=SIZE, scratch=SIZE
    #[arg(long, value_name = "KEY=VALUE", value_parser = given::pair)]
    grant: Vec<given::Pair>,
    /// How often the task was retried before
    #[arg(long, default_value_t = 0)]
    retries: u32,
    /// Target to build for, where FILE is a folder
    #[arg(long, default_value_t)]
    target: Target,
}

/// Runs one attempt of a task and shows everything it did.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let positional = json_argument("-a", &args.args, "array", '[')?;
    let keywords = json_argument("-k", &args.kwargs, "object", '{')?;
    let file = match args.file.is_dir() {
        true => {
            local::build(&args.file, args.target, screen)
                .await?
                .component
        }
        false => args.file,
    };
    let name = named(args.name.as_deref(), &file, !args.grant.is_empty())?;
    let config = options.read_changed(|raw| {
        for (key, value) in args.grant {
            let whom = name.as_ref().map_or("", ModuleName::as_str);
            config::grant(raw, whom, &key, "--grant", value);
        }
    })?;
    let module = local::load(&file, &config, screen).await?;
    let task = module.task(args.task.as_deref())?;
    let (progress, told) = watch::channel(None);
    let mut attempt = Attempt {
        retries: args.retries,
        progress: Some(progress),
        keep_progress: PROGRESS_KEPT,
        ..Attempt::default()
    };
    let (grants, outbox) = given::give(&config, name.as_ref(), &task.name, &mut attempt)?;
    let call = (positional, keywords);
    let run = module.run(task, call, &grants, attempt);
    let report = watched(&task.name, run, told, screen).await?;
    print(task, &report, &outbox.take(), screen);
    if let Some(hint) = given::hint(&report.usage.uses, name.as_ref()) {
        screen.line(Line::new().dim(hint));
    }
    Ok(match is_success(&report) {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// Runs the task while its progress is shown.
async fn watched(
    task: &str,
    run: impl Future<Output = anyhow::Result<Report>>,
    mut told: watch::Receiver<Option<Progress>>,
    screen: &Screen,
) -> anyhow::Result<Report> {
    let spinner = screen.spinner(format!("running {task}"));
    let mut run = Box::pin(run);
    loop {
        tokio::select! {
            report = &mut run => return report,
            Ok(()) = told.changed() => {
                let latest = told.borrow_and_update().clone();
                if let Some(step) = latest {
                    show_step(&step, &spinner);
                }
            }
        }
    }
}

fn show_step(step: &Progress, spinner: &super::screen::Spinner) {
    let meta: Value = serde_json::from_str(&step.meta).unwrap_or_default();
    let number = |name: &str| meta.get(name).and_then(Value::as_u64);
    let message = meta
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match number("current").filter(|_| step.state == "PROGRESS") {
        Some(current) => spinner.progress(current, number("total"), message),
        None => spinner.say(format!("{} {}", step.state, step.meta)),
    }
}

/// The document of a run by hand.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    run: Document<'a>,
    submitted: &'a [given::Sent],
}

/// Returns the name of the module whose grants a task gets, if there is one.
fn named(wanted: Option<&str>, file: &Path, must_be: bool) -> Result<Option<ModuleName>, Problem> {
    if let Some(name) = wanted {
        return module_name(name).map(Some);
    }
    match local::module(file) {
        None if must_be => {
            let problem = Problem::usage(format!("{file:?} is not named like a module"));
            Err(problem.hint("--name NAME says which module it is to be"))
        }
        name => Ok(name),
    }
}

fn print(task: &TaskInfo, report: &Report, submitted: &[given::Sent], screen: &mut Screen) {
    screen.document(&Shown {
        run: document(&task.name, report),
        submitted,
    });
    for line in &report.log.lines {
        let level = format!("{:?}", line.level).to_lowercase();
        let fields: String = line
            .fields
            .iter()
            .map(|(name, value)| format!("  {name}={value}"))
            .collect();
        screen.line(Line::new().dim(format!("{level:<5} {}{fields}", line.message)));
    }
    if let Some(more) = report.log.dropped() {
        screen.line(Line::new().dim(more));
    }
    for sent in submitted {
        let json = [&sent.args, &sent.kwargs].map(|json| json.as_ref().map(|json| json.get()));
        let json: String = json
            .iter()
            .flatten()
            .map(|json| format!(" {json}"))
            .collect();
        let (when, tasks) = (sent.when, sent.tasks.join(", "));
        screen.line(Line::new().dim(format!("would send {when}: {tasks}{json}")));
    }
    screen.line(headline(report));
    screen.line(Line::new().dim(carried(&report.usage)));
    screen.text(&ending(&report.outcome).text);
}
