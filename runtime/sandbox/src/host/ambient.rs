//! `celeriac:task/ambient`: time and entropy for guests without WASI.

use super::Host;
use crate::bindings::celeriac::task::ambient::Host as Ambient;
use crate::defence::{Defence, stands};
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::{Result, bail};

/// Most random bytes of one call.
pub(crate) const RANDOM_BYTES: u32 = 64 << 10;

impl Ambient for Host {
    fn now_unix_ms(&mut self) -> Result<u64> {
        Ok(unix_ms())
    }

    fn monotonic_ns(&mut self) -> Result<u64> {
        let ms = self.deadlines.started.elapsed().as_millis();
        Ok(u64::try_from(ms)
            .unwrap_or(u64::MAX)
            .saturating_mul(1_000_000))
    }

    fn random_bytes(&mut self, len: u32) -> Result<Vec<u8>> {
        if len > RANDOM_BYTES && stands(Defence::Random) {
            bail!("{len} random bytes in one call; at most {RANDOM_BYTES} (fixed)");
        }
        let mut bytes = vec![0; len as usize];
        getrandom::fill(&mut bytes)
            .map_err(|error| wasmtime::format_err!("no random numbers: {error}"))?;
        Ok(bytes)
    }
}

/// Milliseconds since 1970, as coarse as a guest may know it.
pub(crate) fn unix_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a guest sees the machine's clock; no decision of ours hangs on it"
    )]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
