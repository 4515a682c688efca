//! `celeriac result`, and waiting for a task.

use super::exit::{Exit, Problem};
use super::options::Options;
use super::place::Place;
use super::screen::{Screen, Spinner};
use super::there;
use super::{moment, show};
use crate::app::App;
use crate::results::Record;
use crate::task::{State, TaskId};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing may be known of a task before the absence of workers is
/// mentioned (1 s).
const PATIENCE: Duration = Duration::from_secs(1);

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"id\", \"state\"}, and once something is stored also \"task\", \"result\", \"exception\": \
    {\"class\", \"module\", \"message\", \"trace\"}, \"retries\", \"deliveries\", \"due\", \"worker\", \
    \"usage\": {\"queue_wait_ms\", \"run_us\", \"cpu_us\", \"memory_peak_bytes\", \"bytes_in\", \"bytes_out\", \"host_calls\", \
    \"uses\": {GRANT: {\"calls\", \"denied\", \"bytes_in\", \"bytes_out\"}}}, \
    \"log\": {\"lines\", \"dropped_lines\", \"dropped_bytes\", \"room_lines\", \"room_bytes\"}, \"written_at\".";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id that `celeriac call` printed
    id: String,
    /// Wait until the task is over
    #[arg(long)]
    wait: bool,
    /// Longest wait: seconds, or a time such as 30s [default: for ever]
    #[arg(long, requires = "wait", value_name = "TIME")]
    timeout: Option<String>,
    /// Show the log of the last attempt as well
    #[arg(long)]
    log: bool,
}

/// Shows the state and result of a task.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let id = TaskId::parse(&args.id).map_err(|error| Problem::usage(error.to_string()))?;
    let timeout = args
        .timeout
        .as_deref()
        .map(|text| moment::span("--timeout", text))
        .transpose()?;
    let app = match options.place().await? {
        Place::Here(app) => app,
        Place::There(remote) => {
            let wanted = args.wait.then_some(timeout);
            let whose = (&remote, &options.tenant());
            return there::result(whose, &id, (args.log, wanted), screen).await;
        }
    };
    if !app.keeps_results() {
        return Err(super::call::nowhere().into());
    }
    let shown = match args.wait {
        true => wait(&app, &id, None, timeout, args.log, screen).await,
        false => show_now(&app, &id, args.log, screen).await,
    };
    app.close().await;
    shown
}

async fn show_now(app: &App, id: &TaskId, log: bool, screen: &mut Screen) -> anyhow::Result<Exit> {
    let record = app.results().get(id).await?;
    Ok(shown(id, record.as_ref(), log, screen))
}

/// Shows what is known of a task now.
pub(crate) fn shown(id: &TaskId, record: Option<&Record>, log: bool, screen: &mut Screen) -> Exit {
    screen.document(&show::document(id.as_str(), record));
    let Some(record) = record else {
        screen.line("PENDING  nothing is stored: not started yet, unknown, or expired");
        return Exit::NotFound;
    };
    told(record, log, screen)
}

/// Waits until a task is over, showing how far it is. `queue` is where its
/// message is, if that is known.
pub(crate) async fn wait(
    app: &App,
    id: &TaskId,
    queue: Option<&str>,
    timeout: Option<Duration>,
    log: bool,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let spinner = screen.spinner(format!("waiting for {id}"));
    let mut changed = |record: &Record| progress(&spinner, &Stage::of(record));
    let patience = Instant::now() + PATIENCE;
    let early = deadline.map_or(patience, |deadline| deadline.min(patience));
    let client = app.client();
    let mut record = client.wait(id, Some(early), &mut changed).await?;
    if record.is_none() && deadline.is_none_or(|deadline| deadline > patience) {
        mention_workers(app, queue, &spinner, screen).await?;
    }
    if !record
        .as_ref()
        .is_some_and(|record| record.state.is_final())
    {
        record = client.wait(id, deadline, &mut changed).await?;
    }
    drop(spinner);
    match record {
        Some(record) if record.state.is_final() => {
            screen.document(&show::document(id.as_str(), Some(&record)));
            Ok(told(&record, log, screen))
        }
        record => Ok(unfinished(id, record.as_ref(), &again(app, id), screen)),
    }
}

/// Says that a task is not over yet, and how to look at it later.
pub(crate) fn unfinished(
    id: &TaskId,
    record: Option<&Record>,
    again: &str,
    screen: &mut Screen,
) -> Exit {
    screen.document(&show::document(id.as_str(), record));
    let state = record.map_or("PENDING", |record| record.state.as_str());
    screen.line(format!(
        "{state}  not finished within the timeout; the task goes on"
    ));
    screen.line(again);
    Exit::TimedOut
}

/// Says how to look at a task later.
pub(crate) fn again(app: &App, id: &TaskId) -> String {
    match app.keeps_results() {
        true => format!("look again: celeriac result {id} --wait"),
        false => "its reply was for this call alone (rpc://) and cannot be looked at".to_owned(),
    }
}

async fn mention_workers(
    app: &App,
    queue: Option<&str>,
    spinner: &Spinner,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let live = app.registry().await?.wait_live(0, Duration::ZERO).await?;
    if live.workers == 0 {
        screen.note_beside(spinner, &no_worker(queue, &app.config().worker.queues));
    }
    Ok(())
}

/// Says where the message waits, and what starts a worker that takes it from
/// there. `served` are the queues that `celeriac dev` takes from by itself.
fn no_worker(queue: Option<&str>, served: &[String]) -> String {
    let Some(queue) = queue else {
        return "no worker is running: start one with `celeriac dev`".to_owned();
    };
    let option = match served.iter().any(|served| served == queue) {
        true => String::new(),
        false => format!(" -Q {queue}"),
    };
    format!(
        "no worker is running, the task waits in queue {queue}: start one with `celeriac dev{option}`"
    )
}

/// How far a task is.
#[derive(Debug, Deserialize)]
pub(crate) struct Stage {
    state: String,
    #[serde(default)]
    meta: Value,
}

impl Stage {
    fn of(record: &Record) -> Self {
        let meta = record.result.as_deref();
        let meta = meta.and_then(|meta| serde_json::from_slice(meta).ok());
        Self {
            state: record.state.as_str().to_owned(),
            meta: meta.unwrap_or_default(),
        }
    }
}

/// Shows how far a task is.
pub(crate) fn progress(spinner: &Spinner, stage: &Stage) {
    let Stage { state, meta } = stage;
    let message = meta
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match meta.get("current").and_then(Value::as_u64) {
        Some(current) => {
            spinner.progress(current, meta.get("total").and_then(Value::as_u64), message);
        }
        None => spinner.say(format!("{state} {message}")),
    }
}

/// Shows a task of which something is stored.
pub(crate) fn told(record: &Record, log: bool, screen: &mut Screen) -> Exit {
    show::record(screen, record);
    let exit = match record.state {
        State::Failure | State::Revoked => Exit::Failed,
        State::Success | State::Started | State::Retry | State::Custom(_) => Exit::Done,
    };
    if log {
        show::log(screen, record);
    } else if exit == Exit::Failed {
        show::warnings(screen, record);
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_nothing_is_told_where_the_task_is() {
        let served = ["celery".to_owned()];
        for (queue, text) in [
            (None, "no worker is running: start one with `celeriac dev`"),
            (
                Some("celery"),
                "no worker is running, the task waits in queue celery: start one with `celeriac dev`",
            ),
            (
                Some("images"),
                "no worker is running, the task waits in queue images: start one with `celeriac dev -Q images`",
            ),
        ] {
            assert_eq!(no_worker(queue, &served), text);
        }
    }
}
