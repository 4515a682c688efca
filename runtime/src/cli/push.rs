//! `celeriac push`.

use super::exit::{Exit, Problem};
use super::modules::{LIVE, live_json, module_name};
use super::options::Options;
use super::screen::{Screen, Spinner};
use super::show;
use crate::app::App;
use crate::registry::{LiveReport, PushStep, Pushed, Registry};
use crate::task::{ModuleName, TenantName};
use crate::telemetry::human;
use anyhow::Context as _;
use bytes::Bytes;
use celeriac_build::Guest;
use celeriac_sandbox::{UPLOAD_BYTES, Want};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"module\", \"version\", \"digest\", \"bytes\", \"tasks\", \"asks_for\", \
    \"wants\": [{\"want\", \"granted\", \"line\"}], \"can_reach\", \"imports\", \"unchanged\", \"live\": {\"workers\", \"live\", \"after_ms\"}}.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component [default: the task crate in this folder, built first]
    file: Option<PathBuf>,
    /// Name of the module: its tasks are called NAME.TASK
    #[arg(long)]
    name: String,
}

/// Pushes a component and waits until running workers have it.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let name = module_name(&args.name)?;
    let file = match args.file {
        Some(file) => file,
        None => built(screen).await?,
    };
    let component = read(&file)?;
    let app = options.open().await?;
    let tenant = options.tenant();
    let pushed = push(&app, (&tenant, &name), component, screen).await;
    let reach = pushed.as_ref().map(|(pushed, _)| {
        let (module, tasks) = (pushed.module.as_str(), &pushed.tasks);
        let reach = app.reach(&tenant, module, tasks);
        (reach, app.wants(&tenant, module, tasks))
    });
    app.close().await;
    let (reach, wants) = reach.unwrap_or_default();
    let (pushed, live) = pushed?;
    print(&pushed, (&reach, &wants), &live, screen);
    Ok(Exit::Done)
}

async fn built(screen: &Screen) -> anyhow::Result<PathBuf> {
    if !Path::new("Cargo.toml").exists() {
        let problem = Problem::usage("FILE is missing, and this folder is no task crate");
        return Err(problem
            .hint("celeriac push FILE --name NAME, or run it in a task crate")
            .into());
    }
    let _spinner = screen.spinner("building");
    let built = tokio::task::spawn_blocking(|| Guest::new(".").quiet(true).build()).await??;
    Ok(built.component)
}

fn read(path: &Path) -> anyhow::Result<Bytes> {
    let cannot = || format!("cannot read {path:?}");
    let mut bytes = Vec::new();
    // One byte over the limit is enough to be refused for it.
    File::open(path)
        .with_context(cannot)?
        .take(UPLOAD_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(cannot)?;
    Ok(Bytes::from(bytes))
}

async fn push(
    app: &App,
    (tenant, name): (&TenantName, &ModuleName),
    component: Bytes,
    screen: &Screen,
) -> anyhow::Result<(Pushed, LiveReport)> {
    let spinner = screen.spinner("opening the registry");
    let registry: Registry = app.registry().await?;
    let pushed = registry
        .push(tenant, name, component, &mut |step| told(&spinner, &step))
        .await?;
    let live = registry.wait_live(pushed.generation, LIVE).await?;
    Ok((pushed, live))
}

fn told(spinner: &Spinner, step: &PushStep) {
    match step {
        PushStep::Checked { bytes, .. } => spinner.say(format!("checked {}", human::size(*bytes))),
        PushStep::Compiling => spinner.say("compiling"),
        PushStep::Compiled { bytes, .. } => {
            spinner.say(format!("compiled, {} of native code", human::size(*bytes)));
        }
        PushStep::Described { tasks } => spinner.say(human::count(*tasks as u64, "task")),
        PushStep::Published => spinner.say("waiting for running workers"),
    }
}

fn print(
    pushed: &Pushed,
    (reach, wants): (&[String], &BTreeMap<String, Want>),
    live: &LiveReport,
    screen: &mut Screen,
) {
    screen.document(&json!({
        "module": pushed.module.as_str(),
        "version": pushed.version,
        "digest": format!("sha256:{}", pushed.digest.hex()),
        "bytes": pushed.bytes,
        "tasks": pushed.tasks,
        "asks_for": pushed.asks_for,
        "wants": wants.iter().map(|(want, found)| want_json(want, found)).collect::<Vec<_>>(),
        "can_reach": reach,
        "imports": pushed.imports,
        "unchanged": pushed.unchanged,
        "live": live_json(live),
    }));
    let count = human::count(pushed.tasks.len() as u64, "task");
    let head = format!(
        "{} {}  {}  {count}:",
        pushed.module,
        pushed.version,
        show::digest(&pushed.digest)
    );
    match pushed.tasks.as_slice() {
        [task] => screen.line(format!("{head} {}", show::signature(task))),
        tasks => {
            screen.line(head);
            for task in tasks.iter().take(show::MENTIONED) {
                screen.line(format!("  {}", show::signature(task)));
            }
            if let Some(more) = show::more(tasks) {
                screen.line(format!("  {more}: celeriac modules {}", pushed.module));
            }
        }
    }
    let listed = |all: &[String]| match all {
        [] => "nothing".to_owned(),
        all => all.join(", "),
    };
    let (asks_for, reach) = (listed(&pushed.asks_for), listed(reach));
    screen.line(format!("asks for: {asks_for}    can reach: {reach}"));
    for (want, found) in wants {
        screen.line(format!("  {}", want_line(want, found)));
    }
    if pushed.unchanged {
        screen.line("unchanged: this very component runs already");
    }
    screen.line(live.to_string());
}

fn want_json(want: &str, found: &Want) -> Value {
    let line = match found {
        Want::Missing(line) => Some(line),
        Want::Granted | Want::Unknown => None,
    };
    json!({"want": want, "granted": *found == Want::Granted, "line": line})
}

/// Says whether something that is wanted is granted, and by which line it would be.
fn want_line(want: &str, found: &Want) -> String {
    match found {
        Want::Granted => format!("{want}: granted"),
        Want::Missing(line) => format!("{want}: not granted; {line} would"),
        Want::Unknown => format!("{want}: this version knows no such grant"),
    }
}
