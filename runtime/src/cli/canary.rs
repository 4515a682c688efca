//! `celeriac canary`.

use super::exit::Exit;
use super::modules::{live_json, module_name};
use super::options::Options;
use super::screen::Screen;
use crate::registry::{CanaryInfo, CanaryOrder, CanaryState, Ends};
use crate::task::Portion;
use crate::telemetry::human;
use serde_json::{Value, json};

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str = "JSON: {\"module\", \"canary\": null or {\"version\", \"share\", \"state\", \"reason\", \"began_at\", \
    \"canary\": {\"ended\", \"failed\"}, \"current\": {\"ended\", \"failed\"}}}; with --to, --promote or --abort also \"live\": {\"workers\", \"live\", \"after_ms\"}. \
    \"state\" is runs, promoted or aborted.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The module
    name: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct OrderArgs {
    /// Give the canary this share of the tasks, as in 25%
    #[arg(long, value_name = "SHARE")]
    to: Option<Portion>,
    /// Make it the current version
    #[arg(long)]
    promote: bool,
    /// End it: the current version gets all tasks again
    #[arg(long)]
    abort: bool,
}

impl OrderArgs {
    fn read(&self) -> Option<CanaryOrder> {
        match (self.to, self.promote, self.abort) {
            (Some(share), _, _) => Some(CanaryOrder::To(share)),
            (None, true, _) => Some(CanaryOrder::Promote),
            (None, false, true) => Some(CanaryOrder::Abort),
            (None, false, false) => None,
        }
    }
}

/// Shows or changes the canary of a module.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let name = module_name(&args.name)?;
    let place = options.place().await?;
    let found = place
        .canary((&options.tenant(), &name), args.order.read())
        .await;
    place.close().await;
    let (canary, live) = found?;
    let mut shown = json!({"module": name.as_str(), "canary": canary.as_ref().map(document)});
    if let (Some(live), Some(shown)) = (&live, shown.as_object_mut()) {
        shown.insert("live".to_owned(), live_json(live));
    }
    screen.document(&shown);
    screen.line(match &canary {
        None => format!("{name} has no canary: celeriac push FILE --name {name} --canary 5%"),
        Some(canary) => format!("{name}: {}", line(canary)),
    });
    if let Some(live) = live {
        screen.line(live.to_string());
    }
    Ok(Exit::Done)
}

/// Says how a canary is.
pub(crate) fn line(canary: &CanaryInfo) -> String {
    let (version, share) = (canary.version, canary.share);
    let state = match canary.state {
        CanaryState::Runs => format!("canary {version} gets {share} of the tasks"),
        CanaryState::Promoted => format!("canary {version} was promoted"),
        CanaryState::Aborted => format!("canary {version} was aborted: {}", canary.reason),
    };
    let failed = |ends: Ends| {
        let runs = human::count(ends.ended, "run");
        format!("{} of {runs} failed", ends.failed)
    };
    let (canary, current) = (failed(canary.canary), failed(canary.current));
    format!("{state}; {canary}, and {current} of the current version")
}

/// Returns the document of a canary.
pub(crate) fn document(canary: &CanaryInfo) -> Value {
    let ends = |ends: Ends| json!({"ended": ends.ended, "failed": ends.failed});
    json!({
        "version": canary.version,
        "share": canary.share.to_string(),
        "state": canary.state.word(),
        "reason": canary.reason,
        "began_at": canary.began_at.to_string(),
        "canary": ends(canary.canary),
        "current": ends(canary.current),
    })
}
