//! `celeriac queues`.

use super::exit::Exit;
use super::options::Options;
use super::screen::Screen;
use super::show;
use crate::app::App;
use crate::broker::Depth;
use serde_json::{Value, json};

/// Most dead letters that are shown of one queue.
const DEAD: usize = 100;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"queues\": [{\"name\", \"ready\", \"parked\", \"leased\", \"dead\"}]}, where \
    \"parked\" and \"leased\" are null when the broker cannot tell, or with --dead \
    {\"dead\": [{\"queue\", \"id\", \"task\", \"reason\", \"died_at\"}]}.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Queues [default: all that hold or held messages; with RabbitMQ, those of the worker]
    names: Vec<String>,
    /// Show the newest dead letters, at most 100 of each queue
    #[arg(long)]
    dead: bool,
}

/// Shows how many messages the queues hold, or their dead letters.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let app = options.open().await?;
    let shown = show(&app, args, screen).await;
    app.close().await;
    shown
}

async fn show(app: &App, args: Args, screen: &mut Screen) -> anyhow::Result<Exit> {
    let mut queues: Vec<(String, Depth)> = Vec::new();
    if args.names.is_empty() {
        queues = app.broker().queues().await?;
    }
    for name in args.names {
        let depth = app.broker().depth(&name).await?;
        queues.push((name, depth));
    }
    match args.dead {
        true => dead(app, &queues, screen).await,
        false => Ok(depths(queues, screen)),
    }
}

fn depths(queues: Vec<(String, Depth)>, screen: &mut Screen) -> Exit {
    let documents: Vec<_> = queues
        .iter()
        .map(|(name, depth)| {
            json!({"name": name, "ready": depth.ready, "parked": depth.parked, "leased": depth.leased, "dead": depth.dead})
        })
        .collect();
    screen.document(&json!({"queues": documents}));
    if queues.is_empty() {
        screen.line("no messages");
        return Exit::Done;
    }
    let rows = queues.into_iter().map(|(name, depth)| {
        let numbers = [
            Some(depth.ready),
            depth.parked,
            depth.leased,
            Some(depth.dead),
        ];
        let numbers =
            numbers.map(|number| number.map_or("?".to_owned(), |known| known.to_string()));
        [name].into_iter().chain(numbers).collect()
    });
    screen.table(
        &["queue", "ready", "parked", "running", "dead"],
        rows.collect(),
    );
    Exit::Done
}

async fn dead(app: &App, queues: &[(String, Depth)], screen: &mut Screen) -> anyhow::Result<Exit> {
    let mut letters = Vec::new();
    for (queue, _) in queues {
        letters.extend(app.broker().dead_letters(queue, DEAD).await?);
    }
    let header = |headers: &serde_json::Map<String, Value>, name: &str| {
        headers
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let documents: Vec<_> = letters
        .iter()
        .map(|letter| {
            json!({
                "queue": letter.queue,
                "id": header(&letter.message.headers, "id"),
                "task": header(&letter.message.headers, "task"),
                "reason": letter.reason,
                "died_at": letter.died_at.to_string(),
            })
        })
        .collect();
    screen.document(&json!({"dead": documents}));
    if letters.is_empty() {
        screen.line("no dead letters");
        return Ok(Exit::Done);
    }
    let now = app.clock().now();
    let rows = letters.iter().map(|letter| {
        vec![
            letter.queue.clone(),
            header(&letter.message.headers, "id"),
            header(&letter.message.headers, "task"),
            show::ago(now, letter.died_at),
            letter.reason.clone(),
        ]
    });
    screen.table(&["queue", "id", "task", "died", "reason"], rows.collect());
    Ok(Exit::Done)
}
