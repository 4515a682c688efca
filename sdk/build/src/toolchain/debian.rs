//! Fetches Debian's compiler packages and unpacks them into a folder, without
//! installing them: no root, nothing outside that folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{BuildError, command};

/// The compiler that Debian keeps current for its browsers.
const COMPILER: &str = "rustc-web";
/// Its standard library; depends on one package for each version.
const LIBRARY: &str = "libstd-rust-web-dev";
/// Its source, from which std for the guest targets is built.
const SOURCE: &str = "rust-web-src";
/// The C library that std for `wasm32-wasip2` stands on.
const WASI_LIBC: &str = "wasi-libc";

/// The compiler itself lies behind a wrapper, since its libraries are not
/// where the system looks.
const WRAPPER: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$here/../lib/@MULTIARCH@${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$here/rustc.real" "$@"
"#;

/// Fills `folder` with a working compiler for the host.
pub(super) fn unpack(folder: &Path, report: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
    let packages = packages(report)?;
    let downloads = folder.join("packages");
    fs::create_dir_all(&downloads).map_err(BuildError::io("create", &downloads))?;
    report(&format!("apt-get download {}", packages.join(" ")));
    let mut apt = Command::new("apt-get");
    apt.current_dir(&downloads)
        .env("LC_ALL", "C")
        .args(["-qq", "download"])
        .args(&packages);
    command::output(&mut apt)?;
    report("unpacking the packages");
    let entries = fs::read_dir(&downloads).map_err(BuildError::io("read", &downloads))?;
    for package in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        extract(&package, folder)?;
    }
    fs::remove_dir_all(&downloads).map_err(BuildError::io("remove", &downloads))?;
    arrange(folder)
}

/// Names the packages; two of them carry a version that moves with security updates.
fn packages(report: &mut dyn FnMut(&str)) -> Result<Vec<String>, BuildError> {
    if is_root() {
        report("apt-get update");
        command::output(Command::new("apt-get").args(["-qq", "update"]))?;
    }
    let library = dependency(&depends(LIBRARY)?, "libstd-rust-web-")?;
    let llvm = dependency(&depends(&library)?, "libllvm")?;
    let linker = llvm.replacen("libllvm", "lld-", 1);
    let fixed = [COMPILER, LIBRARY, SOURCE, WASI_LIBC].map(str::to_owned);
    Ok(fixed.into_iter().chain([library, llvm, linker]).collect())
}

fn is_root() -> bool {
    command::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn depends(package: &str) -> Result<String, BuildError> {
    let mut ask = Command::new("apt-cache");
    match command::output(ask.env("LC_ALL", "C").args(["depends", package])) {
        Ok(text) if text.contains("Depends:") => Ok(text),
        Err(BuildError::NotFound { .. }) => Err(BuildError::Unsupported {
            reason: "apt-cache is missing: no Debian".to_owned(),
        }),
        Ok(_) | Err(_) => Err(BuildError::Unsupported {
            reason: format!("apt knows no package '{package}'; try `sudo apt-get update` first"),
        }),
    }
}

/// Picks the one dependency whose name starts so and goes on with a version.
fn dependency(listing: &str, prefix: &str) -> Result<String, BuildError> {
    let names = listing
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let versioned = |name: &&str| {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        rest.starts_with(|digit: char| digit.is_ascii_digit())
    };
    names
        .map(str::trim)
        .find(versioned)
        .map(str::to_owned)
        .ok_or_else(|| BuildError::Unsupported {
            reason: format!("no package '{prefix}VERSION' among the dependencies"),
        })
}

/// Unpacks one package; of the sources only the standard library's.
fn extract(package: &Path, folder: &Path) -> Result<(), BuildError> {
    let name = package
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !name.starts_with(SOURCE) {
        let mut unpack = Command::new("dpkg-deb");
        return command::output(unpack.arg("-x").arg(package).arg(folder)).map(drop);
    }
    let archive = package.with_extension("tar");
    let file = fs::File::create(&archive).map_err(BuildError::io("create", &archive))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--fsys-tarfile").arg(package).stdout(file);
    command::run(&mut unpack)?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(&archive).arg("-C").arg(folder);
    tar.args(["--wildcards", "./usr/src/rustc-*/library/*"]);
    command::output(&mut tar)?;
    fs::remove_file(&archive).map_err(BuildError::io("remove", &archive))
}

/// Puts wrapper, linker and sources where rustc and Cargo look for them.
fn arrange(folder: &Path) -> Result<(), BuildError> {
    let host = host()?;
    let rustc = folder.join("usr/bin/rustc");
    let real = folder.join("usr/bin/rustc.real");
    fs::rename(&rustc, &real).map_err(BuildError::io("write", &real))?;
    let machine = host.split('-').next().unwrap_or_default();
    let wrapper = WRAPPER.replace("@MULTIARCH@", &format!("{machine}-linux-gnu"));
    fs::write(&rustc, wrapper).map_err(BuildError::io("write", &rustc))?;
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&rustc, executable).map_err(BuildError::io("write", &rustc))?;

    let tools = folder.join("usr/lib/rustlib").join(&host).join("bin");
    fs::create_dir_all(&tools).map_err(BuildError::io("create", &tools))?;
    let llvm = only_child(&folder.join("usr/lib"), "llvm-")?;
    // A link, not a copy: lld finds its libLLVM beside itself.
    link(
        &Path::new("../../..").join(llvm).join("bin/lld"),
        &tools.join("rust-lld"),
    )?;
    let linker = tools.join("wasm-component-ld");
    let source = component_linker(&host)?;
    fs::copy(&source, &linker).map_err(BuildError::io("read", &source))?;

    let source = only_child(&folder.join("usr/src"), "rustc-")?;
    let library = folder.join("usr/lib/rustlib/src");
    fs::create_dir_all(&library).map_err(BuildError::io("create", &library))?;
    link(
        &Path::new("../../../src").join(source),
        &library.join("rust"),
    )
}

fn link(to: &Path, at: &Path) -> Result<(), BuildError> {
    symlink(to, at).map_err(BuildError::io("write", at))
}

/// Returns the host triple of the default toolchain.
fn host() -> Result<String, BuildError> {
    let text = command::output(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| BuildError::Unreadable {
            command: "rustc -vV".to_owned(),
            reason: "a line 'host: ' expected".to_owned(),
        })
}

/// Finds the linker for components, which Debian does not package, in the
/// default toolchain.
fn component_linker(host: &str) -> Result<PathBuf, BuildError> {
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let tools = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin");
    let linker = tools.join("wasm-component-ld");
    if linker.exists() {
        return Ok(linker);
    }
    Err(BuildError::Unsupported {
        reason: format!("'{}' is missing", linker.display()),
    })
}

/// Returns the name of the one folder whose name starts so.
fn only_child(folder: &Path, prefix: &str) -> Result<String, BuildError> {
    let entries = fs::read_dir(folder).map_err(BuildError::io("read", folder))?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .find(|name| name.starts_with(prefix))
        .ok_or_else(|| BuildError::Unsupported {
            reason: format!(
                "no folder '{}/{prefix}VERSION' in the packages",
                folder.display()
            ),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_package_is_read_from_what_depends_on_it() {
        let listing = "libstd-rust-web-dev\n  Depends: libc6\n  Depends: libstd-rust-web-1.96\n  \
            Conflicts: <libstd-rust-mozilla-dev>\n";
        assert_eq!(
            dependency(listing, "libstd-rust-web-").unwrap(),
            "libstd-rust-web-1.96"
        );
        let listing = "x\n  Depends: libllvm-dev\n  Depends: libllvm22\n";
        assert_eq!(dependency(listing, "libllvm").unwrap(), "libllvm22");
    }

    #[test]
    fn a_missing_dependency_is_named() {
        let error = dependency("x\n  Depends: libc6\n", "libllvm")
            .unwrap_err()
            .to_string();
        assert!(error.contains("'libllvmVERSION'"), "{error}");
    }
}
