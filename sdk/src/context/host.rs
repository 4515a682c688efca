//! The worker, through the contract's imports. A guest that calls none of them imports none.

use crate::bindings::celeriac::task::{ambient, context, log, progress};
use crate::{Interruption, Level};

/// The most bytes one call of `random-bytes` may ask for; the contract says that more traps.
const RANDOM_CHUNK: usize = 64 * 1024;

/// The worker that runs this attempt.
#[derive(Debug)]
pub(crate) struct Host;

impl Host {
    pub(crate) fn id(&self) -> String {
        context::id()
    }

    pub(crate) fn root_id(&self) -> Option<String> {
        context::root_id()
    }

    pub(crate) fn parent_id(&self) -> Option<String> {
        context::parent_id()
    }

    pub(crate) fn retries(&self) -> u32 {
        context::retries()
    }

    pub(crate) fn deliveries(&self) -> u32 {
        context::delivery_count()
    }

    pub(crate) fn max_retries(&self) -> Option<u32> {
        context::max_retries()
    }

    pub(crate) fn queue(&self) -> String {
        context::queue()
    }

    pub(crate) fn remaining_ms(&self) -> u64 {
        context::remaining_ms()
    }

    pub(crate) fn soft_remaining_ms(&self) -> Option<u64> {
        context::soft_remaining_ms()
    }

    pub(crate) fn interrupted(&self) -> Option<Interruption> {
        context::interrupted().map(Into::into)
    }

    pub(crate) fn wait(&self, ms: u64) -> Option<Interruption> {
        context::wait(ms).map(Into::into)
    }

    pub(crate) fn progress(&self, current: u64, total: Option<u64>, message: Option<&str>) {
        progress::update(current, total, message);
    }

    pub(crate) fn set_state(&self, name: &str, meta: String) {
        progress::set_state(name, &meta);
    }

    pub(crate) fn log_enabled(&self, level: Level) -> bool {
        log::enabled(level.into())
    }

    pub(crate) fn log(&self, level: Level, message: String, fields: Vec<(String, String)>) {
        log::emit(level.into(), &message, &fields);
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        context::header(name)
    }

    pub(crate) fn now_unix_ms(&self) -> u64 {
        ambient::now_unix_ms()
    }

    pub(crate) fn random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(RANDOM_CHUNK) {
            let wanted = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            for (to, from) in chunk.iter_mut().zip(ambient::random_bytes(wanted)) {
                *to = from;
            }
        }
    }
}
