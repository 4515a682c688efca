//! `celeriac inspect`.

mod tables;

use super::exit::{Exit, Problem};
use super::moment;
use super::options::Options;
use super::screen::Screen;
use crate::app::App;
use crate::bus::{ANSWERS, Ask, BusError};
use crate::celery::pidbox::{Answer, Audience, Request};
use crate::clock::after;
use crate::events::seconds;
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str =
    "JSON: {\"workers\": {NAME: ANSWER}}, where the answer is what Celery's workers answer.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to ask for
    #[arg(value_enum)]
    what: What,
    /// Names of workers, joined by commas [default: all]
    #[arg(short = 'd', long, value_name = "NAMES", value_delimiter = ',')]
    destination: Vec<String>,
    /// How long to wait for answers, such as 5 or "500ms"
    #[arg(short = 't', long, value_name = "TIME", default_value = "1s")]
    timeout: String,
}

/// What workers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Whether they are there
    Ping,
    /// Tasks that run
    Active,
    /// Tasks that wait within a worker
    Reserved,
    /// Tasks that wait within a worker for their moment
    Scheduled,
    /// Numbers
    Stats,
    /// Names of tasks
    Registered,
    /// Queues that are taken from
    #[value(alias = "active_queues")]
    Queues,
    /// Ids that were revoked
    Revoked,
    /// Tasks, modules and components that must not run
    Killed,
    /// Versions and settings
    Report,
}

impl What {
    fn method(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Active => "active",
            Self::Reserved => "reserved",
            Self::Scheduled => "scheduled",
            Self::Stats => "stats",
            Self::Registered => "registered",
            Self::Queues => "active_queues",
            Self::Revoked => "revoked",
            Self::Killed => "killed",
            Self::Report => "report",
        }
    }
}

/// Asks workers and shows what they answer.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let patience = moment::span("--timeout", &args.timeout)?;
    let app = options.open().await?;
    let to = match args.destination.is_empty() {
        true => Audience::All,
        false => Audience::These(args.destination.clone()),
    };
    let answers = ask(&app, args.what.method(), Map::new(), to, patience).await;
    app.close().await;
    let answers: BTreeMap<String, Answer> = answers?
        .into_iter()
        .map(|answer| (answer.node.clone(), answer))
        .collect();
    if answers.is_empty() {
        let problem = Problem::new(Exit::NotFound, "no worker answered".to_owned());
        return Err(problem
            .hint("start one with `celeriac worker`, or wait longer with --timeout 5s")
            .into());
    }
    let raw = answers.iter().map(|(node, answer)| (node, &answer.value));
    screen.document(&json!({"workers": raw.collect::<BTreeMap<_, _>>()}));
    if !screen.is_json() {
        let read = |answer: &Answer| serde_json::from_str(answer.value.get()).unwrap_or_default();
        let values: Vec<(String, Value)> = answers
            .into_iter()
            .map(|(node, answer)| (node, read(&answer)))
            .collect();
        tables::show(args.what, &values, screen);
    }
    Ok(Exit::Done)
}

/// Asks workers, and returns what they answered in time.
pub(super) async fn ask(
    app: &App,
    method: &str,
    arguments: Map<String, Value>,
    to: Audience,
    patience: Duration,
) -> Result<Vec<Answer>, BusError> {
    let client = uuid::Uuid::new_v4().to_string();
    let enough = match &to {
        Audience::These(names) => names.len(),
        Audience::All | Audience::Glob(_) | Audience::Regex(_) | Audience::Nobody => ANSWERS,
    };
    let request = Request {
        method: method.to_owned(),
        arguments,
        to,
        ticket: Some(uuid::Uuid::new_v4().to_string()),
        reply_to: Some(client.clone()),
        clock: None,
    };
    let expires = after(app.clock().now(), patience);
    let ask = Ask {
        request: request.message(seconds(expires)),
        client,
        patience,
        enough,
    };
    let answers = app.bus().ask(ask).await?;
    Ok(answers.iter().flat_map(Answer::read).collect())
}
