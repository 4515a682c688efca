//! Lines for the log of an attempt, which is kept with its result.

use std::fmt::Display;

use crate::Context;

/// Says how much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every small step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// Something is odd, and the task went on.
    Warn,
    /// Something went wrong.
    Error,
}

impl From<Level> for crate::bindings::celeriac::task::log::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// A line in the making: fields first, then the level and the text.
///
/// ```
/// # let ctx = celeriac_sdk::Context::test().build();
/// ctx.with("width", &640).with("height", &480).info("decoded");
/// ```
///
/// Nothing is formatted when the worker does not keep lines of the level.
#[must_use = "a line is written by `info`, `warn` or one of the other levels"]
pub struct Line<'a> {
    ctx: &'a Context,
    fields: Vec<(&'a str, &'a dyn Display)>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(ctx: &'a Context) -> Self {
        Self {
            ctx,
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    pub fn with(mut self, name: &'a str, value: &'a dyn Display) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Writes the line at level trace.
    pub fn trace(self, message: impl Display) {
        self.ctx.log(Level::Trace, message, &self.fields);
    }

    /// Writes the line at level debug.
    pub fn debug(self, message: impl Display) {
        self.ctx.log(Level::Debug, message, &self.fields);
    }

    /// Writes the line at level info.
    pub fn info(self, message: impl Display) {
        self.ctx.log(Level::Info, message, &self.fields);
    }

    /// Writes the line at level warn.
    pub fn warn(self, message: impl Display) {
        self.ctx.log(Level::Warn, message, &self.fields);
    }

    /// Writes the line at level error.
    pub fn error(self, message: impl Display) {
        self.ctx.log(Level::Error, message, &self.fields);
    }
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(
                self.fields
                    .iter()
                    .map(|(name, value)| (name, value.to_string())),
            )
            .finish()
    }
}
