//! The one sandbox and the one asynchronous runtime of a test process.

use crate::error::HarnessError;
use celeriac_sandbox::{Engine, EngineSettings};
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Runtime};

/// Attempts at once in one test process: tests run in as many threads as there
/// are cores, and a pool reserves address space for each slot.
const ATTEMPTS: u32 = 32;

pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) runtime: Runtime,
}

/// Returns the process's host; the reason why there is none is kept as well.
pub(crate) fn host() -> Result<&'static Host, Arc<HarnessError>> {
    static HOST: OnceLock<Result<Host, Arc<HarnessError>>> = OnceLock::new();
    HOST.get_or_init(|| start().map_err(Arc::new))
        .as_ref()
        .map_err(Arc::clone)
}

fn start() -> Result<Host, HarnessError> {
    let settings = EngineSettings {
        attempts: ATTEMPTS,
        ..EngineSettings::default()
    };
    let engine = Engine::new(&settings).map_err(HarnessError::Sandbox)?;
    // Guests run on the threads of the tests; this one only keeps time.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(HarnessError::Threads)?;
    Ok(Host { engine, runtime })
}
