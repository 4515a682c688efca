//! `celeriac call`.

use super::exit::Problem;
use super::options::Options;
use super::place::Place;
use super::screen::Screen;
use super::{Exit, moment, result, there};
use crate::app::client::{Again, ClientError};
use crate::app::{App, origin};
use crate::celery::TaskCall;
use crate::clock::after;
use crate::task::TaskId;
use crate::telemetry::human;
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

/// Largest arguments that are read from a file, bytes: the largest message body.
const ARGUMENTS: u64 = crate::broker::BODY_BYTES;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str =
    "JSON: {\"id\", \"task\", \"queue\", \"due\"}; with --wait as `celeriac result`.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the task: MODULE.TASK, or an alias
    pub(super) name: String,
    /// Positional arguments: a JSON array, @FILE, or @- for standard input
    #[arg(short = 'a', long, value_name = "JSON", default_value = "[]")]
    args: String,
    /// Keyword arguments: a JSON object, @FILE, or @- for standard input
    #[arg(short = 'k', long, value_name = "JSON", default_value = "{}")]
    kwargs: String,
    /// Not before this moment, such as 2030-01-31T14:05:00Z
    #[arg(long, conflicts_with = "countdown", value_name = "MOMENT")]
    eta: Option<String>,
    /// Not before this much time has passed: seconds, or a time such as 10m
    #[arg(long, value_name = "TIME")]
    countdown: Option<String>,
    /// Not after this moment, or this much time from now
    #[arg(long, value_name = "MOMENT|TIME")]
    expires: Option<String>,
    /// 0 to 9, 9 is first [default: the broker's own]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(super) priority: Option<u8>,
    /// The queue [default: the one of its route, else celery]
    #[arg(short = 'Q', long)]
    pub(super) queue: Option<String>,
    /// The task's id [default: a random one]
    #[arg(long)]
    pub(super) id: Option<String>,
    /// Wait until the task is over, show its result, and end with 1 when it failed
    #[arg(long)]
    pub(super) wait: bool,
    /// Longest wait: seconds, or a time such as 30s [default: for ever]
    #[arg(long, requires = "wait", value_name = "TIME")]
    timeout: Option<String>,
    /// Show the log of the last attempt as well
    #[arg(long, requires = "wait")]
    pub(super) log: bool,
}

/// Sends a task, and waits for it where that is wanted.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let timeout = args
        .timeout
        .as_deref()
        .map(|text| moment::span("--timeout", text))
        .transpose()?;
    let app = match options.place().await? {
        Place::Here(app) => app,
        Place::There(remote) => {
            return there::call((&remote, &options.tenant()), &args, timeout, screen).await;
        }
    };
    let called = async {
        if args.wait && !app.can_wait() {
            return Err(nowhere().into());
        }
        let client = app.client();
        let queue = match &args.queue {
            Some(queue) => queue.as_str(),
            None => client.queue_of(&args.name),
        };
        let mut call = prepare(&args, app.clock().now())?;
        // Held until the end: where results are replies, it is what listens for them.
        let _handle = match args.wait {
            true => Some(client.expect(&mut call).await?),
            false => None,
        };
        let message = call.message(&origin());
        let outgoing = client.outgoing(queue, &call, message).map_err(refused)?;
        let mut again = |again: &Again<'_>| screen.note(&trying(again));
        client.publish(vec![outgoing], &mut again).await?;
        let id = call.id;
        match args.wait {
            true => wait(&app, &id, queue, timeout, args.log, screen).await,
            false => {
                let due = call.eta.map(|due| due.to_string());
                screen.document(
                    &json!({"id": id.as_str(), "task": args.name, "queue": queue, "due": due}),
                );
                screen.line(id.as_str());
                Ok(Exit::Done)
            }
        }
    }
    .await;
    app.close().await;
    called
}

/// Where no results are kept, nobody can wait for one.
pub(super) fn nowhere() -> Problem {
    Problem::usage("no results are kept, so there is nothing to wait for".to_owned())
        .hint("name a place with --result-backend, the one that the workers use")
}

async fn wait(
    app: &App,
    id: &TaskId,
    queue: &str,
    timeout: Option<Duration>,
    log: bool,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    tokio::select! {
        ended = result::wait(app, id, Some(queue), timeout, log, screen) => return ended,
        _ = tokio::signal::ctrl_c() => {}
    }
    screen.note(&format!("the task goes on; {}", result::again(app, id)));
    Ok(Exit::TimedOut)
}

fn refused(error: ClientError) -> anyhow::Error {
    let ClientError::Queue { queue, reason } = error else {
        return error.into();
    };
    Problem::usage(format!("--queue is {queue:?}: {reason}")).into()
}

/// Says that a broker is away and when it is tried again.
fn trying(again: &Again<'_>) -> String {
    let when = match again.pause.is_zero() {
        true => "at once".to_owned(),
        false => format!("in {}", human::span(again.pause)),
    };
    let (error, tries, most) = (again.error, again.try_number, again.most);
    format!("{error}; trying again {when} ({tries} of {most})")
}

/// Reads the positional arguments and the keyword arguments, JSON. Standard input can be
/// read once.
pub(super) fn arguments(args: &Args) -> anyhow::Result<(String, String)> {
    let positional = json_argument("-a", &args.args, "array", '[')?;
    let named = json_argument("-k", &args.kwargs, "object", '{')?;
    Ok((positional, named))
}

fn prepare(args: &Args, now: Timestamp) -> anyhow::Result<TaskCall> {
    let (positional, named) = arguments(args)?;
    let mut call = TaskCall::new(&args.name, &positional, &named)
        .map_err(|error| Problem::usage(error.to_string()))?;
    if let Some(id) = &args.id {
        call.id = TaskId::parse(id).map_err(|error| Problem::usage(format!("--id: {error}")))?;
    }
    call.priority = args.priority;
    let when = when(args, now)?;
    (call.eta, call.expires) = (when.eta, when.expires);
    Ok(call)
}

/// When a task may start, and until when.
pub(super) struct When {
    /// Not before this time has passed.
    pub(super) countdown: Option<Duration>,
    /// Not before this moment, which is that of the countdown where there is one.
    pub(super) eta: Option<Timestamp>,
    /// Not after this moment.
    pub(super) expires: Option<Timestamp>,
}

pub(super) fn when(args: &Args, now: Timestamp) -> Result<When, Problem> {
    let countdown = args.countdown.as_deref();
    let countdown = countdown.map(|text| moment::span("--countdown", text));
    let countdown = countdown.transpose()?;
    let eta = args.eta.as_deref();
    let eta = eta.map(|text| moment::moment("--eta", text)).transpose()?;
    let expires = args.expires.as_deref();
    let expires = expires.map(|text| moment::moment_or_span("--expires", text, now));
    Ok(When {
        countdown,
        eta: eta.or_else(|| countdown.map(|countdown| after(now, countdown))),
        expires: expires.transpose()?,
    })
}

/// Reads an argument that is JSON of one kind, from the command line or a file:
/// a command line holds 128 KiB, a message more.
pub(super) fn json_argument(
    flag: &str,
    text: &str,
    kind: &str,
    start: char,
) -> anyhow::Result<String> {
    let json = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some("-") => read(flag, "standard input", io::stdin().lock())?,
        Some(path) => read(
            flag,
            path,
            File::open(path).with_context(|| format!("{flag}: cannot read {path:?}"))?,
        )?,
    };
    let example = match start {
        '[' => "[1, \"two\"]",
        _ => "{\"width\": 64}",
    };
    let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&json);
    let reason = match parsed {
        Ok(_) if json.trim_start().starts_with(start) => return Ok(json),
        Ok(_) => String::new(),
        Err(error) => format!(": {error}"),
    };
    let shown: String = json.chars().take(80).collect();
    let problem = Problem::usage(format!("{flag} is not a JSON {kind}{reason}, in {shown:?}"));
    Err(problem.hint(format!("such as {flag} '{example}'")).into())
}

fn read(flag: &str, name: &str, source: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    source
        .take(ARGUMENTS + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("{flag}: cannot read {name:?}"))?;
    if text.len() as u64 > ARGUMENTS {
        let what = format!(
            "{flag}: {name:?} is over the {ARGUMENTS} bytes that a message may have (fixed)"
        );
        return Err(Problem::new(Exit::Refused, what).into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(flag: &str, text: &str, kind: &str, start: char) -> String {
        json_argument(flag, text, kind, start)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn arguments_are_json_of_the_right_kind() {
        assert_eq!(
            json_argument("-a", " [1, 2]", "array", '[').unwrap(),
            " [1, 2]"
        );
        assert_eq!(
            wrong("-a", "{}", "array", '['),
            "-a is not a JSON array, in \"{}\""
        );
        let error = wrong("-k", "{'a': 1}", "object", '{');
        assert_eq!(
            error,
            "-k is not a JSON object: key must be a string at line 1 column 2, in \"{'a': 1}\""
        );
        assert!(wrong("-a", "[NaN]", "array", '[').starts_with("-a is not a JSON array: "));
    }

    #[test]
    fn arguments_may_come_from_a_file_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let at = format!("@{}", path.display());
        std::fs::write(&path, "[1]").unwrap();
        assert_eq!(json_argument("-a", &at, "array", '[').unwrap(), "[1]");
        std::fs::write(&path, vec![b' '; usize::try_from(ARGUMENTS).unwrap() + 1]).unwrap();
        assert!(wrong("-a", &at, "array", '[').contains("is over the 16777216 bytes"));
        assert!(wrong("-a", "@/nowhere/x", "array", '[').contains("cannot read"));
    }
}
