//! The client of the library, as a program has it: it calls tasks of a Python worker
//! and of ours.

#![expect(clippy::unwrap_used, reason = "a test reports by panicking")]

mod options;
mod python;
mod replies;

use celeriac::client::{Client, TaskCall};
use std::path::Path;
use std::time::Duration;
use support::{Python, Stage};

/// Longer than anything takes on a busy machine.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(50));

fn stage() -> Stage {
    let components = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests/components");
    Stage::new(env!("CARGO_BIN_EXE_celeriac"), components)
}

fn python(release: &str) -> Python {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python");
    Python::new(&target, release, scripts)
}

async fn client(broker: &str, results: &str) -> Client {
    Client::connect(broker, results).await.unwrap()
}

fn call(task: &str, args: &str) -> TaskCall {
    TaskCall::new(task, args, "{}").unwrap()
}
