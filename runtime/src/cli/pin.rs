//! `celeriac pin` and `celeriac unpin`.

use super::exit::Exit;
use super::modules::{live_json, module_name};
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
    let place = options.place().await?;
    let pinned = place.pin((&tenant, &name), version).await;
    place.close().await;
    let (runs, live) = pinned?;
    screen.document(&json!({
        "module": name.as_str(),
        "version": runs,
        "pinned": version.is_some(),
        "live": live_json(&live),
    }));
    screen.line(match version {
        Some(_) => format!("{name} stays at version {runs}, whatever is pushed"),
        None => format!("{name} runs version {runs} until the next push"),
    });
    screen.line(live.to_string());
    Ok(Exit::Done)
}
