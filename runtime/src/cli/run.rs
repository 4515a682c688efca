//! `celeriac run`: one task, here and now, without a broker.

use super::call::json_argument;
use super::ending::{carried, document, ending, headline, is_success};
use super::exit::Exit;
use super::local::{self, Local};
use super::options::Options;
use super::screen::{Line, Screen};
use celeriac_build::Target;
use celeriac_sandbox::{Attempt, Progress, Report, TaskInfo};
use serde_json::Value;
use std::path::PathBuf;
use tokio::sync::watch;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"task\", \"outcome\", \"result\", \"kind\", \"message\", \"wall_ms\", \"cpu_ms\", \
    \"memory_peak_bytes\", \"bytes_in\", \"bytes_out\", \"host_calls\", \"uses\": {GRANT: {\"calls\", \"denied\", \"bytes_in\", \"bytes_out\"}}, \"log\", \"dropped_lines\", \"progress\"}.";

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
    let named = json_argument("-k", &args.kwargs, "object", '{')?;
    let file = match args.file.is_dir() {
        true => {
            local::build(&args.file, args.target, screen)
                .await?
                .component
        }
        false => args.file,
    };
    let module = local::load(&file, options, screen).await?;
    let task = module.task(args.task.as_deref())?;
    let (progress, told) = watch::channel(None);
    let attempt = Attempt {
        retries: args.retries,
        progress: Some(progress),
        keep_progress: PROGRESS_KEPT,
        ..Attempt::default()
    };
    let report = watched(&module, task, (positional, named), attempt, told, screen).await?;
    print(task, &report, screen);
    Ok(match is_success(&report) {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// Runs the task while its progress is shown.
async fn watched(
    module: &Local,
    task: &TaskInfo,
    (args, kwargs): (String, String),
    attempt: Attempt,
    mut told: watch::Receiver<Option<Progress>>,
    screen: &Screen,
) -> anyhow::Result<Report> {
    let spinner = screen.spinner(format!("running {}", task.name));
    let mut run = Box::pin(module.run(task, args, kwargs, attempt));
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

fn print(task: &TaskInfo, report: &Report, screen: &mut Screen) {
    screen.document(&document(&task.name, report));
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
    screen.line(headline(report));
    screen.line(Line::new().dim(carried(&report.usage)));
    screen.text(&ending(&report.outcome).text);
}
