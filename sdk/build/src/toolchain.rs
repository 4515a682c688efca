//! Finds a Rust toolchain that can build guests, or prepares a private one.

mod debian;
mod library;

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crate::{BuildError, Target, command};

/// Names another compiler for guests than the one that would be found.
const RUSTC_VARIABLE: &str = "CELERIAC_GUEST_RUSTC";

/// Names a compiler whose sysroot has the standard library of a guest target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    rustc: Option<PathBuf>,
    library: PathBuf,
}

impl Toolchain {
    /// Finds a compiler for the target: the one named by `CELERIAC_GUEST_RUSTC`,
    /// else the default one (or `RUSTC`), else the private one of [`install`].
    ///
    /// # Errors
    /// [`BuildError::ToolchainMissing`] where none has the target.
    pub fn find(target: Target) -> Result<Self, BuildError> {
        let missing = BuildError::ToolchainMissing { target };
        if let Some(rustc) = std::env::var_os(RUSTC_VARIABLE).filter(|rustc| !rustc.is_empty()) {
            return Self::with(PathBuf::from(rustc), target).ok_or(missing);
        }
        let default = std::env::var_os("RUSTC").map_or_else(
            || {
                Self::probe(Path::new("rustc"), target).map(|library| Self {
                    rustc: None,
                    library,
                })
            },
            |rustc| Self::with(PathBuf::from(rustc), target),
        );
        default
            .or_else(|| Self::with(private_rustc()?, target))
            .ok_or(missing)
    }

    /// Returns the compiler that Cargo must use, or `None` for its default one.
    #[must_use]
    pub fn rustc(&self) -> Option<&Path> {
        self.rustc.as_deref()
    }

    /// Describes the standard library, so that a rebuilt one is noticed.
    pub(crate) fn identity(&self) -> String {
        let modified = fs::metadata(&self.library)
            .and_then(|file| file.modified())
            .ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        format!(
            "{}\n{}\n",
            self.library.display(),
            modified.unwrap_or_default().as_nanos()
        )
    }

    fn with(rustc: PathBuf, target: Target) -> Option<Self> {
        let library = Self::probe(&rustc, target)?;
        Some(Self {
            rustc: Some(rustc),
            library,
        })
    }

    /// Asks a compiler for the target's folder and looks for std's rlib there.
    fn probe(rustc: &Path, target: Target) -> Option<PathBuf> {
        let mut ask = Command::new(rustc);
        ask.args(["--print", "target-libdir", "--target", target.triple()]);
        let folder = command::output(&mut ask).ok()?;
        standard_library(Path::new(folder.trim()))
    }
}

/// Finds `libstd-*.rlib` in a target's library folder.
fn standard_library(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|file| {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// Prepares a toolchain for both targets and returns it; does nothing where one
/// is there. `report` gets one line for each piece of work.
///
/// It uses Debian's own compiler packages, unpacked into the user's cache
/// without being installed, and never asks rustup for anything. About 140 MB
/// are downloaded, and two minutes are spent on a slow machine.
///
/// # Errors
/// [`BuildError::Unsupported`] where the machine is no Debian or lacks a
/// package, otherwise what a program that was run said.
pub fn install(report: &mut dyn FnMut(&str)) -> Result<Toolchain, BuildError> {
    if let Some(toolchain) = complete() {
        return Ok(toolchain);
    }
    let home = cache_folder().ok_or_else(|| BuildError::Unsupported {
        reason: "neither XDG_CACHE_HOME nor HOME is set".to_owned(),
    })?;
    fs::create_dir_all(&home).map_err(BuildError::io("create", &home))?;
    let _lock = lock(&home, report)?;
    if let Some(toolchain) = complete() {
        return Ok(toolchain);
    }
    let partial = home.join("partial");
    clear(&partial)?;
    fs::create_dir_all(&partial).map_err(BuildError::io("create", &partial))?;
    debian::unpack(&partial, report)?;
    library::build(&partial, report)?;
    publish(&home, &partial)?;
    report("guest toolchain ready");
    complete().ok_or(BuildError::ToolchainMissing {
        target: Target::Wasip2,
    })
}

/// Returns a toolchain that has both targets.
fn complete() -> Option<Toolchain> {
    let mut found = None;
    for target in Target::ALL {
        let toolchain = Toolchain::find(target).ok()?;
        found.get_or_insert(toolchain);
    }
    found
}

/// Moves a finished folder into place; `current` only ever names a whole one.
fn publish(home: &Path, partial: &Path) -> Result<(), BuildError> {
    let version = command::output(Command::new(partial.join("usr/bin/rustc")).arg("-V"))?;
    let version: Vec<&str> = version.split_whitespace().take(2).collect();
    let name = version.join("-");
    let folder = home.join(&name);
    clear(&folder)?;
    fs::rename(partial, &folder).map_err(BuildError::io("write", &folder))?;
    let link = home.join("current.new");
    clear(&link)?;
    symlink(&name, &link).map_err(BuildError::io("write", &link))?;
    let current = home.join("current");
    fs::rename(&link, &current).map_err(BuildError::io("write", &current))
}

/// Removes a file, link or folder, if it is there.
fn clear(path: &Path) -> Result<(), BuildError> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(BuildError::io("remove", path))
}

/// Takes the lock of the cache folder, saying so when another install holds it.
fn lock(home: &Path, report: &mut dyn FnMut(&str)) -> Result<File, BuildError> {
    let path = home.join(".lock");
    let file = File::create(&path).map_err(BuildError::io("create", &path))?;
    if file.try_lock().is_err() {
        report("waiting for another guest toolchain install");
        file.lock().map_err(BuildError::io("lock", &path))?;
    }
    Ok(file)
}

fn private_rustc() -> Option<PathBuf> {
    let rustc = cache_folder()?.join("current/usr/bin/rustc");
    rustc.exists().then_some(rustc)
}

fn cache_folder() -> Option<PathBuf> {
    place(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
}

/// Returns `celeriac/guest-toolchain` in the user's cache; a relative
/// `XDG_CACHE_HOME` does not count, as its specification says.
fn place(cache: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let cache = cache.and_then(absolute);
    let cache = cache.or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(cache.join("celeriac/guest-toolchain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("celeriac-{name}-{}", std::process::id()));
        clear(&folder).unwrap();
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_cache_is_xdgs_or_the_homes() {
        let place = |cache: Option<&str>, home: Option<&str>| {
            place(cache.map(OsString::from), home.map(OsString::from))
        };
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(
            place(Some("/c"), Some("/h")),
            at("/c/celeriac/guest-toolchain")
        );
        assert_eq!(
            place(None, Some("/h")),
            at("/h/.cache/celeriac/guest-toolchain")
        );
        assert_eq!(
            place(Some("c"), Some("/h")),
            at("/h/.cache/celeriac/guest-toolchain")
        );
        assert_eq!(place(None, None), None);
    }

    #[test]
    fn a_folder_without_the_standard_library_is_no_toolchain() {
        let folder = folder("libdir");
        fs::write(folder.join("libstd-1.rmeta"), "").unwrap();
        let before = standard_library(&folder);
        fs::write(folder.join("libstd-1.rlib"), "").unwrap();
        let after = standard_library(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((before, after), (None, Some(folder.join("libstd-1.rlib"))));
    }

    #[test]
    fn a_half_finished_install_is_never_current() {
        let home = folder("publish");
        let partial = home.join("partial");
        fs::create_dir_all(partial.join("usr/bin")).unwrap();
        let broken = publish(&home, &partial);
        let link_after_failure = home.join("current").exists();
        symlink("/bin/echo", partial.join("usr/bin/rustc")).unwrap();
        publish(&home, &partial).unwrap();
        let target = fs::read_link(home.join("current")).unwrap();
        fs::remove_dir_all(&home).unwrap();
        assert!(broken.is_err() && !link_after_failure);
        assert_eq!(target, Path::new("-V"));
    }

    #[test]
    fn a_rebuilt_standard_library_has_another_identity() {
        let folder = folder("identity");
        let library = folder.join("libstd-1.rlib");
        let toolchain = Toolchain {
            rustc: None,
            library: library.clone(),
        };
        fs::write(&library, "one").unwrap();
        let before = toolchain.identity();
        let file = File::options().write(true).open(&library).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
        let after = toolchain.identity();
        fs::remove_dir_all(&folder).unwrap();
        assert_ne!(before, after);
    }
}
