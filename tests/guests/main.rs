//! What the sandbox does with guests that mean harm, or break.
//!
//! `hostile/` is a Rust component whose tasks misbehave; [`raw`] makes the
//! components no compiler would. Each test names an ending, and the rows in it
//! are the guests that must come to it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod abandoned;
mod beside;
mod bystanders;
mod clocks;
mod describing;
mod endings;
mod granted;
mod http;
mod limits;
mod metering;
mod outcomes;
mod output;
mod parties;
mod pool;
mod raw;
mod reach;
mod results;
mod sections;
mod servers;
mod sockets;
mod stores;
mod uploads;

use celeriac_harness::{Module, Target, TaskCall, mib, ms};

/// Returns the hostile module.
fn hostile() -> Module {
    Module::build(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/hostile"),
        Target::Wasip2,
    )
}

/// Starts a call of a hostile task with limits that are quickly reached.
fn attack(task: &str) -> TaskCall {
    hostile().task(task).limits(|limits| {
        limits.cpu = ms(100);
        limits.wall = ms(10_000);
        limits.memory = mib(64);
    })
}
