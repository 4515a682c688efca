//! `celeriac:task/context`: facts about the attempt, and its clock.

use super::Host;
use crate::bindings::celeriac::task::context::Host as Context;
use crate::bindings::celeriac::task::types::Interruption as Wire;
use crate::outcome::Interruption;
use std::time::{Duration, Instant};
use wasmtime::Result;

impl crate::bindings::celeriac::task::types::Host for Host {}

impl Context for Host {
    fn id(&mut self) -> Result<String> {
        Ok(self.attempt.id.clone())
    }

    fn root_id(&mut self) -> Result<Option<String>> {
        Ok(self.attempt.root_id.clone())
    }

    fn parent_id(&mut self) -> Result<Option<String>> {
        Ok(self.attempt.parent_id.clone())
    }

    fn retries(&mut self) -> Result<u32> {
        Ok(self.attempt.retries)
    }

    fn delivery_count(&mut self) -> Result<u32> {
        Ok(self.attempt.deliveries)
    }

    fn max_retries(&mut self) -> Result<Option<u32>> {
        Ok(self.attempt.max_retries)
    }

    fn queue(&mut self) -> Result<String> {
        Ok(self.attempt.queue.clone())
    }

    fn remaining_ms(&mut self) -> Result<u64> {
        Ok(ms_until(self.deadlines.hard))
    }

    fn soft_remaining_ms(&mut self) -> Result<Option<u64>> {
        Ok(self.deadlines.soft.map(ms_until))
    }

    fn interrupted(&mut self) -> Result<Option<Wire>> {
        Ok(Host::interrupted(self).map(wire))
    }

    async fn wait(&mut self, ms: u64) -> Result<Option<Wire>> {
        if let Some(reason) = Host::interrupted(self) {
            return Ok(Some(wire(reason)));
        }
        // Sleeping past the hard limit needs no longer timer than to it.
        let span = Duration::from_millis(ms).min(self.deadlines.hard - Instant::now());
        let soft = self.deadlines.soft.unwrap_or(self.deadlines.hard);
        tokio::select! {
            () = tokio::time::sleep(span) => {}
            () = tokio::time::sleep_until(soft.into()) => {}
            _ = self.attempt.interrupt.wait() => {}
        }
        Ok(Host::interrupted(self).map(wire))
    }

    fn header(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.attempt.headers.get(&name).cloned())
    }
}

fn ms_until(moment: Instant) -> u64 {
    let span = moment.saturating_duration_since(Instant::now());
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn wire(reason: Interruption) -> Wire {
    match reason {
        Interruption::SoftLimit => Wire::SoftLimit,
        Interruption::Cancelled => Wire::Cancelled,
        Interruption::Shutdown => Wire::Shutdown,
    }
}
