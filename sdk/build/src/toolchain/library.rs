//! Builds the standard library for the guest targets, once for each toolchain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{BuildError, Target, command};

/// What Debian's wasi-libc lacks, as the source of one object file.
const STUBS: &str = include_str!("stubs.rs");

/// A crate that uses the parts of std most likely to lack a symbol.
const PROBE: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn probe() -> usize {
    println!("{:?}", std::time::Instant::now());
    drop(std::net::TcpStream::connect("localhost:1"));
    drop(std::net::UdpSocket::bind("localhost:1"));
    std::collections::HashMap::from([(1, 2)]).len()
}
"#;

/// Adds std for every target to the sysroot `folder/usr` and proves it links.
pub(super) fn build(folder: &Path, report: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
    let rustc = folder.join("usr/bin/rustc");
    report("building the standard library (about 90 s of CPU)");
    let work = folder.join("std");
    compile(&work, &rustc)?;
    for target in Target::ALL {
        collect(&work, &sysroot(folder, target), target)?;
    }
    report("adding wasi-libc");
    wasi_libc(folder, &work, &rustc)?;
    for target in Target::ALL {
        report(&format!("probing {target}"));
        probe(&work, &rustc, target)?;
    }
    fs::remove_dir_all(&work).map_err(BuildError::io("remove", &work))?;
    let source = folder.join("usr/src");
    fs::remove_dir_all(&source).map_err(BuildError::io("remove", &source))
}

fn sysroot(folder: &Path, target: Target) -> PathBuf {
    folder
        .join("usr/lib/rustlib")
        .join(target.triple())
        .join("lib")
}

/// Lets Cargo build std as the dependency of an empty crate.
fn compile(work: &Path, rustc: &Path) -> Result<(), BuildError> {
    let source = work.join("src");
    fs::create_dir_all(&source).map_err(BuildError::io("create", &source))?;
    let manifest =
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    for (file, text) in [
        (work.join("Cargo.toml"), manifest),
        (source.join("lib.rs"), "#![no_std]\n"),
    ] {
        fs::write(&file, text).map_err(BuildError::io("write", &file))?;
    }
    let mut cargo = command::cargo();
    cargo.current_dir(work).env("RUSTC", rustc);
    // The only way to std for a target that has none is a flag of unstable Cargo.
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    cargo.args([
        "build",
        "--release",
        "-Zbuild-std=std,panic_abort",
        "--target-dir",
    ]);
    cargo.arg(work.join("target"));
    for target in Target::ALL {
        cargo.args(["--target", target.triple()]);
    }
    command::stream(&mut cargo, true, |_| ())
}

/// Copies std and what it is made of into a sysroot.
fn collect(work: &Path, sysroot: &Path, target: Target) -> Result<(), BuildError> {
    fs::create_dir_all(sysroot).map_err(BuildError::io("create", sysroot))?;
    let built = work
        .join("target")
        .join(target.triple())
        .join("release/deps");
    let entries = fs::read_dir(&built).map_err(BuildError::io("read", &built))?;
    for file in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            let copy = sysroot.join(name);
            fs::copy(&file, &copy).map_err(BuildError::io("write", &copy))?;
        }
    }
    Ok(())
}

/// Puts Debian's C library beside std for wasip2, with the stubs at its end.
fn wasi_libc(folder: &Path, work: &Path, rustc: &Path) -> Result<(), BuildError> {
    let contained = sysroot(folder, Target::Wasip2).join("self-contained");
    fs::create_dir_all(&contained).map_err(BuildError::io("create", &contained))?;
    let libc = folder.join("usr/lib/wasm32-wasi");
    for name in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
        let (from, to) = (libc.join(name), contained.join(name));
        fs::copy(&from, &to).map_err(BuildError::io("read", &from))?;
    }
    let (source, object) = (work.join("stubs.rs"), work.join("stubs.o"));
    fs::write(&source, STUBS).map_err(BuildError::io("write", &source))?;
    let mut compile = Command::new(rustc);
    compile
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["--target", Target::Wasip2.triple()]);
    compile.args([
        "--edition",
        "2024",
        "--crate-type",
        "lib",
        "--emit",
        "obj",
        "-O",
        "-Cpanic=abort",
    ]);
    command::output(compile.arg("-o").arg(&object).arg(&source))?;
    // Without an index (S): binutils cannot read this object, the linker needs none.
    command::output(
        Command::new("ar")
            .arg("qS")
            .arg(contained.join("libc.a"))
            .arg(&object),
    )
    .map(drop)
}

fn probe(work: &Path, rustc: &Path, target: Target) -> Result<(), BuildError> {
    let source = work.join("probe.rs");
    fs::write(&source, PROBE).map_err(BuildError::io("write", &source))?;
    let mut compile = Command::new(rustc);
    compile.args([
        "--target",
        target.triple(),
        "--edition",
        "2024",
        "--crate-type",
        "cdylib",
        "-O",
    ]);
    command::output(compile.arg("-o").arg(work.join("probe.wasm")).arg(&source)).map(drop)
}
