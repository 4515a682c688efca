//! `celeriac:task/submit`: sending other tasks. Without a grant every submit
//! is denied, and nothing a job was told is kept.

use super::Host;
use crate::bindings::celeriac::task::submit::{Host as Submit, HostJob, SubmitError, When};
use crate::bindings::celeriac::task::types::PayloadResult;
use wasmtime::Result;
use wasmtime::component::Resource;

/// A message in the making.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub struct Job;

impl Submit for Host {}

impl HostJob for Host {
    fn new(
        &mut self,
        _task: String,
        _args: PayloadResult,
        _kwargs: PayloadResult,
    ) -> Result<Resource<Job>> {
        Ok(self.table.push(Job)?)
    }

    fn set_queue(&mut self, _job: Resource<Job>, _queue: String) -> Result<()> {
        Ok(())
    }

    fn set_countdown_ms(&mut self, _job: Resource<Job>, _ms: u64) -> Result<()> {
        Ok(())
    }

    fn set_expires_ms(&mut self, _job: Resource<Job>, _ms: u64) -> Result<()> {
        Ok(())
    }

    fn set_priority(&mut self, _job: Resource<Job>, _priority: u8) -> Result<()> {
        Ok(())
    }

    fn set_idempotency_key(&mut self, _job: Resource<Job>, _key: String) -> Result<()> {
        Ok(())
    }

    fn set_header(&mut self, _job: Resource<Job>, _name: String, _value: String) -> Result<()> {
        Ok(())
    }

    fn submit(&mut self, job: Resource<Job>, _when: When) -> Result<Result<String, SubmitError>> {
        self.table.delete(job)?;
        let denial =
            "this attempt has no grant to submit tasks; this version of the host gives none";
        Ok(Err(SubmitError::Denied(denial.to_owned())))
    }

    fn drop(&mut self, job: Resource<Job>) -> Result<()> {
        self.table.delete(job)?;
        Ok(())
    }
}
