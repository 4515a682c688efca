//! No result backend, which is Celery's default: states and results go nowhere.
//!
//! Nothing remembers a run either, so a message that is delivered twice runs
//! twice: the worker promises what its broker promises.

use super::{Begun, Record, Results, ResultsError, Start, Watch, Write, Written};
use crate::task::{Fence, TaskId};
use async_trait::async_trait;
use jiff::Timestamp;

/// The driver's name.
pub const SYSTEM: &str = "disabled";

/// Keeps nothing.
#[derive(Debug, Clone, Copy)]
pub struct DisabledResults;

#[async_trait]
impl Results for DisabledResults {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn keeps(&self) -> bool {
        false
    }

    async fn begin(&self, _start: Start) -> Result<Begun, ResultsError> {
        Ok(Begun::Run)
    }

    async fn renew(
        &self,
        _runs: Vec<(TaskId, Fence)>,
        _until: Timestamp,
    ) -> Result<(), ResultsError> {
        Ok(())
    }

    async fn write(&self, _write: Write) -> Result<Written, ResultsError> {
        Ok(Written::Stored)
    }

    async fn get(&self, _id: &TaskId) -> Result<Option<Record>, ResultsError> {
        Err(nothing_kept())
    }

    async fn watch(&self, _id: &TaskId) -> Result<Box<dyn Watch>, ResultsError> {
        Err(nothing_kept())
    }

    async fn sweep(&self) -> Result<u64, ResultsError> {
        Ok(0)
    }
}

fn nothing_kept() -> ResultsError {
    ResultsError::Misconfigured {
        system: SYSTEM,
        reason: "no results are kept; name a place with --result-backend".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_for_what_is_not_kept_tells_how_to_keep_it() {
        let id = TaskId::random();
        let error = DisabledResults.get(&id).await.unwrap_err();
        assert!(error.to_string().contains("--result-backend"), "{error}");
        assert!(DisabledResults.watch(&id).await.is_err());
        assert_eq!(DisabledResults.sweep().await.unwrap(), 0);
    }
}
