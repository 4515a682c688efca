//! The worker, through the contract's imports. A guest that calls none of them imports none.

mod stores;

use crate::bindings::celeriac::task::types::Payload;
use crate::bindings::celeriac::task::{ambient, canvas, context, log, progress, submit};
use crate::{Interruption, Job, Level, SubmitError, When};

/// The most bytes one call of `random-bytes` may ask for; the contract says that more traps.
const RANDOM_CHUNK: usize = 64 * 1024;

fn json(text: String) -> Payload {
    Payload {
        content_type: "application/json".to_owned(),
        data: text.into_bytes(),
    }
}

impl From<When> for submit::When {
    fn from(when: When) -> Self {
        match when {
            When::Now => Self::Now,
            When::OnSuccess => Self::OnSuccess,
        }
    }
}

impl From<submit::SubmitError> for SubmitError {
    fn from(error: submit::SubmitError) -> Self {
        use submit::SubmitError as Wire;
        match error {
            Wire::Denied(reason) => Self::Denied(reason),
            Wire::UnknownTask => Self::UnknownTask,
            Wire::QuotaExceeded => Self::QuotaExceeded,
            Wire::TooLarge => Self::TooLarge,
            Wire::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

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

    pub(crate) fn submit(&self, job: &Job, when: When) -> Result<String, SubmitError> {
        let (args, kwargs) = (json(job.args_json()), json(job.kwargs_json()));
        let wire = submit::Job::new(&job.task, &args, &kwargs);
        if let Some(queue) = &job.queue {
            wire.set_queue(queue);
        }
        if let Some(ms) = job.countdown_ms {
            wire.set_countdown_ms(ms);
        }
        if let Some(ms) = job.expires_ms {
            wire.set_expires_ms(ms);
        }
        if let Some(priority) = job.priority {
            wire.set_priority(priority);
        }
        if let Some(key) = &job.key {
            wire.set_idempotency_key(key);
        }
        for (name, value) in &job.headers {
            wire.set_header(name, value);
        }
        Ok(submit::Job::submit(wire, when.into())?)
    }

    pub(crate) fn apply(&self, signature: String, when: When) -> Result<String, SubmitError> {
        Ok(canvas::apply(&json(signature), when.into())?)
    }

    pub(crate) fn replace(&self, signature: String) -> Result<(), SubmitError> {
        Ok(canvas::replace(&json(signature))?)
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
