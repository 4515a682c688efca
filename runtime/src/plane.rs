//! The words of the control plane's HTTP API: what is sent and answered, and the codes of
//! what goes wrong. The server, the command line and workers share them; no I/O.
//!
//! Names and codes stay: what is here once is only added to.

mod error;
mod health;
mod page;
mod tasks;

pub use error::{Code, Failure, Fault};
pub use health::{Alive, Look, Ready};
pub use page::{PAGE, PAGE_DEFAULT};
pub use tasks::{
    CallLinks, CallRequest, Called, GrantUse, Raised, RevokeRequest, RunCost, TaskRecord,
    TaskRevoked, TaskStatus, WAIT_SECONDS,
};
