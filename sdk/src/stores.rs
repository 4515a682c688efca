//! What a task reads and keeps beside its arguments, where the operator grants it:
//! configuration values, secrets, a key-value store, scratch files.

mod key_value;
mod scratch;

pub use key_value::KeyValue;
pub use scratch::Scratch;

use std::fmt;

use crate::Context;

/// Why something is not read or kept.
///
/// As a [`TaskError`](crate::TaskError), by `?`, it is a failure of the kind `StoreError`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// The operator has not granted it; the text names the line that would, or says that the
    /// attempt's log does.
    Denied(String),
    /// There is no such scratch file.
    Missing,
    /// There is no room for it, its size or name is none, or the store is away; the text says
    /// which.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) | Self::Failed(reason) => f.write_str(reason),
            Self::Missing => f.write_str("there is no scratch file of this name"),
        }
    }
}

impl std::error::Error for StoreError {}

impl Context {
    /// Returns a configuration value of the worker's operator.
    ///
    /// ```
    /// use celeriac_sdk::prelude::*;
    ///
    /// #[task(wants = ["config:GREETING"])]
    /// fn greet(ctx: &Context, name: String) -> Result<String, TaskError> {
    ///     Ok(format!("{}, {name}", ctx.value("GREETING")?))
    /// }
    ///
    /// let ctx = Context::test().value("GREETING", "Hello").build();
    /// assert_eq!(greet(&ctx, "Ann".to_owned())?, "Hello, Ann");
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Denied`] unless `[grants.MODULE] config` lists the name.
    pub fn value(&self, name: &str) -> Result<String, StoreError> {
        self.backend.value(name)
    }

    /// Returns a secret of the worker's operator. Keep it out of results, logs and failures:
    /// nothing takes it out of them.
    ///
    /// # Errors
    /// [`StoreError::Denied`] unless `[grants.MODULE] secrets` lists the name.
    pub fn secret(&self, name: &str) -> Result<String, StoreError> {
        self.backend.secret(name)
    }

    /// Returns the key-value store of this task's module. It outlasts attempts and workers, and
    /// other modules cannot see it.
    ///
    /// ```
    /// use celeriac_sdk::prelude::*;
    ///
    /// #[task(wants = ["key-value"])]
    /// fn visit(ctx: &Context, page: String) -> Result<u64, TaskError> {
    ///     Ok(ctx.key_value().increment(&page, 1)?)
    /// }
    ///
    /// let ctx = Context::test().build();
    /// assert_eq!(visit(&ctx, "home".to_owned())?, 1);
    /// assert_eq!(visit(&ctx, "home".to_owned())?, 2);
    /// # Ok::<(), TaskError>(())
    /// ```
    ///
    /// Needs the grant `[grants.MODULE] key_value`.
    pub fn key_value(&self) -> KeyValue<'_> {
        KeyValue { ctx: self }
    }

    /// Returns the scratch files of this attempt: room beside the task's own memory, gone when
    /// the attempt ends.
    ///
    /// Needs the grant `[grants.MODULE] scratch`.
    pub fn scratch(&self) -> Scratch<'_> {
        Scratch { ctx: self }
    }
}
