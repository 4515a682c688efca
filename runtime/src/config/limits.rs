//! The sections `[limits]` (what an attempt gets) and `[tenants.default]` (the
//! most it can ask for).

use super::error::ConfigError;
use super::reader::Reader;
use super::units;
use super::worker::{RETRIES, WorkerConfig};
use celeriac_sandbox::Limits;
use std::time::Duration;

/// Most retries of a task unless told otherwise: with Celery's delay of 180 s,
/// five hours.
const DEFAULT_RETRIES: u64 = 100;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Largest memory of one attempt: the size of a slot in the sandbox's pool.
const MEMORY: u64 = 256 * MIB;
/// Largest arguments and result: the largest message body.
const BODY: u64 = 16 * MIB;
/// Largest failure text, log and progress update (16 MiB): each is held in memory.
const TEXT: u64 = 16 * MIB;
/// Most log lines of one attempt.
const LINES: u64 = 1_000_000;
/// Shortest time limit that can be kept: a tick of the sandbox.
const TICK: Duration = Duration::from_millis(10);
/// Longest time of one attempt (7 days).
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Reads the limits of an attempt that asks for nothing.
pub(super) fn defaults(reader: &mut Reader) -> Result<Limits, ConfigError> {
    read(reader, "limits", &Limits::default())
}

/// Reads the ceiling of tenant `default`.
pub(super) fn ceiling(reader: &mut Reader) -> Result<Limits, ConfigError> {
    let default = Limits {
        wall: Duration::from_secs(3_600),
        soft: None,
        cpu: Duration::from_secs(300),
        memory: MEMORY,
        arguments_bytes: BODY,
        result_bytes: BODY,
        failure_bytes: MIB,
        log_bytes: 4 * MIB,
        log_lines: 20_000,
        progress_bytes: 64 * KIB,
    };
    read(reader, "tenants.default", &default)
}

/// The keys of a ceiling.
pub(super) const CEILING: [&str; 11] = [
    "wall",
    "soft",
    "cpu",
    "memory",
    "arguments",
    "result",
    "failure",
    "log",
    "log_lines",
    "progress",
    "max_retries",
];

/// Reads the limits of a section.
pub(super) fn read(
    reader: &mut Reader,
    section: &str,
    default: &Limits,
) -> Result<Limits, ConfigError> {
    let key = |name: &str| format!("{section}.{name}");
    let lines = reader.number(&key("log_lines"), u64::from(default.log_lines), 0..=LINES)?;
    Ok(Limits {
        wall: reader.duration(&key("wall"), default.wall, TICK..=LONGEST)?,
        soft: reader.maybe_duration(&key("soft"), default.soft, TICK..=LONGEST, "none")?,
        cpu: reader.duration(&key("cpu"), default.cpu, TICK..=LONGEST)?,
        memory: reader.bytes(&key("memory"), default.memory, 64 * KIB..=MEMORY)?,
        arguments_bytes: reader.bytes(&key("arguments"), default.arguments_bytes, KIB..=BODY)?,
        result_bytes: reader.bytes(&key("result"), default.result_bytes, KIB..=BODY)?,
        failure_bytes: reader.bytes(&key("failure"), default.failure_bytes, KIB..=TEXT)?,
        log_bytes: reader.bytes(&key("log"), default.log_bytes, 0..=TEXT)?,
        log_lines: u32::try_from(lines).unwrap_or(u32::MAX),
        progress_bytes: reader.bytes(&key("progress"), default.progress_bytes, 0..=TEXT)?,
    })
}

/// Reads the most retries that a task of tenant `default` can have.
pub(super) fn max_retries(reader: &mut Reader, worker: &WorkerConfig) -> Result<u32, ConfigError> {
    let most = reader.number("tenants.default.max_retries", DEFAULT_RETRIES, 0..=RETRIES)?;
    if u64::from(worker.max_retries) <= most {
        return Ok(u32::try_from(most).unwrap_or(u32::MAX));
    }
    let source_place = match reader.source("worker.max_retries") {
        super::Source::Default => reader.source("tenants.default.max_retries"),
        written @ (super::Source::File { .. }
        | super::Source::Environment(_)
        | super::Source::Flag(_)) => written,
    };
    Err(ConfigError::OutOfRange {
        key: "worker.max_retries".to_owned(),
        value: worker.max_retries.to_string(),
        bound: format!("at most tenants.default.max_retries = {most} is allowed"),
        source_place,
    })
}

/// Reads the most retries that a task of a tenant beside `default` can have.
pub(super) fn most_retries(
    reader: &mut Reader,
    section: &str,
    default: u32,
) -> Result<u32, ConfigError> {
    let key = format!("{section}.max_retries");
    let most = reader.number(&key, u64::from(default), 0..=RETRIES)?;
    Ok(u32::try_from(most).unwrap_or(u32::MAX))
}

/// Fails when a default is above its ceiling: it would silently be lowered.
pub(super) fn compare(
    reader: &Reader,
    limits: &Limits,
    ceiling: &Limits,
) -> Result<(), ConfigError> {
    let time =
        |name, limit: Duration, most: Duration| (name, limit.as_millis(), most.as_millis(), true);
    let size = |name, limit: u64, most: u64| (name, u128::from(limit), u128::from(most), false);
    let soft = |limits: &Limits| limits.soft.unwrap_or(limits.wall);
    let pairs = [
        time("wall", limits.wall, ceiling.wall),
        time("soft", soft(limits), soft(ceiling)),
        time("cpu", limits.cpu, ceiling.cpu),
        size("memory", limits.memory, ceiling.memory),
        size("arguments", limits.arguments_bytes, ceiling.arguments_bytes),
        size("result", limits.result_bytes, ceiling.result_bytes),
        size("failure", limits.failure_bytes, ceiling.failure_bytes),
        size("log", limits.log_bytes, ceiling.log_bytes),
        size(
            "log_lines",
            u64::from(limits.log_lines),
            u64::from(ceiling.log_lines),
        ),
        size("progress", limits.progress_bytes, ceiling.progress_bytes),
    ];
    for (name, limit, most, is_time) in pairs {
        if limit <= most {
            continue;
        }
        let key = format!("limits.{name}");
        let print = |value: u128| {
            let value = u64::try_from(value).unwrap_or(u64::MAX);
            match (is_time, name) {
                (true, _) => units::print_duration(Duration::from_millis(value)),
                (false, "log_lines") => value.to_string(),
                (false, _) => units::print_bytes(value),
            }
        };
        // The place to look at is where a person wrote something: the default
        // may be what is above a ceiling that was lowered.
        let source_place = match reader.source(&key) {
            super::Source::Default => reader.source(&format!("tenants.default.{name}")),
            written @ (super::Source::File { .. }
            | super::Source::Environment(_)
            | super::Source::Flag(_)) => written,
        };
        return Err(ConfigError::OutOfRange {
            value: print(limit),
            bound: format!(
                "at most tenants.default.{name} = {} is allowed",
                print(most)
            ),
            key,
            source_place,
        });
    }
    Ok(())
}
