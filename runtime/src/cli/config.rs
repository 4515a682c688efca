//! `celeriac config`.

use super::exit::Exit;
use super::options::Options;
use super::screen::Screen;
use clap::Subcommand;
use serde_json::json;

/// The document of `--json`, for `--help`.
const JSON: &str = "JSON: {\"keys\": [{\"key\", \"value\", \"source\"}]}; a value is as it would be written in the file";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the configuration, and show every key with its value and where it
    /// comes from.
    #[command(after_help = JSON)]
    Check,
}

/// Reads the configuration and prints what is in force.
pub(crate) fn check(options: &Options, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (_, effective) = options.read(Vec::new())?;
    let keys: Vec<_> = effective
        .iter()
        .map(|known| json!({"key": known.key, "value": known.value, "source": known.source.to_string()}))
        .collect();
    screen.document(&json!({"keys": keys}));
    let rows = effective
        .into_iter()
        .map(|known| vec![known.key, known.value, known.source.to_string()]);
    screen.table(&["key", "value", "from"], rows.collect());
    Ok(Exit::Done)
}
