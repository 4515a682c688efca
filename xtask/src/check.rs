//! Everything about the code that needs no test to run: format, lints, layers,
//! documentation, licences.

use anyhow::Result;

use crate::commands::Flags;
use crate::setup;
use crate::steps::{Steps, cargo, run as run_step};

/// Runs `cargo xtask check`.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut steps = Steps::default();
    let done = all(flags, &mut steps);
    steps.report();
    done
}

/// Runs every check, the quick ones first.
fn all(flags: &Flags, steps: &mut Steps) -> Result<()> {
    uncompiled(flags, steps)?;
    // Guests take part as ordinary crates: one command, one set of features, so
    // that nothing heavy is checked twice; rustdoc then reuses what clippy left.
    steps.run("clippy", || {
        run_step(cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    steps.run("rustdoc", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        run_step(doc)
    })
}

/// Runs the checks that compile nothing of ours: format, rules, licences.
pub(crate) fn uncompiled(flags: &Flags, steps: &mut Steps) -> Result<()> {
    steps.run("fmt", || run_step(cargo(&["fmt", "--all", "--check"])))?;
    steps.run("tidy", || crate::tidy::run(flags))?;
    steps.run("deny", || {
        setup::ensure(setup::DENY)?;
        run_step(cargo(&[
            "deny",
            "--workspace",
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]))
    })
}
