//! What nearly every task needs: `use celeriac_sdk::prelude::*;`.

pub use std::time::Duration;

pub use crate::{Bytes, Context, Interrupted, Interruption, Job, Level, TaskError, task};
