//! Celeriac.
pub mod broker;
pub mod celery;
pub mod clock;
pub mod database;
pub mod registry;
pub mod policy;
pub mod results;
pub mod task;
pub mod config;
pub mod shutdown;
pub mod telemetry;
pub mod worker;
pub mod api;
pub mod app;
pub mod cli;
