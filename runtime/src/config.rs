//! The configuration: what was written ([`RawConfig`]) made into what is meant
//! ([`Config`]).
//!
//! Order: default, file, environment (`CELERIAC_WORKER__CONCURRENCY`), flag; a
//! later one wins. A wrong key or value fails the start and says where it is.

mod accept;
mod address;
mod alike;
mod confine;
mod error;
mod grants;
mod hostname;
mod http;
mod limits;
mod publish;
mod queues;
mod raw;
mod reader;
mod routes;
mod secrets;
mod serve;
mod server;
mod tasks;
mod tenants;
#[cfg(test)]
mod tests;
mod transport;
mod values;
mod worker;
mod zone;

pub use crate::task::units;
pub use address::{
    Address, AmqpUrl, DATABASE_FILE, PostgresUrl, RedisUrl, SentinelUrl, ServerUrl, TlsPaths,
};
pub use confine::Confine;
pub use error::ConfigError;
pub use grants::{Grant, InjectLine, StoreGrant, grant};
pub use hostname::machine;
pub use http::HttpConfig;
pub use publish::PublishConfig;
pub use raw::{ENV_PREFIX, FILE_BYTES, RawConfig, RawValue, Source, Written};
pub use reader::Effective;
pub use secrets::SecretSource;
pub use serve::ServeConfig;
pub use server::{ServerConfig, TokenSource};
pub use tenants::{Places, TenantConfig};
pub use transport::{BrokerOptions, ResultOptions, SentinelOptions};
pub use worker::{CONCURRENCY, WorkerConfig, check_queue};

use crate::task::{Accept, QueueShapes, Rate, Share, TaskName, TenantName};
use address::Purpose;
use celeriac_sandbox::Limits;
use jiff::tz::TimeZone;
use reader::Reader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "celeriac.toml";
/// The folder for state when none is named.
pub const DEFAULT_DATA: &str = "./.celeriac";
/// Most aliases (10,000): they are held in memory and looked up per message.
pub const ALIASES: usize = 10_000;

/// Everything that can be configured, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder for state.
    pub data: PathBuf,
    /// Where messages are kept.
    pub broker: Address,
    /// Where results are kept.
    pub result_backend: Address,
    /// What else the broker needs to know.
    pub broker_transport_options: BrokerOptions,
    /// What else the result backend needs to know.
    pub result_backend_transport_options: ResultOptions,
    /// The zone of moments in messages that name none.
    pub timezone: TimeZone,
    /// The formats of messages that a worker reads.
    pub accept_content: Accept,
    /// How a worker works.
    pub worker: WorkerConfig,
    /// What an attempt gets that asks for nothing.
    pub limits: Limits,
    /// The most that tasks of tenant `default` can ask for.
    pub ceiling: Limits,
    /// The most retries that a task of tenant `default` can have.
    pub max_retries: u32,
    /// What tenant `default` gets of the worker, and how much at most.
    pub share: Share,
    /// The tenants beside `default`.
    pub tenants: BTreeMap<TenantName, TenantConfig>,
    /// Tasks of ours by the names that callers use.
    pub aliases: BTreeMap<String, String>,
    /// What tasks may reach, by whom that is granted to.
    pub grants: BTreeMap<String, Grant>,
    /// What they may reach at most, as a control plane says; `None`: what is granted.
    pub may: Option<Vec<String>>,
    /// How is sent what tasks send by HTTP.
    pub http: HttpConfig,
    /// What tasks may read that it is granted to.
    pub values: BTreeMap<String, String>,
    /// Where secrets are.
    pub secrets: BTreeMap<String, SecretSource>,
    /// How queues are declared that are missing.
    pub queues: QueueShapes,
    /// Queues by names and patterns of tasks that we publish.
    pub routes: BTreeMap<String, String>,
    /// How fast tasks start, by their names and beginnings of these; `None` is no limit.
    pub rates: BTreeMap<String, Option<Rate>>,
    /// How a client tries again to publish.
    pub publish: PublishConfig,
    /// How the control plane is served.
    pub serve: ServeConfig,
    /// The control plane that commands and workers work through; `None`: this machine's own.
    pub server: Option<ServerConfig>,
}

impl Config {
    /// Checks what was written, and tells for every key what is in force.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong kind or outside its bounds.
    pub fn check(raw: RawConfig) -> Result<(Self, Vec<Effective>), ConfigError> {
        let mut reader = Reader::new(raw);
        let data = reader.text("data", PathBuf::from(DEFAULT_DATA), folder, |data| {
            data.display().to_string()
        })?;
        let (broker, result_backend) = addresses(&mut reader, &data)?;
        let broker_transport_options = BrokerOptions::read(&mut reader, &broker)?;
        let result_backend_transport_options = ResultOptions::read(&mut reader, &result_backend)?;
        let timezone = reader.text("timezone", TimeZone::UTC, zone::named, zone::name)?;
        let accept_content = accept::read(&mut reader)?;
        // Where a key is like several, that of the worker is meant: the last one read.
        let share = tenants::default_share(&mut reader)?;
        let worker = WorkerConfig::read(&mut reader)?;
        let limits = limits::defaults(&mut reader)?;
        let ceiling = limits::ceiling(&mut reader)?;
        limits::compare(&reader, &limits, &ceiling)?;
        let max_retries = limits::max_retries(&mut reader, &worker)?;
        let aliases = aliases(&mut reader)?;
        let queues = queues::read(&mut reader, &broker)?;
        let routes = routes::read(&mut reader)?;
        let rates = tasks::read(&mut reader)?;
        tasks::check_scope(&reader, worker.rate_limit_scope, [&broker, &result_backend])?;
        let (grants, values, secrets) = grants::read(&mut reader)?;
        let prefix = &broker_transport_options.global_keyprefix;
        let result_prefix = &result_backend_transport_options.global_keyprefix;
        let beside = tenants::Beside {
            data: &data,
            ceiling: &ceiling,
            max_retries,
            values: &values,
            secrets: &secrets,
            places: [
                ("broker", &broker, prefix),
                ("result_backend", &result_backend, result_prefix),
            ],
        };
        let tenants = tenants::read(&mut reader, &beside)?;
        let http = http::read(&mut reader)?;
        let publish = PublishConfig::read(&mut reader)?;
        let serve = ServeConfig::read(&mut reader, &data)?;
        let server = ServerConfig::read(&mut reader)?;
        let effective = reader.finish()?;
        Ok((
            Self {
                data,
                broker,
                result_backend,
                broker_transport_options,
                result_backend_transport_options,
                timezone,
                accept_content,
                worker,
                limits,
                ceiling,
                max_retries,
                share,
                tenants,
                aliases,
                grants,
                may: None,
                http,
                values,
                secrets,
                queues,
                routes,
                rates,
                publish,
                serve,
                server,
            },
            effective,
        ))
    }
}

/// Reads where messages and results are kept.
fn addresses(reader: &mut Reader, data: &Path) -> Result<(Address, Address), ConfigError> {
    let broker = reader.text(
        "broker",
        Address::Embedded(data.to_owned()),
        |text| Address::parse(text, Purpose::Broker, data),
        ToString::to_string,
    )?;
    let result_backend = reader.text(
        "result_backend",
        broker.results_beside(),
        |text| Address::parse(text, Purpose::ResultBackend, data),
        ToString::to_string,
    )?;
    Ok((broker, result_backend))
}

/// Reads the file and the environment; flags are laid over them by the caller.
/// Without a named file, `./celeriac.toml` is read if it exists.
///
/// # Errors
/// When the file cannot be read or is not TOML.
pub fn read(
    named: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<RawConfig, ConfigError> {
    let mut raw = RawConfig::default();
    match named {
        Some(path) => raw.read_file(path)?,
        None if Path::new(DEFAULT_FILE).exists() => raw.read_file(Path::new(DEFAULT_FILE))?,
        None => {}
    }
    raw.read_environment(variables);
    Ok(raw)
}

fn aliases(reader: &mut Reader) -> Result<BTreeMap<String, String>, ConfigError> {
    let is_name = |_: &str, target: &str| {
        let name = target.parse::<TaskName>();
        name.map(|_| ()).map_err(|error| error.to_string())
    };
    reader.texts("aliases", ALIASES, "the name of a task of ours", is_name)
}

fn folder(text: &str) -> Result<PathBuf, String> {
    match text.trim() {
        "" => Err("the path of a folder is wanted".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}
