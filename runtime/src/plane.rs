//! The words of the control plane's HTTP API: what is sent and answered, and the codes of
//! what goes wrong. The server, the command line and workers share them; no I/O.
//!
//! Names and codes stay: what is here once is only added to.

mod error;
mod health;
mod page;

pub use error::{Code, Failure, Fault};
pub use health::{Alive, Look, Ready};
pub use page::{PAGE, PAGE_DEFAULT};
