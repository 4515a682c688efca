//! `celeriac build`.

use super::exit::Exit;
use super::local;
use super::options::Options;
use super::screen::Screen;
use super::show;
use crate::telemetry::human;
use celeriac_build::Target;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str =
    "JSON: {\"component\", \"bytes\", \"target\", \"elapsed_ms\", \"tasks\", \"imports\"}.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task crate
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// wasm32-wasip2, or wasm32-unknown-unknown for a component without WASI
    #[arg(long, default_value_t)]
    target: Target,
    /// Only make sure that this machine can build guests
    #[arg(long, conflicts_with = "folder")]
    toolchain: bool,
}

/// Builds a task crate, and checks that a worker would take the component.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    if args.toolchain {
        return toolchain(screen).await;
    }
    let built = local::build(&args.folder, args.target, screen).await?;
    let (config, _) = options.read(Vec::new())?;
    let module = local::load(&built.component, &config, screen).await?;
    screen.document(&json!({
        "component": built.component,
        "bytes": built.bytes,
        "target": args.target.triple(),
        "elapsed_ms": built.elapsed.as_millis(),
        "tasks": module.tasks(),
        "imports": module.imports(),
    }));
    screen.line(format!(
        "{}  {}  {}  built in {}",
        shown(&built.component).display(),
        human::size(built.bytes),
        args.target,
        human::span(built.elapsed)
    ));
    for task in module.tasks() {
        screen.line(format!("  {}", show::signature(task)));
        for line in task.doc.lines().take(1).filter(|line| !line.is_empty()) {
            screen.line(format!("    {line}"));
        }
        screen.line(format!("    {}", show::asked(task)));
    }
    Ok(Exit::Done)
}

async fn toolchain(screen: &mut Screen) -> anyhow::Result<Exit> {
    let spinner = screen.spinner("looking for a toolchain");
    let installed = tokio::task::spawn_blocking(|| {
        let mut lines = Vec::new();
        let toolchain = celeriac_build::install(&mut |line| lines.push(line.to_owned()));
        toolchain.map(|toolchain| (toolchain, lines))
    });
    let (toolchain, lines) = installed.await??;
    drop(spinner);
    let rustc = toolchain.rustc().unwrap_or(Path::new("rustc"));
    screen.document(&json!({ "rustc": rustc }));
    for line in lines {
        screen.note(&line);
    }
    screen.line(format!("guests are built with {}", rustc.display()));
    Ok(Exit::Done)
}

/// Shortens a path below the current folder.
fn shown(path: &Path) -> &Path {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path)
}
