//! `celeriac events`.

use super::exit::Exit;
use super::options::Options;
use super::screen::{Line, Screen};
use crate::bus::{For, follow};
use crate::celery::event;
use futures::StreamExt as _;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Longest text of a member on a line, characters.
const SHOWN: usize = 80;
/// What every event has, or what is shown elsewhere on its line.
const COMMON: [&str; 7] = [
    "type",
    "hostname",
    "timestamp",
    "pid",
    "clock",
    "utcoffset",
    "uuid",
];

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: one line for each event, as workers send it.";

/// Prints events as they come, until the process is ended.
pub(crate) async fn run(options: &Options, screen: &mut Screen) -> anyhow::Result<Exit> {
    let app = options.open().await?;
    let mut heard = follow(Arc::clone(app.bus()), For::Events);
    screen.note("waiting for events; workers tell of tasks with -E");
    let mut told = async || {
        while let Some(message) = heard.next().await {
            for event in event::read(&message) {
                screen.document(&event);
                screen.line(line(&event));
            }
        }
    };
    tokio::select! {
        () = told() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    app.close().await;
    Ok(Exit::Done)
}

fn line(event: &Map<String, Value>) -> Line {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("-");
    let at = event.get("timestamp").and_then(Value::as_f64);
    let at = at.and_then(|seconds| jiff::SignedDuration::try_from_secs_f64(seconds).ok());
    let at = at.and_then(|since| jiff::Timestamp::from_duration(since).ok());
    let at = at.map_or_else(String::new, |at| at.strftime("%H:%M:%S%.3f").to_string());
    let mut line = Line::new()
        .dim(at)
        .text("  ")
        .strong(text("type"))
        .text(format!("  {}", text("hostname")));
    if event.contains_key("uuid") {
        line = line.text(format!("  {}", text("uuid")));
    }
    for (name, value) in event {
        if !COMMON.contains(&name.as_str()) && !value.is_null() {
            let value: String = value.to_string().chars().take(SHOWN).collect();
            line = line.dim(format!("  {name}=")).text(value);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_tells_when_what_who_and_the_rest() {
        let event = json!({"type": "task-succeeded", "hostname": "a@b", "uuid": "7f3a",
            "timestamp": 1.5, "pid": 1, "clock": 2, "utcoffset": 0.0, "result": "5", "eta": null});
        let Value::Object(event) = event else {
            panic!("an object");
        };
        let (mut screen, printed) = crate::cli::screen::tests::screen(false);
        screen.line(line(&event));
        assert_eq!(
            printed.out(),
            "00:00:01.500  task-succeeded  a@b  7f3a  result=\"5\"\n"
        );
    }
}
