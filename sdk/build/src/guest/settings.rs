//! What a guest is compiled with: Cargo's profile and the size of its stack.

use std::fs;
use std::path::Path;

use crate::BuildError;
use crate::metadata::Package;

/// The stack of a guest, in bytes, where its `Cargo.toml` says nothing.
///
/// rustc's own default of 1 MiB makes every fresh instance pay for 17 pages;
/// with 64 KiB a small task's memory is a few pages and never grows.
pub const DEFAULT_STACK_BYTES: u32 = 64 * 1024;

/// Smallest stack that can be asked for, in bytes: below it the bindings overflow.
const MIN_STACK_BYTES: u32 = 16 * 1024;

/// Largest stack that can be asked for, in bytes: an eighth of the default
/// memory limit of an attempt.
const MAX_STACK_BYTES: u32 = 8 * 1024 * 1024;

/// Cargo's profile for guests; a workspace that has its own `[profile.guest]`
/// is built with that instead.
pub(super) const PROFILE: &str = "guest";

/// The profile that is passed on the command line, so that a task's
/// `Cargo.toml` needs none. CPU time is what a task is limited by, so it is built
/// for speed (a quarter larger than for size); link-time optimisation would save
/// 5 % of the size and triple the time of a rebuild. Function names stay, for
/// the backtrace of a trap.
const PROFILE_SETTINGS: [(&str, &str); 6] = [
    ("inherits", "\"release\""),
    ("opt-level", "3"),
    ("codegen-units", "1"),
    ("lto", "false"),
    ("debug", "false"),
    ("strip", "\"debuginfo\""),
];

/// Returns the settings for `--config`; none where the workspace has its own profile.
pub(super) fn profile_settings(root_manifest: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(root_manifest).unwrap_or_default();
    if manifest
        .lines()
        .any(|line| line.trim_start().starts_with("[profile.guest]"))
    {
        return Vec::new();
    }
    let setting = |(key, value): &(&str, &str)| format!("profile.{PROFILE}.{key}={value}");
    PROFILE_SETTINGS.iter().map(setting).collect()
}

/// Reads `[package.metadata.celeriac] stack`.
pub(super) fn stack_bytes(package: &Package) -> Result<u32, BuildError> {
    let Some(text) = &package.stack else {
        return Ok(DEFAULT_STACK_BYTES);
    };
    let parse = |text: &str, unit: u32| text.trim().parse::<u32>().ok()?.checked_mul(unit);
    let bytes = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(number), _) => parse(number, 1024),
        (_, Some(number)) => parse(number, 1024 * 1024),
        _ => None,
    };
    let bytes = bytes.filter(|bytes| (MIN_STACK_BYTES..=MAX_STACK_BYTES).contains(bytes));
    bytes.ok_or_else(|| BuildError::NotATask {
        manifest: package.manifest.clone(),
        reason: format!(
            "[package.metadata.celeriac] stack is '{text}'; write a size from \"16KiB\" to \"8MiB\""
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package(stack: Option<&str>) -> Package {
        Package {
            name: "a".to_owned(),
            manifest: PathBuf::from("/w/a/Cargo.toml"),
            library: None,
            dependencies: Vec::new(),
            stack: stack.map(str::to_owned),
        }
    }

    #[test]
    fn a_stack_is_read_within_its_bounds() {
        assert_eq!(stack_bytes(&package(None)).unwrap(), DEFAULT_STACK_BYTES);
        assert_eq!(
            stack_bytes(&package(Some("16KiB"))).unwrap(),
            MIN_STACK_BYTES
        );
        assert_eq!(
            stack_bytes(&package(Some("8 MiB"))).unwrap(),
            MAX_STACK_BYTES
        );
        for wrong in ["15KiB", "9MiB", "65536", "64 KB", "-1MiB", "5000MiB"] {
            let error = stack_bytes(&package(Some(wrong))).unwrap_err().to_string();
            assert!(
                error.contains(&format!("'{wrong}'")) && error.contains("8MiB"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_profile_of_the_workspace_wins_over_ours() {
        let folder = std::env::temp_dir().join(format!("celeriac-profile-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let manifest = folder.join("Cargo.toml");
        fs::write(&manifest, "[profile.guest]\ninherits = \"release\"\n").unwrap();
        let own = profile_settings(&manifest);
        fs::write(&manifest, "[package]\n").unwrap();
        let ours = profile_settings(&manifest);
        fs::remove_dir_all(&folder).unwrap();
        assert!(own.is_empty() && ours.len() == PROFILE_SETTINGS.len());
        assert!(ours.contains(&"profile.guest.inherits=\"release\"".to_owned()));
    }
}
