//! The section `[http]`: how a worker sends what its tasks send by HTTP.

use super::error::ConfigError;
use super::reader::Reader;
use celeriac_sandbox::EgressLimits;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
/// Most requests of one attempt (100,000).
const REQUESTS: u64 = 100_000;
/// Most of them at once (256): each is a connection.
const CONCURRENT: u64 = 256;
/// Most bytes of one attempt, each way (16 GiB).
const BYTES: u64 = 16 * GIB;
/// Shortest and longest time for a connection.
const CONNECT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(120);

/// How a worker sends what its tasks send by HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpConfig {
    /// What one attempt may use.
    pub limits: EgressLimits,
    /// A file of further authorities that are trusted.
    pub ca_file: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader) -> Result<HttpConfig, ConfigError> {
    let default = EgressLimits::default();
    let concurrent = u64::try_from(default.concurrent).unwrap_or(CONCURRENT);
    let concurrent = reader.number("http.in_flight", concurrent, 1..=CONCURRENT)?;
    Ok(HttpConfig {
        limits: EgressLimits {
            requests: reader.number("http.requests", default.requests, 1..=REQUESTS)?,
            concurrent: usize::try_from(concurrent).unwrap_or(usize::MAX),
            bytes_out: reader.bytes("http.bytes_out", default.bytes_out, KIB..=BYTES)?,
            bytes_in: reader.bytes("http.bytes_in", default.bytes_in, KIB..=BYTES)?,
            connect: reader.duration("http.connect_timeout", default.connect, CONNECT)?,
        },
        ca_file: reader.text("http.ca_file", None, path, |path| {
            let path = path.as_deref().unwrap_or(Path::new(""));
            path.display().to_string()
        })?,
    })
}

fn path(text: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    // A process of guests has another folder of its own.
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    Ok(Some(path))
}
