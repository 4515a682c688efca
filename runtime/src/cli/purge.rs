//! `celeriac purge`.

use super::exit::{Exit, Problem};
use super::options::Options;
use super::screen::Screen;
use crate::app::App;
use crate::broker::{Depth, Purge};
use crate::telemetry::human;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal as _};

/// Longest answer that is read, bytes.
const ANSWER: u64 = 64;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"purged\": [{\"queue\", \"removed\"}], \"dead\", \"delayed_stay\"}, where \"delayed_stay\" is true \
    when the broker cannot remove what is not due yet.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Queues; what runs is left alone
    #[arg(required = true, value_name = "QUEUE")]
    queues: Vec<String>,
    /// Remove the dead letters instead
    #[arg(long)]
    dead: bool,
    /// Do not ask
    #[arg(short = 'f', long, alias = "force")]
    yes: bool,
}

/// Removes the messages of queues, once somebody said yes.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let may_ask = io::stdin().is_terminal() && !screen.is_json();
    if !args.yes && !may_ask {
        let problem = Problem::usage("messages that are removed are gone, and nobody can be asked");
        return Err(problem.hint("say that you mean it with --yes").into());
    }
    let app = options.open().await?;
    let purged = purge(&app, &args, screen).await;
    app.close().await;
    purged
}

async fn purge(app: &App, args: &Args, screen: &mut Screen) -> anyhow::Result<Exit> {
    let mut depths = Vec::new();
    for queue in &args.queues {
        depths.push(app.broker().depth(queue).await?);
    }
    if !args.yes {
        for (queue, depth) in args.queues.iter().zip(&depths) {
            screen.line(format!("{queue}  {}", held(depth, args.dead)));
        }
        screen.note("remove them for ever? (yes/no)");
        if !is_yes(io::stdin().lock())? {
            screen.line("nothing was removed");
            return Ok(Exit::Done);
        }
    }
    let what = match args.dead {
        true => Purge::Dead,
        false => Purge::Waiting,
    };
    let mut documents = Vec::new();
    for queue in &args.queues {
        let removed = app.broker().purge(queue, what).await?;
        let word = if args.dead { "dead letter" } else { "message" };
        screen.line(format!("{queue}  {} removed", human::count(removed, word)));
        documents.push(json!({"queue": queue, "removed": removed}));
    }
    let delayed_stay = !args.dead && depths.iter().any(|depth| depth.parked.is_none());
    if delayed_stay {
        screen.line("what is not due yet stays: the broker cannot remove it by its queue");
    }
    screen.document(&json!({"purged": documents, "dead": args.dead, "delayed_stay": delayed_stay}));
    Ok(Exit::Done)
}

/// Says what a purge would remove, and what it would leave.
fn held(depth: &Depth, dead: bool) -> String {
    if dead {
        return human::count(depth.dead, "dead letter");
    }
    let mut held = human::count(depth.ready, "message");
    if let Some(parked) = depth.parked.filter(|parked| *parked > 0) {
        held.push_str(&format!(", {parked} not due yet"));
    }
    if let Some(leased) = depth.leased.filter(|leased| *leased > 0) {
        held.push_str(&format!("; {leased} running, which stay"));
    }
    held
}

/// Reads an answer; only a word that means yes is one.
fn is_yes(input: impl BufRead) -> io::Result<bool> {
    let mut answer = String::new();
    input.take(ANSWER).read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "yes" | "y"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, yes) in [
            ("yes\n", true),
            (" Y \n", true),
            ("YES", true),
            ("no\n", false),
            ("", false),
            ("\n", false),
            ("yesterday\n", false),
        ] {
            assert_eq!(is_yes(answer.as_bytes()).unwrap(), yes, "{answer:?}");
        }
        let endless = "y".repeat(1 << 20);
        assert!(!is_yes(endless.as_bytes()).unwrap());
    }

    #[test]
    fn what_would_go_and_what_would_stay_is_said_before() {
        let depth = Depth {
            ready: 1,
            parked: Some(2),
            leased: Some(3),
            dead: 4,
        };
        let words = "1 message, 2 not due yet; 3 running, which stay";
        assert_eq!(held(&depth, false), words);
        assert_eq!(held(&depth, true), "4 dead letters");
        assert_eq!(held(&Depth::default(), false), "0 messages");
    }
}
