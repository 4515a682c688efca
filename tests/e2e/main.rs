//! The real program from outside: its command line, its HTTP side, its signals
//! and its files. No code of the product is imported.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod at_most_once;
mod backends;
mod bad_messages;
mod bad_redis;
mod bus;
mod calls;
mod canvas;
mod celery;
mod configuration;
mod crash;
mod data_folder;
mod flower;
mod forward;
mod hands;
mod health;
mod limits;
mod memory;
mod options;
mod priority;
mod rabbitmq;
mod rabbitmq_server;
mod rates;
mod refusals;
mod registry;
mod retry;
mod revoke;
mod routing;
mod secured;
mod sentinel;
mod stop;
mod submit;
mod submit_celery;
mod timing;
mod tutorial;

use serde_json::Value;
use std::path::Path;
use support::Stage;

/// Makes a stage for the program that was built with these tests.
fn stage() -> Stage {
    let components = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests/components");
    Stage::new(env!("CARGO_BIN_EXE_celeriac"), components)
}

/// Returns the class of a stored exception, as Python imports it.
fn class(stored: &Value) -> String {
    let part = |name: &str| stored["exception"][name].as_str().unwrap_or_default();
    format!("{}.{}", part("module"), part("class"))
}

/// Returns the message of a stored exception.
fn message(stored: &Value) -> &str {
    stored["exception"]["message"].as_str().unwrap_or_default()
}

/// Checks that a task ended in a failure of a class, and returns its message.
fn failure<'a>(stored: &'a Value, expected: &str) -> &'a str {
    assert_eq!(stored["state"], "FAILURE", "{stored}");
    assert_eq!(class(stored), expected, "{stored}");
    message(stored)
}

/// Checks that a task succeeded, and returns its result.
fn success(stored: &Value) -> &Value {
    assert_eq!(stored["state"], "SUCCESS", "{stored}");
    &stored["result"]
}
