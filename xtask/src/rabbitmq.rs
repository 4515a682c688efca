//! The RabbitMQ server that all tests of a run share: each has a virtual host there.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::support::{self, RABBITMQ};

/// Where the tests look for it.
pub(crate) const VARIABLE: &str = "CELERIAC_TEST_RABBITMQ";

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// `PORT:PORT`, AMQP's and HTTP's.
    pub(crate) ports: String,
    child: Child,
    input: Option<ChildStdin>,
}

impl Server {
    /// Starts the program, which [`support::build`] made.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(support::program(RABBITMQ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(RABBITMQ)?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut ports = String::new();
        BufReader::new(output).read_line(&mut ports)?;
        ensure!(ports.contains(':'), "{RABBITMQ} did not start");
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
