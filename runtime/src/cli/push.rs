//! `celeriac push`.

mod report;

use super::exit::{Exit, Problem};
use super::modules::module_name;
use super::options::Options;
use super::screen::Screen;
use crate::registry::{Rule, Wishes};
use crate::task::{Portion, Release};
use anyhow::Context as _;
use bytes::Bytes;
use celeriac_build::Guest;
use celeriac_sandbox::UPLOAD_BYTES;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"module\", \"version\", \"release\", \"runs\", \"canary\", \"dry_run\", \"digest\", \"bytes\", \"tasks\", \"asks_for\", \
    \"wants\": [{\"want\", \"granted\", \"line\"}], \"can_reach\", \"imports\", \"unchanged\", \
    \"before\": null or {\"version\", \"release\", \"bytes\"}, \"changes\": {\"added\", \"removed\", \"changed\"}, \
    \"breaks\": [{\"task\", \"parameter\", \"breaks\", \"seen\"}], \"live\": {\"workers\", \"live\", \"after_ms\"}}; \
    with --dry-run \"live\" is null.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component [default: the task crate in this folder, built first]
    file: Option<PathBuf>,
    /// Name of the module: its tasks are called NAME.TASK
    #[arg(long)]
    name: String,
    /// Call this version so, as in 1.4.0; it must be higher than the current one's
    #[arg(long)]
    version: Option<Release>,
    /// Take a --version that is not higher than the current one's
    #[arg(long, requires = "version")]
    allow_older: bool,
    /// Take it although callers of the current version would break
    #[arg(long)]
    breaking: bool,
    /// Give it only this share of the tasks, as in 5%; the current version gets the rest
    #[arg(long, value_name = "SHARE")]
    canary: Option<Portion>,
    /// Runs of the canary that end before it is judged
    #[arg(long, value_name = "N", default_value_t = Rule::default().runs, requires = "canary")]
    canary_runs: u64,
    /// How many points more of the canary's runs may fail than of the current version's
    #[arg(long, value_name = "SHARE", default_value_t = Rule::default().points, requires = "canary")]
    canary_points: Portion,
    /// Tell what it would change, and publish nothing
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    fn wishes(&self) -> Wishes {
        let rule = Rule {
            runs: self.canary_runs,
            points: self.canary_points,
        };
        Wishes {
            release: self.version.clone(),
            older: self.allow_older,
            breaking: self.breaking,
            canary: self.canary.map(|share| (share, rule)),
            dry: self.dry_run,
        }
    }
}

/// Pushes a component and waits until running workers have it.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let (name, wishes) = (module_name(&args.name)?, args.wishes());
    let file = match args.file {
        Some(file) => file,
        None => built(screen).await?,
    };
    let component = read(&file)?;
    let place = options.place().await?;
    let whose = (&options.tenant(), &name);
    let taken = place.push(whose, (component, &wishes), screen).await;
    place.close().await;
    let taken = taken?;
    report::print(&taken, &wishes, screen);
    Ok(
        match wishes.dry && !wishes.breaking && !taken.pushed.breaks.is_empty() {
            true => Exit::Refused,
            false => Exit::Done,
        },
    )
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
