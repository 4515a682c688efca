//! Runs a task in the real sandbox inside `cargo test`.
//!
//! ```no_run
//! use celeriac_harness::*;
//!
//! let run = module!().call("thumbnail", args!["photo.png", 64]);
//! assert_eq!(run.result()["width"], 64);
//! assert!(run.peak_memory() < mib(8) && run.cpu() < ms(50));
//! ```
//!
//! [`module!`] builds the crate under test for `wasm32-wasip2`, once, and takes
//! the component into the sandbox a worker uses: fresh memory for every run,
//! every limit armed. Nothing here needs a broker or a server.
//! [`Module::task`] sets the circumstances of a run (retries, limits,
//! interruptions), and [`Run`] tells how it ended. Asking a run for what it did
//! not do, such as the result of a failure, panics with an account of the run.

#![deny(missing_docs)]

mod artifact;
mod build;
mod call;
mod error;
mod host;
mod macros;
mod module;
mod report;
mod run;
mod submitted;
mod units;

pub use call::TaskCall;
pub use error::HarnessError;
pub use macros::value;
pub use module::Module;
pub use run::Run;
pub use submitted::Submitted;
pub use units::{kib, mib, ms};

pub use celeriac_build::Target;
pub use celeriac_sandbox::{
    Capability, EgressLimits, Failure, Interruption, Level, Limit, LimitHit, Limits, Line, Outcome,
    Progress, Rejection, Retry, TICK, TaskInfo, Trap, Usage, Use, Uses, When, Wish,
};
pub use serde_json::{self, Value, json};
