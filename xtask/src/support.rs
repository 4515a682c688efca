//! Programs of the crate `support`, which the tests of a run share.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::compiler::Compiler;
use crate::python::target;
use crate::steps::{cargo, run};

/// Runs a RabbitMQ server.
pub(crate) const RABBITMQ: &str = "rabbitmq-for-tests";
/// Makes bindings for C out of the contract.
pub(crate) const BINDINGS: &str = "bindings-for-c";

/// Builds them beside the tests and all else, with the same features.
pub(crate) fn build(compiler: &Compiler) -> Result<()> {
    run(compiler.of(cargo(&["build", "--workspace", "--all-targets"])))
}

/// Returns where [`build`] puts a program.
pub(crate) fn program(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    target(&root).join("debug").join(name)
}
