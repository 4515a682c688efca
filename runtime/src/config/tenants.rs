//! The sections `[tenants.NAME]`: whose tasks a worker runs beside those of `default`,
//! where their messages are, and what they may use.

mod apart;

pub use apart::Places;

use super::address::{Address, Purpose};
use super::error::ConfigError;
use super::grants::{self, Grant};
use super::reader::Reader;
use super::secrets::SecretSource;
use super::transport::{BrokerOptions, ResultOptions, SentinelOptions, checked};
use super::worker::{A_YEAR, CONCURRENCY, read_queues};
use super::{Config, alike, limits};
use crate::task::{Ceiling, Quota, Share, TenantName, Weight};
use celeriac_sandbox::Limits;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Most tenants of one worker (1,000): each has connections of its own.
const TENANTS: usize = 1_000;
/// Most that a quota of bytes can be (1 EiB): more is a slip of the pen.
const BYTES: u64 = 1 << 60;
/// Most that any other quota can be.
const MOST: u64 = 1_000_000_000;
/// Keys of a section beside those of its ceiling and its grants.
const KEYS: [&str; 13] = [
    "broker",
    "result_backend",
    "prefix",
    "queues",
    "suspended",
    "weight",
    "concurrency",
    "starts_per_minute",
    "queue_depth",
    "module_bytes",
    "result_bytes",
    "cpu_per_hour",
    "cpu_per_day",
];

/// A tenant beside `default`, as this worker serves it.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantConfig {
    /// Where its messages are.
    pub broker: Address,
    /// Where its results are.
    pub result_backend: Address,
    /// The text before all of its keys in Redis.
    pub prefix: String,
    /// The queues that are taken from.
    pub queues: Vec<String>,
    /// What it gets of the worker, and how much at most.
    pub share: Share,
    /// The most that its tasks can ask for.
    pub ceiling: Limits,
    /// The most retries that a task of it can have.
    pub max_retries: u32,
    /// What its tasks may reach, by whom that is granted to.
    pub grants: BTreeMap<String, Grant>,
    /// What they may reach at most, as a control plane says; `None`: what is granted.
    pub may: Option<Vec<String>>,
}

/// What tenants are measured against.
pub(super) struct Beside<'a> {
    pub(super) data: &'a Path,
    pub(super) ceiling: &'a Limits,
    pub(super) max_retries: u32,
    pub(super) values: &'a BTreeMap<String, String>,
    pub(super) secrets: &'a BTreeMap<String, SecretSource>,
    /// Where the messages and the results of `default` are, and behind which prefix.
    pub(super) places: [(&'static str, &'a Address, &'a str); 2],
}

/// Reads the share of tenant `default`.
pub(super) fn default_share(reader: &mut Reader) -> Result<Share, ConfigError> {
    share(reader, "tenants.default")
}

/// Reads all sections but that of `default`.
pub(super) fn read(
    reader: &mut Reader,
    beside: &Beside<'_>,
) -> Result<BTreeMap<TenantName, TenantConfig>, ConfigError> {
    let mut tenants = BTreeMap::new();
    for name in names(reader)? {
        let tenant = one(reader, &name, beside)?;
        tenants.insert(name, tenant);
    }
    apart::check_apart(reader, beside.places, &tenants)?;
    Ok(tenants)
}

/// Puts the keys of all sections where they are read, and returns whose they are.
fn names(reader: &mut Reader) -> Result<BTreeSet<TenantName>, ConfigError> {
    let mut names = BTreeSet::new();
    for (path, written) in reader.table("tenants") {
        let (name, key) = path.split_once('.').unwrap_or((&path, ""));
        let parsed = name.parse::<TenantName>();
        let parsed = parsed.map_err(|error| ConfigError::Wrong {
            key: "tenants".to_owned(),
            value: format!("{name:?}"),
            reason: error.to_string(),
            source_place: written.source.clone(),
        })?;
        if names.insert(parsed) && names.len() > TENANTS {
            return Err(ConfigError::OutOfRange {
                key: "tenants".to_owned(),
                value: "longer".to_owned(),
                bound: format!("at most {TENANTS} are allowed"),
                source_place: written.source,
            });
        }
        if let Some(rest) = key.strip_prefix("grants.") {
            reader.put_in(&format!("tenants.{name}.grants"), rest, written);
        } else if KEYS.contains(&key) || limits::CEILING.contains(&key) {
            reader.put(format!("tenants.{path}"), written);
        } else {
            let known = KEYS.into_iter().chain(limits::CEILING);
            let nearest = alike::nearest(known, key);
            return Err(ConfigError::Unknown {
                key: format!("tenants.{path}"),
                nearest: nearest.map(|key| format!("tenants.{name}.{key}")),
                source_place: written.source,
            });
        }
    }
    Ok(names)
}

fn one(
    reader: &mut Reader,
    name: &TenantName,
    beside: &Beside<'_>,
) -> Result<TenantConfig, ConfigError> {
    let section = format!("tenants.{name}");
    let key = |name: &str| format!("{section}.{name}");
    let data = folder(beside.data, name);
    let address = |reader: &mut Reader, name: &str, default: Address, purpose| {
        let read = |text: &str| address(text, purpose, &data);
        reader.text(&key(name), default, read, ToString::to_string)
    };
    let embedded = Address::Embedded(data.clone());
    let broker = address(reader, "broker", embedded, Purpose::Broker)?;
    let besides = broker.results_beside();
    let result_backend = address(reader, "result_backend", besides, Purpose::ResultBackend)?;
    let prefix = reader.text(&key("prefix"), name.key_prefix(), own_prefix, Clone::clone)?;
    let queues = read_queues(reader, &key("queues"))?;
    let suspended = reader.flag(&key("suspended"), false)?;
    let share = Share {
        suspended,
        ..share(reader, &section)?
    };
    let table = key("grants");
    Ok(TenantConfig {
        broker,
        result_backend,
        prefix,
        queues,
        share,
        ceiling: limits::read(reader, &section, beside.ceiling)?,
        max_retries: limits::most_retries(reader, &section, beside.max_retries)?,
        grants: grants::sections(reader, &table, beside.values, beside.secrets)?,
        may: None,
    })
}

fn share(reader: &mut Reader, section: &str) -> Result<Share, ConfigError> {
    let key = |name: &str| format!("{section}.{name}");
    let weight = reader.number(
        &key("weight"),
        u64::from(Weight::default().get()),
        1..=10_000,
    )?;
    let weight = u32::try_from(weight).ok().map(Weight::try_from);
    let mut count = |name: &str, most| maybe(reader, &key(name), most);
    let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    let concurrency = small(count("concurrency", CONCURRENCY)?);
    let starts_per_minute = small(count("starts_per_minute", MOST)?);
    let queue_depth = count("queue_depth", MOST)?;
    let cpu = |reader: &mut Reader, name: &str| {
        let bounds = Duration::from_secs(1)..=A_YEAR;
        let span = reader.maybe_duration(&key(name), None, bounds, "none")?;
        Ok(span.map(|span| span.as_secs()))
    };
    Ok(Share {
        suspended: false,
        weight: weight.and_then(Result::ok).unwrap_or_default(),
        quota: Quota {
            concurrency,
            starts_per_minute,
            queue_depth,
            module_bytes: bytes(reader, &key("module_bytes"))?,
            result_bytes: bytes(reader, &key("result_bytes"))?,
            cpu_per_hour_seconds: cpu(reader, "cpu_per_hour")?,
            cpu_per_day_seconds: cpu(reader, "cpu_per_day")?,
        },
    })
}

/// Reads a number that has no bound where nothing is written.
fn maybe(reader: &mut Reader, key: &str, most: u64) -> Result<Option<u64>, ConfigError> {
    match reader.is_nothing(key) {
        true => Ok(None),
        false => reader.number(key, 0, 1..=most).map(Some),
    }
}

/// Reads a number of bytes that has no bound where nothing is written.
fn bytes(reader: &mut Reader, key: &str) -> Result<Option<u64>, ConfigError> {
    match reader.is_nothing(key) {
        true => Ok(None),
        false => reader.bytes(key, 0, 1..=BYTES).map(Some),
    }
}

/// Reads an address. That of a server that sentinels name needs their options as well, which
/// a tenant has not.
fn address(text: &str, purpose: Purpose, data: &Path) -> Result<Address, String> {
    let address = Address::parse(text, purpose, data)?;
    match matches!(address, Address::Sentinel(_)) {
        true => Err(
            "a tenant's server is named itself, not by sentinels; use redis://HOST:PORT/DB"
                .to_owned(),
        ),
        false => Ok(address),
    }
}

/// The folder of what a tenant keeps on this machine.
fn folder(data: &Path, name: &TenantName) -> std::path::PathBuf {
    data.join("tenants").join(name.as_str())
}

fn own_prefix(text: &str) -> Result<String, String> {
    match text {
        "" => Err("without a prefix its keys are those of tenant default".to_owned()),
        _ => checked(text),
    }
}

impl Config {
    /// Returns what the configuration is for a tenant: its addresses, queues, ceiling and
    /// grants for those of `default`, whose aliases, routes and rates are not its own.
    #[must_use]
    pub fn of_tenant(&self, name: &TenantName, tenant: &TenantConfig) -> Self {
        let mut config = self.clone();
        config.data = folder(&self.data, name);
        config.broker = tenant.broker.clone();
        config.result_backend = tenant.result_backend.clone();
        config.broker_transport_options = BrokerOptions {
            global_keyprefix: tenant.prefix.clone(),
            visibility_timeout: self.broker_transport_options.visibility_timeout,
            sentinel: SentinelOptions::default(),
        };
        config.result_backend_transport_options = ResultOptions {
            global_keyprefix: tenant.prefix.clone(),
            sentinel: SentinelOptions::default(),
        };
        config.worker.queues = tenant.queues.clone();
        config.worker.forward = None;
        config.worker.rate_limit_scope = crate::task::RateScope::Worker;
        config.share = tenant.share.clone();
        config.ceiling = tenant.ceiling.clone();
        config.max_retries = tenant.max_retries;
        config.grants = tenant.grants.clone();
        config.may.clone_from(&tenant.may);
        config.aliases.clear();
        config.routes.clear();
        config.rates.clear();
        config.queues.clear();
        config.tenants.clear();
        config
    }

    /// Returns what a tenant is that a control plane names: what is written of it here, with
    /// its own addresses and share, within its own ceiling.
    ///
    /// # Errors
    /// An address that cannot be used; the text says why.
    pub fn named_tenant(
        &self,
        name: &TenantName,
        share: Share,
        ceiling: &Ceiling,
        (broker, result_backend): (Option<&str>, Option<&str>),
    ) -> Result<TenantConfig, String> {
        let data = folder(&self.data, name);
        let written = self.tenants.get(name);
        let parse = |text: &str, purpose| address(text, purpose, &data);
        let broker = match (broker, written) {
            (Some(text), _) => parse(text, Purpose::Broker)?,
            (None, Some(written)) => written.broker.clone(),
            (None, None) => Address::Embedded(data.clone()),
        };
        let result_backend = match (result_backend, written) {
            (Some(text), _) => parse(text, Purpose::ResultBackend)?,
            (None, Some(written)) => written.result_backend.clone(),
            (None, None) => broker.results_beside(),
        };
        let most = written.map_or(&self.ceiling, |written| &written.ceiling);
        let retries = written.map_or(self.max_retries, |written| written.max_retries);
        Ok(TenantConfig {
            broker,
            result_backend,
            prefix: written.map_or_else(|| name.key_prefix(), |written| written.prefix.clone()),
            queues: written.map_or_else(|| vec!["celery".to_owned()], |one| one.queues.clone()),
            share,
            ceiling: narrowed(most, ceiling),
            max_retries: ceiling.max_retries.map_or(retries, |own| own.min(retries)),
            grants: written.map_or_else(BTreeMap::new, |written| written.grants.clone()),
            may: None,
        })
    }
}

/// Lowers limits to a ceiling.
fn narrowed(most: &Limits, ceiling: &Ceiling) -> Limits {
    let time = |own: Option<u64>, most: Duration| {
        own.map_or(most, |own| Duration::from_millis(own).min(most))
    };
    Limits {
        wall: time(ceiling.wall_ms, most.wall),
        cpu: time(ceiling.cpu_ms, most.cpu),
        memory: ceiling
            .memory_bytes
            .map_or(most.memory, |own| own.min(most.memory)),
        ..most.clone()
    }
}
