//! Adds up what a guest holds: all its memories and tables together.

use crate::outcome::{Limit, LimitHit};
use std::fmt;
use wasmtime::ResourceLimiter;

/// Bytes of one table element in the host.
const ELEMENT: usize = 8;

/// Sums the bytes of every memory and table of one attempt, and refuses to let
/// the sum pass its limit. (Wasmtime's own limiter bounds each memory apart.)
#[derive(Debug)]
pub(crate) struct Tally {
    held: u64,
    peak: u64,
    allowed: u64,
}

impl Tally {
    pub(crate) fn new(allowed: u64) -> Self {
        Self {
            held: 0,
            peak: 0,
            allowed,
        }
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    fn grow(&mut self, by: usize) -> wasmtime::Result<bool> {
        let wanted = self.held.saturating_add(by as u64);
        if wanted > self.allowed {
            // An error ends the guest here; answering -1 would let it go on
            // and fail later in words that name no limit.
            return Err(Exceeded::new(Limit::Memory, self.allowed, Some(wanted)).into());
        }
        self.held = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }
}

impl ResourceLimiter for Tally {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT))
    }
}

/// The error that carries a limit out of the engine.
#[derive(Debug, Clone)]
pub(crate) struct Exceeded(pub(crate) LimitHit);

impl Exceeded {
    pub(crate) fn new(limit: Limit, allowed: u64, wanted: Option<u64>) -> Self {
        Self(LimitHit {
            limit,
            allowed,
            wanted,
        })
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} limit of {} reached",
            self.0.limit.name(),
            self.0.allowed
        )
    }
}

impl std::error::Error for Exceeded {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_count_together() {
        let mut tally = Tally::new(3 * 65_536);
        assert!(tally.memory_growing(0, 65_536, None).unwrap());
        assert!(tally.memory_growing(0, 65_536, None).unwrap());
        assert!(tally.table_growing(0, 8_192, None).unwrap());
        let error = tally.table_growing(8_192, 8_193, None).unwrap_err();
        let hit = &error.downcast_ref::<Exceeded>().unwrap().0;
        assert_eq!(
            (hit.limit, hit.allowed, hit.wanted),
            (Limit::Memory, 196_608, Some(196_616))
        );
        assert_eq!(tally.peak(), 196_608);
    }
}
