//! The registry on a real database, with real components and a real compiler
//! in a child process.

mod artifacts;
mod fixture;
mod garbage;
mod kills;
mod pointers;
mod push;
mod tenants;

pub(crate) use fixture::{House, component, component_of, component_that, name, us};
