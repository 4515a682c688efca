//! `celeriac:task/submit`: sending other tasks. Without a grant every submit
//! is denied.

use super::Host;
use crate::bindings::celeriac::task::submit as wire;
use crate::bindings::celeriac::task::submit::{Host as Submit, HostJob};
use crate::bindings::celeriac::task::types::PayloadResult;
use crate::submit::{Draft, Step, SubmitError, When};
use crate::uses::{Capability, Use};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Result;
use wasmtime::component::Resource;

/// A message in the making.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub struct Job(Draft);

impl Submit for Host {}

impl HostJob for Host {
    fn new(
        &mut self,
        task: String,
        args: PayloadResult,
        kwargs: PayloadResult,
    ) -> Result<Resource<Job>> {
        let draft = self.outbox.draft(task, args.data, kwargs.data);
        Ok(self.table.push(Job(draft))?)
    }

    fn set_queue(&mut self, job: Resource<Job>, queue: String) -> Result<()> {
        self.outbox.queue(&mut self.table.get_mut(&job)?.0, queue);
        Ok(())
    }

    fn set_countdown_ms(&mut self, job: Resource<Job>, ms: u64) -> Result<()> {
        self.table.get_mut(&job)?.0.job().countdown = Some(Duration::from_millis(ms));
        Ok(())
    }

    fn set_expires_ms(&mut self, job: Resource<Job>, ms: u64) -> Result<()> {
        self.table.get_mut(&job)?.0.job().expires = Some(Duration::from_millis(ms));
        Ok(())
    }

    fn set_priority(&mut self, job: Resource<Job>, priority: u8) -> Result<()> {
        self.table.get_mut(&job)?.0.priority(priority);
        Ok(())
    }

    fn set_idempotency_key(&mut self, job: Resource<Job>, key: String) -> Result<()> {
        self.outbox.key(&mut self.table.get_mut(&job)?.0, key);
        Ok(())
    }

    fn set_header(&mut self, job: Resource<Job>, name: String, value: String) -> Result<()> {
        self.outbox
            .header(&mut self.table.get_mut(&job)?.0, name, value);
        Ok(())
    }

    async fn submit(
        &mut self,
        job: Resource<Job>,
        when: wire::When,
    ) -> Result<std::result::Result<String, wire::SubmitError>> {
        let Job(draft) = self.table.delete(job)?;
        let when = read(when);
        let step = self.outbox.job(draft, when);
        Ok(self.send(step, when).await.map_err(wire_error))
    }

    fn drop(&mut self, job: Resource<Job>) -> Result<()> {
        let Job(draft) = self.table.delete(job)?;
        self.outbox.free(&draft);
        Ok(())
    }
}

impl Host {
    /// Lets the sender have what is to be sent, and remembers it once accepted.
    pub(super) async fn send(
        &mut self,
        step: std::result::Result<Step, SubmitError>,
        when: When,
    ) -> std::result::Result<String, SubmitError> {
        let (wish, index) = match self.noted(step)? {
            Step::Known(id) => return Ok(id),
            Step::Send(wish, index) => (wish, index),
        };
        let sender = self.attempt.sender.as_ref().map(Arc::clone);
        let sender = sender.ok_or_else(nobody)?;
        let id = sender.send(&wish, when, index).await;
        let id = self.noted(id)?;
        self.uses
            .count(Capability::Submit, Use::call(0, wish.bytes()));
        self.outbox.accepted(&id, wish, when, index);
        Ok(id)
    }
}

impl Host {
    /// Writes a denial or a limit into the log of the attempt, where its author finds what
    /// is missing even if the guest says nothing. The same one is written once in a row.
    pub(super) fn noted<T>(
        &mut self,
        answer: std::result::Result<T, SubmitError>,
    ) -> std::result::Result<T, SubmitError> {
        let note = answer.as_ref().err().and_then(SubmitError::note);
        if let Some(note) = note.filter(|note| self.outbox.is_news(note)) {
            self.log.warn(note, &[]);
        }
        answer
    }
}

/// What is said where nobody sends.
pub(super) fn nobody() -> SubmitError {
    SubmitError::Unavailable("nothing is sent from here".to_owned())
}

pub(super) fn read(when: wire::When) -> When {
    match when {
        wire::When::Now => When::Now,
        wire::When::OnSuccess => When::OnSuccess,
    }
}

pub(super) fn wire_error(error: SubmitError) -> wire::SubmitError {
    match error {
        SubmitError::Denied(reason) => wire::SubmitError::Denied(reason),
        SubmitError::UnknownTask => wire::SubmitError::UnknownTask,
        SubmitError::QuotaExceeded(_) => wire::SubmitError::QuotaExceeded,
        SubmitError::TooLarge(_) => wire::SubmitError::TooLarge,
        SubmitError::Unavailable(reason) => wire::SubmitError::Unavailable(reason),
    }
}
