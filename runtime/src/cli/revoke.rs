//! `celeriac revoke`.

use super::exit::{Exit, Problem};
use super::options::Options;
use super::place::Place;
use super::screen::Screen;
use super::there;
use crate::app::App;
use crate::config::machine;
use crate::results::orders::Target;
use crate::task::{State, TaskId};
use crate::worker::revocations::{Answer, RevokeError};
use serde_json::{Value, json};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"revoked\": [{\"id\", \"state\"}], \"stamps\": [{\"name\", \"value\"}], \"terminate\", \"told\", \"folder\"}, where \
    \"state\" is REVOKED, the state of a task that is over or runs, or null where none are kept, \
    \"told\" whether workers of Celery can have heard, and \"folder\" is null or the one data folder whose workers hear of it.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ids that `celeriac call` printed
    #[arg(required_unless_present = "stamps", value_name = "TASK_ID")]
    ids: Vec<String>,
    /// Revoke every task that bears this stamp; a VALUE that is no JSON is a text
    #[arg(long = "stamp", value_name = "NAME=VALUE")]
    stamps: Vec<String>,
    /// End those that run, too
    #[arg(long)]
    terminate: bool,
}

/// Revokes tasks, whether or not a worker is alive.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let ids = args.ids.iter().map(|id| TaskId::parse(id));
    let ids: Result<Vec<TaskId>, _> = ids.collect();
    let ids = ids.map_err(|error| Problem::usage(error.to_string()))?;
    let stamps = args.stamps.iter().map(|text| stamp(text));
    let stamps: Vec<(String, Value)> = stamps.collect::<Result<_, _>>()?;
    let app = match options.place().await? {
        Place::Here(app) => app,
        Place::There(_) if !stamps.is_empty() => {
            let what = "--stamp revokes tasks of the broker itself, not through a control plane";
            return Err(Problem::usage(what)
                .hint("name the ids of the tasks")
                .into());
        }
        Place::There(remote) => {
            let whose = (&remote, &options.tenant());
            return there::revoke(whose, &ids, args.terminate, screen).await;
        }
    };
    let revoked = revoke(&app, &ids, &stamps, args.terminate, screen).await;
    app.close().await;
    revoked
}

async fn revoke(
    app: &App,
    ids: &[TaskId],
    stamps: &[(String, Value)],
    terminate: bool,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let clerk = app.clerk(&format!("revoke@{}", machine()));
    let tasks = ids.iter().cloned().map(Target::Task);
    let stamped = stamps.iter().map(|(name, value)| Target::Stamp {
        name: name.clone(),
        value: value.to_string(),
    });
    let targets: Vec<_> = tasks.chain(stamped).collect();
    match clerk.record(&targets, terminate).await {
        Err(error @ (RevokeError::TooMany { .. } | RevokeError::Stamp { .. })) => {
            return Err(Problem::usage(error.to_string()).into());
        }
        recorded => recorded?,
    };
    let mut documents = Vec::new();
    for id in ids {
        let answer = clerk.answer(id).await?;
        screen.line(format!("{id}  {}", words(&answer, terminate)));
        documents.push(json!({"id": id.as_str(), "state": state(&answer)}));
    }
    // Ours read the record; workers of Celery hear what is said aloud, or not at all. It is
    // said when the answers are known: what ends by it was not over before.
    let told = app.client().tell_revoked(&targets, terminate).await;
    if let Err(error) = &told {
        screen.note(&format!(
            "recorded, but workers of Celery may not have heard: {error}"
        ));
    }
    for (name, value) in stamps {
        screen.line(format!("{name}={value}  revoked where a message bears it"));
    }
    let folder = app.orders_stay_in();
    if let Some(folder) = folder {
        let folder = folder.display();
        screen.line(format!(
            "heard by workers with the folder {folder} alone: keep results in Redis to reach all"
        ));
    }
    let stamps = stamps
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    screen.document(&json!({
        "revoked": documents,
        "stamps": stamps.collect::<Vec<_>>(),
        "terminate": terminate,
        "told": told.is_ok(),
        "folder": folder.map(|folder| folder.display().to_string()),
    }));
    Ok(Exit::Done)
}

fn state(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Stored => Some("REVOKED".to_owned()),
        Answer::Over(state) | Answer::Running(state) => Some(state.to_string()),
        Answer::Unknown => None,
    }
}

/// Reads the state that a control plane tells.
pub(crate) fn answer(state: Option<&str>) -> Answer {
    match state.map(State::from_word) {
        None => Answer::Unknown,
        Some(State::Revoked) => Answer::Stored,
        Some(state) if state.is_final() => Answer::Over(state),
        Some(state) => Answer::Running(state),
    }
}

/// Says what became of a task.
pub(crate) fn words(answer: &Answer, terminate: bool) -> String {
    match (answer, terminate) {
        (Answer::Stored, _) => "REVOKED".to_owned(),
        (Answer::Unknown, _) => "revoked; no states are kept here to look at".to_owned(),
        (Answer::Over(state), _) => format!("{state}  it was over before"),
        (Answer::Running(state), true) => format!("{state}  it runs, and is being terminated"),
        (Answer::Running(state), false) => {
            format!("{state}  it runs and goes on; --terminate ends it")
        }
    }
}

fn stamp(text: &str) -> Result<(String, Value), Problem> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Problem::usage(format!("{text:?} is no stamp")).hint("write NAME=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_stamp_is_json_or_a_text() {
        for (text, name, value) in [
            ("a=x", "a", json!("x")),
            ("a=1", "a", json!(1)),
            ("a=\"1\"", "a", json!("1")),
            ("a=b=c", "a", json!("b=c")),
        ] {
            assert_eq!(stamp(text).unwrap(), (name.to_owned(), value), "{text}");
        }
        assert!(stamp("a").is_err());
    }
}
