//! Builds task crates into components: finds (or prepares) a Rust toolchain
//! that has the WebAssembly targets and drives Cargo with it.
//!
//! `celeriac build`, the test harness and `cargo xtask guests` share this crate.
//! It knows Cargo, rustc and Debian's packages; it knows nothing of the runtime
//! or of Wasmtime, and depends on next to nothing so that `xtask` starts fast.

mod command;
mod error;
mod guest;
pub mod json;
pub mod metadata;
mod target;
mod toolchain;

#[cfg(feature = "encode")]
mod encode;

pub use error::BuildError;
pub use guest::{Built, DEFAULT_STACK_BYTES, Guest};
pub use target::{Target, UnknownTarget};
pub use toolchain::{Toolchain, install};
