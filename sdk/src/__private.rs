//! What the macros' expansions name. Not part of the API: it may change with any version.

pub use crate::bind::{Bound, ParamKind, Parameter, Signature};
pub use crate::schema::{default_json, param_schema, result_schema};
pub use crate::task::{Call, Definition, Fallible, Limits, ParamType, RetryPolicy, Task, encode};
pub use serde_json;

#[cfg(target_arch = "wasm32")]
pub use crate::guest::{Component, Entry};
