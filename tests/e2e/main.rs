//! The real program from outside: its command line, its HTTP side, its signals
//! and its files. No code of the product is imported.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod apart;
mod apps;
mod backends;
mod bad_canvas;
mod bad_messages;
mod bad_redis;
mod beside;
mod builtins;
mod bus;
mod calling;
mod calls;
mod canvas;
mod celery;
mod configuration;
mod confined;
mod crash;
mod data_folder;
mod ended;
mod exporter;
mod flower;
mod forward;
mod hands;
mod health;
mod hostile_names;
mod http_calls;
mod isolate;
mod kill;
mod languages;
mod limits;
mod memory;
mod metering;
mod monitor;
mod neighbours;
mod once;
mod options;
mod pairs;
mod parts;
mod postgres;
mod priority;
mod rabbitmq;
mod rates;
mod refusals;
mod registry;
mod results_away;
mod retry;
mod revoke;
mod routing;
mod secured;
mod sentinel;
mod serve;
mod steered;
mod stop;
mod stores;
mod submit;
mod tenants;
mod timing;
mod tutorial;
mod unheard;
mod uploads;
mod web;

use ended::{class, failure, message, success};
use std::path::Path;
use support::Stage;

/// Makes a stage for the program that was built with these tests.
fn stage() -> Stage {
    let components = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests/components");
    Stage::new(env!("CARGO_BIN_EXE_celeriac"), components)
}
