//! The RabbitMQ server that all tests of a run share: each has a virtual host there.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::python::target;
use crate::steps::{cargo, run};

/// Where the tests look for it.
pub(crate) const VARIABLE: &str = "CELERIAC_TEST_RABBITMQ";
/// The program that runs it.
const PROGRAM: &str = "rabbitmq-for-tests";

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// `PORT:PORT`, AMQP's and HTTP's.
    pub(crate) ports: String,
    child: Child,
    input: Option<ChildStdin>,
}

/// Builds the program beside the tests, with the same features.
pub(crate) fn build() -> Result<()> {
    run(cargo(&[
        "build",
        "--workspace",
        "--tests",
        "--bin",
        PROGRAM,
    ]))
}

impl Server {
    /// Starts the program, which [`build`] made.
    pub(crate) fn start() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut child = Command::new(target(&root).join("debug").join(PROGRAM))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(PROGRAM)?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut ports = String::new();
        BufReader::new(output).read_line(&mut ports)?;
        ensure!(ports.contains(':'), "{PROGRAM} did not start");
        let ports = ports.trim().to_owned();
        Ok(Self {
            ports,
            child,
            input,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is the end of the server.
        drop(self.input.take());
        let _status = self.child.wait();
    }
}
