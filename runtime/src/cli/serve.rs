//! `celeriac serve`.

use super::exit::Exit;
use super::options::Options;
use super::screen::{Line, Screen};
use crate::app::{App, Serving};
use crate::clock::Clock;
use serde_json::json;
use tracing::Level;

/// The document of `--json`, for `--help`.
pub(crate) const JSON: &str =
    "JSON, once it listens: {\"version\", \"listen\", \"tls\", \"database\", \"components\"}.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen [default: 127.0.0.1:8790]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Serve plain HTTP beyond this machine without a proxy: tokens can be read on the way
    #[arg(long)]
    insecure: bool,
}

/// Serves until a signal stops it.
pub(crate) async fn run(
    args: Args,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let insecure = args.insecure.then(|| "true".to_owned());
    let (config, _) = options.read(vec![
        ("serve.listen", "--listen", args.listen),
        ("serve.insecure", "--insecure", insecure),
    ])?;
    options.start_logging(Level::INFO, false)?;
    let app = App::open(config, Clock::System).await?;
    let served = app.serve(|serving| banner(serving, screen)).await;
    app.close().await;
    served?;
    if !screen.is_json() {
        screen.note("stopped");
    }
    Ok(Exit::Done)
}

fn banner(serving: &Serving<'_>, screen: &mut Screen) {
    let config = serving.config;
    let database = config.database.as_ref().map(|url| url.server.to_string());
    screen.document(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listen": serving.listen.to_string(),
        "tls": config.tls.is_some(),
        "database": database,
        "components": config.components,
    }));
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    screen.line(Line::new().strong("celeriac").text(format!(
        " {}  control plane {scheme}://{}",
        env!("CARGO_PKG_VERSION"),
        serving.listen
    )));
    screen.line(format!(
        "database {}  components {}",
        database.as_deref().unwrap_or("in the data folder"),
        config.components.as_deref().unwrap_or("in the data folder"),
    ));
}
