//! What can go wrong between a task crate and its component.

use std::io;
use std::path::{Path, PathBuf};

use crate::Target;

/// Reports why a component could not be built, by what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No toolchain on this machine can compile for the target: install one.
    #[error(
        "no Rust toolchain here can build for {target}: run `rustup target add {target}`, \
         or on Debian without rustup downloads `celeriac build --toolchain`"
    )]
    ToolchainMissing {
        /// The target that was asked for.
        target: Target,
    },

    /// The Debian fallback cannot work on this machine: install by hand.
    #[error(
        "cannot prepare a guest toolchain here: {reason}; run `rustup target add wasm32-wasip2` where rustup may download"
    )]
    Unsupported {
        /// What is missing, in a few words.
        reason: String,
    },

    /// A program could not be started: install it or mend PATH.
    #[error("cannot start '{program}': is it installed and in PATH?")]
    NotFound {
        /// The program's name or path.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// A program ended with an error: read its last words.
    #[error("`{command}` ended with {status}{}{tail}", if tail.is_empty() { "" } else { ":\n" })]
    Failed {
        /// The command line, shortened.
        command: String,
        /// The exit status in words.
        status: String,
        /// The end of what it printed, at most 16 KiB.
        tail: String,
    },

    /// The folder is no task crate: correct the path or its `Cargo.toml`.
    #[error("'{}' is not a task crate: {reason}", manifest.display())]
    NotATask {
        /// The `Cargo.toml` that was looked at.
        manifest: PathBuf,
        /// What is missing and how to add it.
        reason: String,
    },

    /// A program printed something this crate does not understand.
    #[error("`{command}` printed something unexpected: {reason}")]
    Unreadable {
        /// The command whose output it was.
        command: String,
        /// What was expected.
        reason: String,
    },

    /// The module does not form a component: the contract is not met.
    #[error("'{}' does not form a component: {reason}", module.display())]
    Encode {
        /// The core module.
        module: PathBuf,
        /// The encoder's chain of reasons, outermost first.
        reason: String,
    },

    /// A file or folder could not be read or written.
    #[error("cannot {action} '{}'", path.display())]
    Io {
        /// The verb: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BuildError {
    /// Returns a closure that wraps an I/O error with what was being done.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_toolchain_says_how_to_get_one() {
        let text = BuildError::ToolchainMissing {
            target: Target::Wasip2,
        }
        .to_string();
        assert!(text.contains("rustup target add wasm32-wasip2"), "{text}");
        assert!(text.contains("celeriac build --toolchain"), "{text}");
    }

    #[test]
    fn a_failed_command_shows_its_last_words() {
        let error = BuildError::Failed {
            command: "cargo rustc".into(),
            status: "exit code 101".into(),
            tail: "error[E0425]".into(),
        };
        assert_eq!(
            error.to_string(),
            "`cargo rustc` ended with exit code 101:\nerror[E0425]"
        );
    }
}
