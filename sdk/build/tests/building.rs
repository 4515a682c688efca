//! Builds a crate with the real guest toolchain; without one these tests fail
//! and say how to get it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use celeriac_build::{BuildError, Guest, Target};

/// What every component starts with: magic number, version 13, layer 1.
#[cfg(feature = "encode")]
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

const MANIFEST: &str =
    "[package]\nname = \"tiny-task\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";

/// A crate in a folder of its own, removed with the value.
struct Crate(PathBuf);

impl Crate {
    fn new(name: &str, code: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("celeriac-build-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), MANIFEST).unwrap();
        fs::write(folder.join("src/lib.rs"), code).unwrap();
        Self(folder)
    }

    fn guest(&self) -> Guest {
        Guest::new(&self.0).quiet(true)
    }
}

impl Drop for Crate {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(feature = "encode")]
#[test]
fn a_crate_becomes_a_component_for_both_targets() {
    let code = "#[unsafe(no_mangle)]\npub extern \"C\" fn answer() -> u32 { 42 }\n";
    let tiny = Crate::new("both", code);
    for (target, file) in [
        (Target::Wasip2, "tiny-task.wasm"),
        (Target::Unknown, "tiny-task.unknown.wasm"),
    ] {
        let built = tiny.guest().target(target).build().unwrap();
        assert_eq!(
            built.component,
            tiny.0.join("target/guests/components").join(file)
        );
        let component = fs::read(&built.component).unwrap();
        assert!(
            component.starts_with(COMPONENT),
            "{target}: {:?}",
            component.get(..8)
        );
        assert_eq!(built.bytes, component.len() as u64);
    }
}

#[test]
fn a_crate_that_needs_what_wasi_libc_lacks_still_links() {
    let code = "#[unsafe(no_mangle)]\npub extern \"C\" fn reach() -> bool {\n\
        std::net::TcpStream::connect(\"localhost:1\").is_ok()\n\
        && std::thread::spawn(|| ()).join().is_ok() && std::fs::canonicalize(\"/\").is_ok()\n}\n";
    let built = Crate::new("net", code).guest().build().unwrap();
    assert!(built.bytes > 0);
}

#[test]
fn a_crate_that_does_not_compile_shows_what_the_compiler_said() {
    let tiny = Crate::new("broken", "pub fn broken() -> u32 { \"no number\" }\n");
    let error = tiny.guest().build().unwrap_err();
    assert!(matches!(error, BuildError::Failed { .. }), "{error}");
    assert!(
        error.to_string().contains("error[E0308]: mismatched types"),
        "{error}"
    );
}

#[test]
fn the_target_folder_can_be_chosen() {
    let tiny = Crate::new("folder", "");
    let built = tiny
        .guest()
        .target_dir(tiny.0.join("elsewhere"))
        .build()
        .unwrap();
    assert!(built.component.starts_with(tiny.0.join("elsewhere")));
    assert!(!tiny.0.join("target").exists());
}

#[test]
fn a_folder_without_a_crate_is_an_error_of_cargo() {
    let error = Guest::new(Path::new("/")).build().unwrap_err().to_string();
    assert!(
        error.contains("cargo metadata") && error.contains("Cargo.toml"),
        "{error}"
    );
}
