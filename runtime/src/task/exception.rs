//! What a failed task failed with, as a Python caller will see it.

use serde::{Deserialize, Serialize};

/// An exception: a class, and one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Class name, such as `ValueError`.
    pub class: String,
    /// Module of the class, such as `builtins`.
    pub module: String,
    /// The one text.
    pub message: String,
    /// A trace for people.
    pub trace: Option<String>,
}

impl Exception {
    /// Makes an exception without a trace.
    #[must_use]
    pub fn new(module: &str, class: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            module: module.to_owned(),
            message: message.into(),
            trace: None,
        }
    }
}
