//! Pure decisions. Everything they need is passed in; they have no clock, no
//! randomness, and wait for nothing.

pub mod access;
pub mod admission;
pub mod arguments;
pub mod bound;
pub mod budget;
pub mod canary;
pub mod canvas;
pub mod compat;
pub mod exception;
pub mod fair;
pub mod grants;
pub mod hold;
pub mod limits;
pub mod quota;
pub mod rate;
pub mod retry;
pub mod route;
pub mod verdict;
