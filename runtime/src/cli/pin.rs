//! `celeriac pin` and `celeriac unpin`.

use super::exit::Exit;
use super::modules::{LIVE, live_json, module_name, named, wanted};
use super::options::Options;
use super::screen::Screen;
use crate::task::Wanted;
use serde_json::json;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str =
    "JSON: {\"module\", \"version\", \"pinned\", \"live\": {\"workers\", \"live\", \"after_ms\"}}.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The module
    name: String,
    /// The version to keep, by its number or its name, as in 3 or 1.4.0
    version: Wanted,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnpinArgs {
    /// The module
    name: String,
}

/// Keeps a version the current one.
pub(crate) async fn pin(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    work(&args.name, Some(&args.version), options, screen).await
}

/// Lets the next push become the current version again.
pub(crate) async fn unpin(
    args: UnpinArgs,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    work(&args.name, None, options, screen).await
}

async fn work(
    name: &str,
    version: Option<&Wanted>,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let (name, tenant) = (module_name(name)?, options.tenant());
    let command = if version.is_some() { "pin" } else { "unpin" };
    let app = options.open().await?;
    let done = async {
        let registry = app.registry().await?;
        let number = wanted(&registry, (&tenant, &name), version, command).await?;
        let pinned = registry.pin(&tenant, &name, number).await;
        let pinned = pinned.map_err(|error| named(command, error))?;
        let live = registry.wait_live(pinned.generation, LIVE).await?;
        anyhow::Ok((pinned, live))
    }
    .await;
    app.close().await;
    let (pinned, live) = done?;
    screen.document(&json!({
        "module": name.as_str(),
        "version": pinned.version,
        "pinned": version.is_some(),
        "live": live_json(&live),
    }));
    screen.line(match version {
        Some(_) => format!(
            "{name} stays at version {}, whatever is pushed",
            pinned.version
        ),
        None => format!("{name} runs version {} until the next push", pinned.version),
    });
    screen.line(live.to_string());
    Ok(Exit::Done)
}
