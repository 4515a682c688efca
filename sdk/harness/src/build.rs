//! Builds a crate's component once.
//!
//! Within a process [`Module`](crate::Module) remembers it. Under nextest, where
//! every test is a process, a stamp beside the test binaries says that this run
//! has built it already.

use crate::error::HarnessError;
use celeriac_build::{Guest, Target};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Set by nextest to one value for all tests of a run.
const RUN_ID: &str = "NEXTEST_RUN_ID";

/// Builds the crate in `folder` and returns the component's path.
pub(crate) fn component(folder: &Path, target: Target) -> Result<PathBuf, HarnessError> {
    match (std::env::var(RUN_ID), stamps()) {
        (Ok(run), Some(stamps)) => once_per_run(folder, target, &run, &stamps),
        _ => cargo(folder, target),
    }
}

fn cargo(folder: &Path, target: Target) -> Result<PathBuf, HarnessError> {
    let built = Guest::new(folder).target(target).quiet(true).build();
    Ok(built.map_err(HarnessError::Build)?.component)
}

/// The folder of stamps: `harness/` beside `deps/`, where the test binary is.
fn stamps() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?;
    Some(binary.parent()?.parent()?.join("harness"))
}

fn once_per_run(
    folder: &Path,
    target: Target,
    run: &str,
    stamps: &Path,
) -> Result<PathBuf, HarnessError> {
    fs::create_dir_all(stamps).map_err(HarnessError::file("create", stamps))?;
    let name = blake3::hash(format!("{}\0{target}", folder.display()).as_bytes()).to_hex();
    let stamp = stamps.join(name.as_str());
    let lock = stamp.with_extension("lock");
    let guard = File::create(&lock).map_err(HarnessError::file("create", &lock))?;
    // Those who come while the first one builds wait here for its stamp.
    guard.lock().map_err(HarnessError::file("lock", &lock))?;
    if let Some(component) = stamped(&stamp, run) {
        return Ok(component);
    }
    let component = cargo(folder, target)?;
    fs::write(&stamp, format!("{run}\n{}", component.display()))
        .map_err(HarnessError::file("write", &stamp))?;
    Ok(component)
}

/// Reads the component's path from a stamp of this run.
fn stamped(stamp: &Path, run: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(stamp).ok()?;
    let component = PathBuf::from(text.strip_prefix(run)?.strip_prefix('\n')?);
    component.exists().then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_counts_for_its_own_run_and_only_while_the_component_is_there() {
        let folder = std::env::temp_dir().join(format!("celeriac-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (stamp, component) = (folder.join("stamp"), folder.join("a.wasm"));
        fs::write(&component, "x").unwrap();
        fs::write(&stamp, format!("run-1\n{}", component.display())).unwrap();
        let same = stamped(&stamp, "run-1");
        let other = stamped(&stamp, "run-2");
        fs::remove_file(&component).unwrap();
        let gone = stamped(&stamp, "run-1");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((same, other, gone), (Some(component), None, None));
    }
}
