//! The target folder that guests share: one build at a time, one standard library.

use std::fs::{self, File};
use std::path::Path;

use crate::{BuildError, Target, Toolchain};

/// Takes the lock of a target folder, so that two builds do not clear it at once.
pub(super) fn lock(target_dir: &Path) -> Result<File, BuildError> {
    fs::create_dir_all(target_dir).map_err(BuildError::io("create", target_dir))?;
    let path = target_dir.join(".celeriac-lock");
    let file = File::create(&path).map_err(BuildError::io("create", &path))?;
    file.lock().map_err(BuildError::io("lock", &path))?;
    Ok(file)
}

/// Clears a target's folder when another standard library filled it: Cargo does
/// not see that std was rebuilt and would fail with E0463.
pub(super) fn forget_other_toolchains(
    target_dir: &Path,
    target: Target,
    toolchain: &Toolchain,
) -> Result<(), BuildError> {
    let stamp = target_dir.join(format!(".celeriac-{target}"));
    let identity = toolchain.identity();
    if fs::read_to_string(&stamp).is_ok_and(|known| known == identity) {
        return Ok(());
    }
    let folder = target_dir.join(target.triple());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(BuildError::io("remove", &folder))?;
    }
    fs::write(&stamp, identity).map_err(BuildError::io("write", &stamp))
}
