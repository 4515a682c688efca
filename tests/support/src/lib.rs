//! The stage on which the end-to-end tests play: a folder of its own, the real
//! program in it, and the doors that a stranger has too.
//!
//! It knows the command line, HTTP and the tables of the embedded file, and
//! nothing of the code behind them.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "what fails here is a failed test, told by panicking"
)]

pub mod certificates;
pub mod control;
pub mod file;
mod guard;
pub mod http;
pub mod moto;
pub mod mutate;
pub mod ports;
pub mod postgres;
pub mod proxy;
pub mod python;
pub mod rabbitmq;
pub mod raw;
pub mod redis;
pub mod sentinel;
pub mod server;
mod shelf;
pub mod site;
pub mod stage;
pub mod wait;

pub use certificates::Certificates;
pub use control::ControlPlane;
pub use moto::Moto;
pub use mutate::{Corpus, SCRIPT_BYTES, scripts};
pub use ports::free_port;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use python::{Python, PythonWorker};
pub use rabbitmq::Rabbit;
pub use raw::{Letter, Tally};
pub use redis::Redis;
pub use sentinel::Sentinels;
pub use server::{Ended, Server};
pub use site::Site;
pub use stage::{Ran, Stage, ran};
pub use wait::until;
