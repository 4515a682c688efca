//! Hostile bytes for everything that reads what strangers wrote.
//!
//! A target is a test: a property, and good inputs that a script of edits makes bad ones
//! of. As a test each runs the same few thousand scripts every time. With a variable of
//! bolero's in the environment, such as `BOLERO_RANDOM_TEST_TIME_MS`, bolero chooses the
//! scripts, for as long as that says; CONTRIBUTING.md has the commands.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

#[macro_use]
mod run;

mod arguments;
mod bodies;
mod broadcasts;
mod canvas;
#[path = "../vectors/capture.rs"]
#[expect(
    dead_code,
    reason = "what the captures hold is also evidence, which is not looked at here"
)]
mod capture;
mod configuration;
mod documents;
mod envelopes;
mod names;
mod results;
mod uploads;
