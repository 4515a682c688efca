//! Programs the other commands need, installed through Cargo where missing.

use anyhow::{Context, Result};

use crate::commands::say;
use crate::steps::{cargo, run};

/// A Cargo subcommand and the release that is known to work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    subcommand: &'static str,
    release: &'static str,
}

/// Runs the tests.
pub(crate) const NEXTEST: Tool = Tool {
    subcommand: "nextest",
    release: "cargo-nextest@0.9.151",
};

/// Checks licences, bans and sources.
pub(crate) const DENY: Tool = Tool {
    subcommand: "deny",
    release: "cargo-deny@0.20.2",
};

/// Makes a tool available, printing the command where it has to be installed;
/// any release that is there is used.
pub(crate) fn ensure(tool: Tool) -> Result<()> {
    let there = cargo(&[tool.subcommand, "--version"]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    say(&format!("cargo install --locked --debug {}", tool.release));
    let mut install = cargo(&["install", "--locked", "--debug", tool.release]);
    // Optimising takes minutes, and what a tool itself computes takes seconds.
    install.env("CARGO_PROFILE_DEV_DEBUG", "none");
    run(install).with_context(|| {
        format!(
            "cargo-{} is missing and cannot be installed here",
            tool.subcommand
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_pinned_to_one_release() {
        for tool in [NEXTEST, DENY] {
            let (name, version) = tool.release.split_once('@').unwrap();
            assert_eq!(name, format!("cargo-{}", tool.subcommand));
            assert_eq!(
                version
                    .split('.')
                    .filter(|part| part.parse::<u32>().is_ok())
                    .count(),
                3
            );
        }
    }

    #[test]
    fn a_tool_that_is_there_is_not_installed_again() {
        let fmt = Tool {
            subcommand: "fmt",
            release: "cargo-no-such-crate@0.0.0",
        };
        assert!(ensure(fmt).is_ok());
    }
}
