//! The registry on a real database, with real components and a real compiler
//! in a child process.

mod artifacts;
mod coming;
mod fixture;
mod garbage;
mod kills;
mod pointers;
mod push;
mod replica;
mod tenants;
mod versions;

pub(crate) use fixture::{House, component, component_of, component_that, name, us};
