//! Compiles a component, or finds what an earlier test compiled.
//!
//! Compiling takes longer than most tests, and nextest gives every test a
//! process of its own, so the machine code is kept beside the component, named
//! by what it was made from. The folder is the developer's own target folder:
//! a worker, which cannot trust its folders, uses the registry's sealed cache.

use crate::error::HarnessError;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const EXTENSION: &str = "cwasm";

/// Returns machine code for the component in `path`.
pub(crate) fn artifact(path: &Path, component: &[u8]) -> Result<Vec<u8>, HarnessError> {
    let cached = cached(path, component);
    if let Ok(artifact) = fs::read(&cached) {
        return Ok(artifact);
    }
    let artifact = compile(component)?;
    // Without the cache the next test compiles again; nothing else is lost.
    drop(keep(&cached, path, &artifact));
    Ok(artifact)
}

/// Checks and compiles a component without keeping anything.
pub(crate) fn compile(component: &[u8]) -> Result<Vec<u8>, HarnessError> {
    celeriac_sandbox::inspect(component).map_err(HarnessError::Refused)?;
    celeriac_sandbox::compile(component).map_err(HarnessError::Refused)
}

/// Names the artifact by the component's bytes and the engine's compatibility.
fn cached(path: &Path, component: &[u8]) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(celeriac_sandbox::compatibility().as_bytes())
        .update(&[0])
        .update(component);
    let hash = hasher.finalize().to_hex();
    path.with_file_name(format!("{}{hash}.{EXTENSION}", prefix(path)))
}

fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}-")
}

/// Writes the artifact aside, renames it, and removes those of older builds.
fn keep(cached: &Path, path: &Path, artifact: &[u8]) -> std::io::Result<()> {
    static WRITES: AtomicU32 = AtomicU32::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let aside = cached.with_extension(format!("{}-{number}", std::process::id()));
    fs::write(&aside, artifact)?;
    fs::rename(&aside, cached)?;
    let prefix = prefix(path);
    for entry in fs::read_dir(cached.parent().unwrap_or(Path::new(".")))? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.starts_with(&prefix) && name.ends_with(EXTENSION);
        if ours && file != cached {
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_by_what_it_was_made_from() {
        let path = Path::new("/t/components/text.wasm");
        let one = cached(path, b"one");
        assert_ne!(one, cached(path, b"two"));
        assert_eq!(one, cached(path, b"one"));
        assert!(one.starts_with("/t/components/"), "{one:?}");
    }

    #[test]
    fn keeping_an_artifact_removes_those_of_older_builds_only() {
        let folder = std::env::temp_dir().join(format!("celeriac-artifact-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("text.wasm");
        let (old, new) = (cached(&path, b"old"), cached(&path, b"new"));
        let other = cached(&folder.join("text.unknown.wasm"), b"other");
        for file in [&path, &other] {
            fs::write(file, "x").unwrap();
        }
        keep(&old, &path, b"1").unwrap();
        keep(&new, &path, b"2").unwrap();
        let left = [path.exists(), other.exists(), old.exists(), new.exists()];
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(left, [true, true, false, true]);
    }
}
