//! `celeriac gc`.

use super::exit::Exit;
use super::options::Options;
use super::screen::Screen;
use crate::app::App;
use crate::telemetry::human;
use serde_json::json;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"results\", \"versions\", \"files\", \"bytes\"}";

/// Removes old results, old versions and files that nothing needs.
pub(crate) async fn run(options: &Options, screen: &mut Screen) -> anyhow::Result<Exit> {
    options.on_this_machine()?;
    let app = options.open().await?;
    let collected = collect(&app, screen).await;
    app.close().await;
    collected
}

async fn collect(app: &App, screen: &mut Screen) -> anyhow::Result<Exit> {
    let spinner = screen.spinner("removing results past their time");
    let mut results = 0;
    loop {
        match app.results().sweep().await? {
            0 => break,
            removed => results += removed,
        }
        spinner.say(format!("removed {}", human::count(results, "result")));
    }
    spinner.say("looking for versions and files that nothing needs");
    let collected = app.registry().await?.collect_garbage().await?;
    drop(spinner);
    screen.document(&json!({
        "results": results,
        "versions": collected.versions,
        "files": collected.files,
        "bytes": collected.bytes,
    }));
    screen.line(format!(
        "removed {}, {} and {} ({})",
        human::count(results, "old result"),
        human::count(collected.versions, "old version"),
        human::count(collected.files, "file"),
        human::size(collected.bytes),
    ));
    Ok(Exit::Done)
}
