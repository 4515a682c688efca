//! Why a module cannot be tested.

use celeriac_build::BuildError;
use celeriac_sandbox::{Refusal, SandboxError};
use std::path::PathBuf;

/// Says why there is no module to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The crate does not build: mend it, or install the target.
    #[error("the module does not build: {0}")]
    Build(#[source] BuildError),
    /// A worker would refuse the component.
    #[error("a worker would refuse the component: {0}")]
    Refused(#[source] Refusal),
    /// The sandbox cannot be set up or cannot take the component in.
    #[error("the sandbox: {0}")]
    Sandbox(#[source] SandboxError),
    /// A file cannot be read or written.
    #[error("cannot {action} '{}': {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The asynchronous runtime cannot start.
    #[error("no threads for the harness: {0}")]
    Threads(#[source] std::io::Error),
}

impl HarnessError {
    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
