//! The threads that run guests, apart from those that talk to brokers: a guest
//! that computes must not delay a heartbeat.

use super::WorkerError;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// A runtime of its own for guests.
#[derive(Debug)]
pub(super) struct Guests(Option<Runtime>);

impl Guests {
    pub(super) fn start(threads: usize) -> Result<Self, WorkerError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("celeriac-guest")
            .enable_time()
            // For what guests send by HTTP.
            .enable_io()
            .build()
            .map_err(|source| WorkerError::Threads { source })?;
        Ok(Self(Some(runtime)))
    }

    /// What runs something else there.
    pub(super) fn handle(&self) -> Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            None => unreachable_runtime(),
        }
    }

    /// Runs `work` on a guest thread. Dropping the answer ends the work.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        match &self.0 {
            Some(runtime) => Running(runtime.spawn(work)),
            None => unreachable_runtime(),
        }
    }
}

/// The runtime is taken only by `drop`.
#[expect(
    clippy::panic,
    reason = "no method can be called while the value is dropped"
)]
fn unreachable_runtime<T>() -> T {
    panic!("the guests' runtime is gone")
}

impl Drop for Guests {
    fn drop(&mut self) {
        // A runtime must not be dropped in asynchronous code, which would wait
        // for its threads; by now no attempt is left on them.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work on a guest thread, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Running<T>(JoinHandle<T>);

impl<T> Running<T> {
    /// Waits for the end of the work; `Err` means that it panicked. Cancel-safe.
    pub(super) async fn end(&mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
