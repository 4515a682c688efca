//! `celeriac why`.

mod placed;
mod recorded;
mod seen;
mod verdict;
mod words;

use super::exit::{Exit, Problem};
use super::options::Options;
use super::screen::{Line, Screen};
use super::{inspect, moment};
use crate::app::App;
use crate::broker::{Looked, Place, Reach};
use crate::bus::BusError;
use crate::celery::pidbox::{Answer, Audience};
use crate::results::Record;
use crate::task::TaskId;
use jiff::{SignedDuration, Timestamp};
use seen::{Hold, Seen, Taker};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"id\", \"place\", \"why\", \"more\", \"state\", \"task\", \"queue\", \"ahead\", \"until\", \"since\", \"worker\", \
    \"retries\", \"max_retries\", \"exception\", \"usage\", \"taken_by\", \"looked_in\"}, where \"place\" is over, running, in_hand, \
    parked, ready, leased, dead or unknown, and what is not known is null.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id that `celeriac call` printed
    id: String,
    /// More queues to look in: those of Python workers, say
    #[arg(
        short = 'Q',
        long = "queue",
        value_name = "QUEUE",
        value_delimiter = ','
    )]
    queues: Vec<String>,
    /// How long to wait for answers of workers, such as 5 or "500ms"
    #[arg(short = 't', long, value_name = "TIME", default_value = "1s")]
    timeout: String,
}

/// Says where a task is, and why it does not run.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let id = TaskId::parse(&args.id).map_err(|error| Problem::usage(error.to_string()))?;
    let patience = moment::span("--timeout", &args.timeout)?;
    let app = options.open().await?;
    let seen = look(&app, id, &args.queues, patience).await;
    app.close().await;
    let verdict = verdict::judge(&seen?);
    screen.document(&verdict.document);
    screen.line(Line::new().strong(verdict.head).text(verdict.rest));
    for line in verdict.more {
        screen.line(line);
    }
    Ok(verdict.exit)
}

/// Looks wherever something may be known: what is certain first, and no further than
/// is needed.
async fn look(app: &App, id: TaskId, more: &[String], patience: Duration) -> anyhow::Result<Seen> {
    let record = match app.keeps_results() {
        true => app.results().get(&id).await?,
        false => None,
    };
    let mut seen = Seen {
        now: app.clock().now(),
        keeps_results: app.keeps_results(),
        record,
        looked: Looked::nowhere(),
        depths: Vec::new(),
        is_revoked: false,
        killed: None,
        workers: Vec::new(),
        takers: None,
        max_retries: None,
        rate: None,
        id,
    };
    if seen.record.as_ref().is_some_and(Record::is_last) {
        return Ok(seen);
    }
    seen.is_revoked = app.is_revoked(&seen.id).await?;
    let queues: BTreeSet<String> = app
        .named_queues()
        .into_iter()
        .chain(more.to_vec())
        .collect();
    let queues: Vec<String> = queues.into_iter().collect();
    seen.looked = app.broker().find(seen.id.as_str(), &queues).await?;
    if let Reach::DeadLetters(shown) = &seen.looked.reach
        && seen.looked.found.is_none()
    {
        for queue in shown {
            seen.depths
                .push((queue.clone(), app.broker().depth(queue).await?));
        }
    }
    let place = seen.looked.found.as_ref().map(|found| &found.place);
    match place {
        None | Some(Place::Leased { .. }) => {
            seen.workers = holders(app, &seen.id, patience).await?;
        }
        Some(Place::Ready { .. }) => seen.takers = takers(app, &seen, patience).await?,
        Some(Place::Parked { .. } | Place::Dead { .. }) => {}
    }
    if let Some(task) = seen.task().map(str::to_owned) {
        seen.killed = app.killed(&task).await?;
        seen.rate = app.rate_of(&task).map(ToString::to_string);
        if seen.is_retried() {
            seen.max_retries = app.retries_of(&task).await?;
        }
    }
    Ok(seen)
}

/// Asks which workers have a task in hand.
async fn holders(app: &App, id: &TaskId, patience: Duration) -> Result<Vec<Hold>, BusError> {
    let ids = Map::from_iter([("ids".to_owned(), json!([id.as_str()]))]);
    let answers = inspect::ask(app, "query_task", ids, Audience::All, patience).await?;
    let hold = |answer: &Answer| {
        let known: BTreeMap<String, (String, Value)> =
            serde_json::from_str(answer.value.get()).ok()?;
        let (state, info) = known.get(id.as_str())?;
        let started = info.get("time_start").and_then(Value::as_f64);
        Some(Hold {
            worker: answer.node.clone(),
            runs: state == "active",
            since: started.and_then(moment_of),
            task: info.get("name").and_then(Value::as_str).map(str::to_owned),
            queue: info
                .pointer("/delivery_info/routing_key")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    };
    Ok(answers.iter().filter_map(hold).collect())
}

/// Asks which workers take from the queue of what was found; `None` where the question
/// does not arise.
async fn takers(
    app: &App,
    seen: &Seen,
    patience: Duration,
) -> Result<Option<Vec<Taker>>, BusError> {
    let Some(found) = &seen.looked.found else {
        return Ok(None);
    };
    let arguments = Map::new();
    let answers = inspect::ask(app, "active_queues", arguments, Audience::All, patience).await?;
    let takes = |answer: &Answer| {
        let queues: Vec<Value> = serde_json::from_str(answer.value.get()).unwrap_or_default();
        let is_it =
            |queue: &&Value| queue.get("name").and_then(Value::as_str) == Some(&found.queue);
        let queue = queues.iter().find(is_it)?;
        let text = |key| queue.pointer(key).and_then(Value::as_str);
        let until = text("/celeriac_held/until").and_then(|until| until.parse().ok());
        Some(Taker {
            worker: answer.node.clone(),
            held: text("/celeriac_held/quota").map(|quota| (quota.to_owned(), until)),
        })
    };
    let takers: BTreeSet<Taker> = answers.iter().filter_map(takes).collect();
    Ok(Some(takers.into_iter().collect()))
}

/// Reads seconds since 1970.
fn moment_of(seconds: f64) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(since).ok()
}
