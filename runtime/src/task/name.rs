//! Names of tasks and modules.

use std::fmt;
use std::str::FromStr;

/// Longest module name, bytes.
const MODULE_NAME_BYTES: usize = 128;

/// A module's name: dot-separated parts of letters, digits, `_` and `-`, each
/// beginning with a letter or `_`, at most 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(String);

/// A text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A module name of a wrong form.
    #[error(
        "{0:?} is not a module name; use letters, digits, _ and -, parts joined by dots, at most {MODULE_NAME_BYTES} bytes"
    )]
    Module(String),
    /// A task name without a module.
    #[error("{0:?} is not a task name of ours; it must be MODULE.TASK")]
    Task(String),
}

impl ModuleName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModuleName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let part_is_good = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        if text.len() <= MODULE_NAME_BYTES && text.split('.').all(part_is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Module(
                text.chars().take(MODULE_NAME_BYTES).collect(),
            ))
        }
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full name of a task of ours: `MODULE.TASK`, split at the last dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskName {
    /// The module.
    pub module: ModuleName,
    /// The task within it: `[A-Za-z_][A-Za-z0-9_]*`.
    pub task: String,
}

impl FromStr for TaskName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Task(text.chars().take(2 * MODULE_NAME_BYTES).collect());
        let (module, task) = text.rsplit_once('.').ok_or_else(wrong)?;
        let good = task.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && task.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return Err(wrong());
        }
        Ok(Self {
            module: module.parse().map_err(|_| wrong())?,
            task: task.to_owned(),
        })
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dot_splits_module_and_task() {
        let name: TaskName = "shop.images-2.thumbnail".parse().unwrap();
        assert_eq!(name.module.as_str(), "shop.images-2");
        assert_eq!(name.task, "thumbnail");
        assert_eq!(name.to_string(), "shop.images-2.thumbnail");
    }

    #[test]
    fn a_name_of_another_form_is_refused() {
        for bad in [
            "thumbnail",
            ".t",
            "m.",
            "m..t",
            "m.1t",
            "m.a-b",
            "m/x.t",
            "../x.t",
            "m.t\n",
        ] {
            assert!(bad.parse::<TaskName>().is_err(), "{bad:?}");
        }
        let long = "x".repeat(MODULE_NAME_BYTES + 1);
        assert!(long.parse::<ModuleName>().is_err());
    }
}
