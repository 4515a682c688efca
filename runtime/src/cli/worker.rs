//! `celeriac dev` and `celeriac worker`.

use super::exit::Exit;
use super::options::Options;
use super::screen::{Line, Screen};
use super::show;
use crate::app::{self, App, Started};
use crate::clock::Clock;
use crate::config::{Address, Config, DATABASE_FILE};
use crate::confine::{Wall, Walls};
use crate::telemetry::human;
use crate::worker::Drained;
use serde_json::json;
use std::collections::BTreeMap;
use tracing::Level;

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything in one process; every settled task is a line.
    Dev,
    /// A worker beside others.
    Worker,
}

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON, once it takes messages: {\"version\", \"worker\", \"broker\", \"result_backend\", \"queues\", \
    \"concurrency\", \"threads\", \"listen\", \"plane\": {\"listen\", \"token_file\"} (of dev), \"walls\": [WALL], \"missing_walls\": {WALL: REASON}, \"modules\": [{\"name\", \"version\", \"tasks\"}]}. Log lines \
    go to standard error.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the worker: NAME@HOST; %h is this machine, %n its first part, %d its domain
    #[arg(short = 'n', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Queues to take messages from, joined by commas [default: celery]
    #[arg(short = 'Q', long, value_name = "QUEUES")]
    queues: Option<String>,
    /// Attempts in flight, 1 to 4000 [default: 64]
    #[arg(short = 'c', long, value_name = "NUMBER")]
    concurrency: Option<String>,
    /// Run the tasks of each module in a process of its own
    #[arg(long)]
    isolate: bool,
    /// Tell monitors what happens to tasks
    #[arg(short = 'E', long)]
    task_events: bool,
    /// Accepted for Celery's sake: one pool serves computing and waiting tasks
    #[arg(short = 'P', long, value_name = "POOL")]
    pool: Option<String>,
}

/// Runs until a signal stops it.
pub(crate) fn run(
    role: Role,
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    for note in notes(&args) {
        screen.note(&note);
    }
    let task_events = args.task_events.then(|| "true".to_owned());
    let isolate = args.isolate.then(|| "true".to_owned());
    let (config, _) = options.read(vec![
        ("worker.hostname", "-n", args.hostname),
        ("worker.queues", "-Q", args.queues),
        ("worker.concurrency", "-c", args.concurrency),
        ("worker.task_events", "-E", task_events),
        ("worker.isolate", "--isolate", isolate),
    ])?;
    options.start_logging(Level::INFO, role == Role::Dev)?;
    // Walls are put up before there are threads.
    let walls = app::confine(&config, role == Role::Dev)?;
    super::wait_for(work(role, config, walls, screen))
}

async fn work(
    role: Role,
    config: Config,
    walls: Walls,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let app = App::open(config, Clock::System).await?.within(walls);
    let app = match role {
        Role::Dev => app.with_plane(),
        Role::Worker => app,
    };
    let drained = app.work(|started| banner(role, started, screen)).await;
    app.close().await;
    let drained = drained?;
    if !screen.is_json() {
        screen.note(&closing(&drained));
    }
    Ok(Exit::Done)
}

/// Says what the worker did.
fn closing(drained: &Drained) -> String {
    let Drained {
        finished,
        refused,
        given_back,
    } = *drained;
    let mut words = format!("stopped: {} finished", human::count(finished, "task"));
    for (number, what) in [(refused, "refused"), (given_back, "given back")] {
        if number > 0 {
            words.push_str(&format!(", {number} {what}"));
        }
    }
    words
}

/// Says what became of Celery's flags that have nothing to switch here.
fn notes(args: &Args) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(pool) = &args.pool {
        notes.push(format!(
            "note: -P {pool} has nothing to choose: one pool serves computing and waiting tasks, -c is the number in flight"
        ));
    }
    notes
}

fn banner(role: Role, started: &Started<'_>, screen: &mut Screen) {
    let config = started.config;
    let modules: Vec<_> = started
        .modules
        .iter()
        .map(|module| {
            let tasks: Vec<_> = module.tasks.iter().map(|task| &task.name).collect();
            json!({"name": module.name.as_str(), "version": module.version, "tasks": tasks})
        })
        .collect();
    let walls: Vec<_> = started.walls.standing().map(Wall::name).collect();
    let missing = started.walls.missing();
    let missing: BTreeMap<_, _> = missing.map(|(wall, why)| (wall.name(), why)).collect();
    screen.document(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "worker": config.worker.hostname,
        "broker": config.broker.to_string(),
        "result_backend": config.result_backend.to_string(),
        "queues": config.worker.queues,
        "concurrency": config.worker.concurrency,
        "threads": config.worker.guest_threads,
        "listen": started.listen.map(|address| address.to_string()),
        "plane": started.plane.map(|plane| json!({
            "listen": plane.listen.to_string(),
            "token_file": plane.token_file.display().to_string(),
        })),
        "walls": walls,
        "missing_walls": missing,
        "modules": modules,
    }));
    screen.line(Line::new().strong("celeriac").text(format!(
        " {}  {}  {} attempts in flight  {}",
        env!("CARGO_PKG_VERSION"),
        place("broker", &config.broker),
        config.worker.concurrency,
        human::count(config.worker.guest_threads as u64, "core"),
    )));
    if config.result_backend != config.broker {
        screen.line(place("results", &config.result_backend));
    }
    if role == Role::Worker {
        screen.line(format!(
            "{}  queues {}",
            config.worker.hostname,
            config.worker.queues.join(", ")
        ));
    }
    if let Some(address) = started.listen {
        screen.line(format!(
            "metrics http://{address}/metrics  health http://{address}/health/ready"
        ));
    }
    if let Some(plane) = started.plane {
        screen.line(format!(
            "control plane http://{}  token in {}",
            plane.listen,
            plane.token_file.display()
        ));
    }
    if started.modules.is_empty() {
        screen.line("no modules yet: celeriac push FILE --name NAME");
    }
    for module in &started.modules {
        screen.line(format!(
            "{} {}: {}",
            module.name,
            module.version,
            show::task_names(&module.tasks)
        ));
    }
}

/// Names the place of messages or results, as a person would.
fn place(what: &str, address: &Address) -> String {
    match address {
        Address::Embedded(folder) => {
            let file = folder.join(DATABASE_FILE);
            format!("embedded {what} {}", file.display())
        }
        Address::Redis(url) => format!("{what} {url}"),
        Address::Sentinel(url) => format!("{what} {url}"),
        Address::Amqp(url) => format!("{what} {}", url.server),
        Address::Database(_) | Address::Postgres(_) | Address::Files(_) => {
            format!("{what} {address}")
        }
        Address::Rpc => format!("{what} go to their callers alone (rpc://)"),
        Address::Disabled => {
            format!("no {what} are kept: callers cannot wait for them (--result-backend)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_became_of_every_message() {
        let mut drained = Drained {
            finished: 1,
            refused: 0,
            given_back: 0,
        };
        assert_eq!(closing(&drained), "stopped: 1 task finished");
        drained.refused = 3;
        drained.given_back = 2;
        assert_eq!(
            closing(&drained),
            "stopped: 1 task finished, 3 refused, 2 given back"
        );
    }

    #[test]
    fn flags_of_celery_that_choose_nothing_are_explained() {
        let args = Args {
            isolate: false,
            hostname: None,
            queues: None,
            concurrency: None,
            task_events: true,
            pool: Some("gevent".to_owned()),
        };
        let notes = notes(&args);
        assert_eq!(notes.len(), 1);
        assert!(
            notes
                .iter()
                .any(|note| note.starts_with("note: -P gevent has nothing to choose"))
        );
    }
}
