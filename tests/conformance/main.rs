//! What every driver must do: each behaviour is written once and expanded for
//! every driver, as in `broker::redelivers_after_lease_expiry::embedded`.
//!
//! A driver joins by one line in each table at the end of `broker.rs` and
//! `results.rs`, and a stage in `stage.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod broker;
mod kombu;
mod orders;
mod platform;
mod postgres;
mod registry;
mod results;
mod sentinel;
mod shelves;
mod stage;
