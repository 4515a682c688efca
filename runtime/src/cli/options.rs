//! Options that every command takes, and the configuration they lead to.

use super::exit::{Exit, Problem};
use super::place::Place;
use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{self, Config, Effective, RawConfig};
use crate::task::TenantName;
use crate::telemetry::{self, LogFormat, Logging};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tracing::Level;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// Configuration file [default: ./celeriac.toml if it exists]
    #[arg(
        long,
        global = true,
        env = "CELERIAC_CONFIG",
        value_name = "FILE",
        hide_env = true
    )]
    config: Option<PathBuf>,
    /// Folder for state [default: ./.celeriac]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// Where messages are kept, such as sqlite://FOLDER [default: the data folder]
    #[arg(short = 'b', long, global = true, value_name = "URL")]
    broker: Option<String>,
    /// Where results are kept, such as sqlite://FOLDER [default: where messages are]
    #[arg(long, global = true, value_name = "URL")]
    result_backend: Option<String>,
    /// Work through this control plane, such as https://HOST, with the token in CELERIAC_TOKEN
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Whose modules and kills they are [default: the tenant `default`]
    #[arg(short = 'T', long, global = true, value_name = "NAME")]
    tenant: Option<TenantName>,
    /// Print one JSON document for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Least important level that is logged: trace, debug, info, warning, error, critical
    #[arg(short = 'l', long, global = true, value_name = "LEVEL", value_parser = level)]
    loglevel: Option<Level>,
    /// How log lines look: text or json
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    log_format: Format,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One readable line each
    #[default]
    Text,
    /// One JSON document each
    Json,
}

/// A flag of one command that overrides a key: key, flag, value.
pub(crate) type Override = (&'static str, &'static str, Option<String>);

impl Options {
    /// Returns the tenant whose modules a command is about.
    pub(crate) fn tenant(&self) -> TenantName {
        self.tenant.clone().unwrap_or_default()
    }

    /// Returns the tenant that was named, for commands that are about the operator's own
    /// where none is.
    pub(crate) fn named_tenant(&self) -> Option<TenantName> {
        self.tenant.clone()
    }

    /// Refuses a tenant whose tasks no worker of this configuration runs.
    pub(crate) fn known_tenant(&self) -> anyhow::Result<()> {
        let tenant = self.tenant();
        if tenant.is_default() {
            return Ok(());
        }
        let (config, _) = self.read(Vec::new())?;
        match config.tenants.contains_key(&tenant) || config.server.is_some() {
            true => Ok(()),
            false => Err(Problem::usage(format!("there is no tenant {tenant} here"))
                .hint(format!("write [tenants.{tenant}] into celeriac.toml"))
                .into()),
        }
    }

    /// Refuses a control plane that a command would pass by.
    pub(crate) fn without_server(&self) -> Result<(), Problem> {
        match self.server.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => {
                let what =
                    "this command is about this machine or its broker, not about a control plane";
                Err(Problem::usage(what).hint(
                    "those that take --server: push, modules, rollback, remove, pin, unpin, canary, call, \
                     result, revoke, kill, tenant, token, audit, usage",
                ))
            }
        }
    }

    /// Refuses to change this machine where the configuration means a control plane.
    pub(crate) fn on_this_machine(&self) -> anyhow::Result<()> {
        let (config, _) = self.read(Vec::new())?;
        match config.server {
            None => Ok(()),
            Some(server) => {
                let what = format!(
                    "the configuration names the control plane {}, and this command is about this machine",
                    server.url
                );
                Err(Problem::usage(what)
                    .hint("--server \"\" means this machine")
                    .into())
            }
        }
    }

    /// Refuses a tenant that a command would pass by.
    pub(crate) fn without_tenant(&self) -> Result<(), Problem> {
        match &self.tenant {
            Some(tenant) if !tenant.is_default() => {
                let what = format!(
                    "this command is not about a tenant's modules or tasks, and --tenant is {tenant}"
                );
                Err(Problem::usage(what).hint(
                    "those of modules and of tasks take --tenant: push, kill, call, why and others",
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the configuration with this command's own flags over it.
    pub(crate) fn read(&self, more: Vec<Override>) -> anyhow::Result<(Config, Vec<Effective>)> {
        let raw = config::read(self.config.as_deref(), variables())?;
        Ok(Config::check(self.lay_over(raw, more))?)
    }

    /// Reads the configuration, changed before it is checked.
    pub(crate) fn read_changed(
        &self,
        change: impl FnOnce(&mut RawConfig),
    ) -> anyhow::Result<Config> {
        let raw = config::read(self.config.as_deref(), variables())?;
        let mut raw = self.lay_over(raw, Vec::new());
        change(&mut raw);
        Ok(Config::check(raw)?.0)
    }

    fn lay_over(&self, mut raw: RawConfig, more: Vec<Override>) -> RawConfig {
        let own = [
            ("data", "--data", self.data.clone()),
            ("broker", "--broker", self.broker.clone()),
            (
                "result_backend",
                "--result-backend",
                self.result_backend.clone(),
            ),
            ("server", "--server", self.server.clone()),
        ];
        for (key, flag, value) in own.into_iter().chain(more) {
            if let Some(value) = value {
                raw.set_flag(key, flag, value);
            }
        }
        raw
    }

    /// Opens the stores of the configuration, for a command that only visits:
    /// it logs warnings unless told otherwise.
    pub(crate) async fn open(&self) -> anyhow::Result<App> {
        let (config, _) = self.read(Vec::new())?;
        self.open_here(config).await
    }

    /// Opens where the command works: the control plane of the configuration, or the stores
    /// of this machine where it names none.
    pub(crate) async fn place(&self) -> anyhow::Result<Place> {
        let (config, _) = self.read(Vec::new())?;
        match &config.server {
            None => Ok(Place::Here(Box::new(self.open_here(config).await?))),
            Some(server) => {
                self.start_logging(Level::WARN, false)?;
                Ok(Place::There(app::remote(server)?))
            }
        }
    }

    async fn open_here(&self, config: Config) -> anyhow::Result<App> {
        self.start_logging(Level::WARN, false)?;
        let tenant = self.tenant();
        let is_known = config.tenants.contains_key(&tenant);
        let app = App::open(config, Clock::System).await?;
        match is_known {
            true => Ok(app.of_tenant(tenant).await?),
            // Modules can be there before the tenant is served.
            false => Ok(app),
        }
    }

    /// Begins to log.
    pub(crate) fn start_logging(&self, default: Level, attempts: bool) -> anyhow::Result<()> {
        let format = match self.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        };
        let level = self.loglevel.unwrap_or(default);
        telemetry::init(Logging {
            level,
            format,
            attempts,
        })
        .map_err(|error| {
            Problem::new(Exit::Failed, format!("logging cannot be set up: {error}")).into()
        })
    }
}

fn variables() -> impl Iterator<Item = (String, String)> {
    // A variable that is not Unicode cannot be one of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Reads a level by Celery's names, which are Python's.
fn level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(Level::TRACE),
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warning" | "warn" => Ok(Level::WARN),
        "error" | "critical" | "fatal" => Ok(Level::ERROR),
        _ => Err("trace, debug, info, warning, error or critical are wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_of_celery() {
        assert_eq!(level("INFO"), Ok(Level::INFO));
        assert_eq!(level("warning"), Ok(Level::WARN));
        assert_eq!(level("CRITICAL"), Ok(Level::ERROR));
        assert!(level("loud").is_err());
    }
}
