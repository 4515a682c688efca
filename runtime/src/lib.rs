//! Celeriac: a task queue whose tasks are WebAssembly components.
//!
//! A message's way: a driver of [`broker`] delivers it; [`worker`] decodes,
//! admits and runs it in a fresh sandbox (the crate `celeriac_sandbox`), with
//! the code that [`registry`] names; [`policy`] judges what the guest did;
//! [`results`] keeps the state; then, and not before, the message is
//! acknowledged. `worker/executor.rs` is the table of contents.
//!
//! The layers, from the ground up. Each imports only what is below it, and
//! `cargo xtask tidy` checks that:
//!
//! | layer | module | what it holds |
//! |---|---|---|
//! | words | [`task`] | ids, names, states, exceptions, the fence of a run |
//! | | `defence` | names of the defences, which only tests can take away |
//! | leaves | [`clock`] | what time it is; tests set it |
//! | | [`confine`] | walls around this process |
//! | | [`shutdown`] | the two phases of a stop |
//! | | [`telemetry`] | log lines, names of fields, metrics |
//! | policy | [`policy`] | pure decisions: admission, limits, retries, the verdict |
//! | wire | [`celery`] | Celery's message format; no I/O |
//! | | [`plane`] | the words of the control plane's HTTP API; no I/O |
//! | store | [`database`] | the one SQLite file and its one writer |
//! | | [`resp`] | connections to Redis |
//! | | [`amqp`] | connections to RabbitMQ |
//! | | [`sql`] | SQLite files and Postgres servers, of Celery's database results and of the control plane |
//! | | [`remote`] | requests to a control plane over HTTP |
//! | seams | [`broker`] | where messages wait, and its drivers |
//! | | [`results`] | where states and results are, and its drivers |
//! | | [`bus`] | events and remote control, and its drivers |
//! | engine | [`registry`] | modules, their versions, native code made of them |
//! | | [`platform`] | tenants, their tokens, and who changed what |
//! | | [`worker`] | takes messages and runs them |
//! | | [`events`] | tells monitors what happens |
//! | | [`control`] | does what remote control asks |
//! | edges | [`config`] | what was written in file, environment and flags, typed |
//! | | [`api`] | metrics and health over HTTP; the control plane's HTTP API |
//! | | [`cli`] | the command line |
//! | root | [`app`] | puts a process together |
//! | | [`client`] | calls tasks from programs |

pub mod task;

mod defence;

pub mod clock;
pub mod confine;
pub mod shutdown;
pub mod telemetry;

pub mod policy;

pub mod celery;
pub mod plane;

pub mod amqp;
pub mod database;
pub mod remote;
pub mod resp;
pub mod sql;

pub mod broker;
pub mod bus;
pub mod results;

pub mod control;
pub mod events;
pub mod platform;
pub mod registry;
pub mod worker;

pub mod api;
pub mod cli;
pub mod config;

pub mod app;

pub use app::client;
