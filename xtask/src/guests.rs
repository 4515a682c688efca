//! Builds the examples and the guests of the tests into components.

use std::path::PathBuf;

use anyhow::{Context, Result};
use celeriac_build::metadata::{Package, Workspace};
use celeriac_build::{Guest, Target, Toolchain, install};

use crate::commands::{Flags, say};
use crate::languages;

/// The folders, relative to the workspace, whose members are guests.
const FOLDERS: [&str; 2] = ["tasks", "tests/guests"];

/// Runs `cargo xtask guests`.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    toolchain()?;
    if flags.has("--toolchain") {
        Ok(())
    } else if flags.has("--languages") {
        languages::build()
    } else {
        build()
    }
}

/// Loads the workspace this tool belongs to, wherever it was called from.
pub(crate) fn workspace() -> Result<Workspace> {
    Ok(Workspace::load(&PathBuf::from(env!("CARGO_MANIFEST_DIR")))?)
}

/// Returns the members that are guests.
pub(crate) fn members(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.packages.iter().filter(|package| {
        FOLDERS
            .iter()
            .any(|folder| package.manifest.starts_with(workspace.root.join(folder)))
    })
}

/// Finds the guest toolchain, or prepares one where that needs no one's leave.
pub(crate) fn toolchain() -> Result<()> {
    let found = Target::ALL
        .iter()
        .try_for_each(|target| Toolchain::find(*target).map(drop));
    if found.is_err() {
        install(&mut |line| say(&format!("toolchain: {line}"))).context("the guest toolchain")?;
    }
    Ok(())
}

/// Builds every guest.
pub(crate) fn build() -> Result<()> {
    let workspace = workspace()?;
    for package in members(&workspace) {
        let guest = Guest::new(package.folder()).quiet(true);
        let built = guest
            .build()
            .with_context(|| format!("building {}", package.name))?;
        let size = built.bytes.div_ceil(1024);
        say(&format!(
            "{:<24} {size:>6} KiB  {:.1} s",
            package.name,
            built.elapsed.as_secs_f32()
        ));
    }
    Ok(())
}
