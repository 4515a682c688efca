//! Builds one task component in each language whose tools make one, so that tests
//! can show that the bounds of an upload and of a run do not refuse honest guests.
//!
//! The tools for JavaScript and Python are installed under the target folder, one release
//! each; the compiler for C comes from Debian, and a program of ours makes its bindings. A
//! component is built again when its source, the contract or the tool changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::commands::say;
use crate::debian::{self, Need, VENV, answers};
use crate::guests::workspace;
use crate::steps::{cargo, run};
use crate::support;

/// Bindings for C out of the contract: a library, of the release in `Cargo.lock`.
const WIT_BINDGEN: &str = "wit-bindgen-c@0.60.0";
/// QuickJS and the tool that puts it and a script into a component.
const COMPONENTIZE_QJS: &str = "componentize-qjs@0.4.5";
/// CPython and the tool that puts it and a module into a component.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";

/// What the tools are made of and run on.
pub(crate) const NEEDS: [Need; 3] = [
    // A compiler for C with WebAssembly, its linker, its run-time library, and a libc.
    Need {
        packages: "clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc",
        is_there: || {
            answers("clang-19", "--version") && Path::new("/usr/lib/wasm32-wasi/libc.a").exists()
        },
    },
    Need {
        packages: "nodejs npm",
        is_there: || answers("npm", "--version"),
    },
    VENV,
];

/// One language: the name of its component, its source, its tool, and how it is built.
struct Language {
    name: &'static str,
    source: &'static str,
    tool: &'static str,
    build: fn(&Place) -> Result<()>,
}

const C: Language = Language {
    name: "c",
    source: "tests/guests/c/app.c",
    tool: WIT_BINDGEN,
    build: c,
};

/// Those whose tools are installed.
const SCRIPTS: [Language; 2] = [
    Language {
        name: "javascript",
        source: "tests/guests/javascript/app.js",
        tool: COMPONENTIZE_QJS,
        build: javascript,
    },
    Language {
        name: "python",
        source: "tests/guests/python/app.py",
        tool: COMPONENTIZE_PY,
        build: python,
    },
];

/// Where one component is built from, with what, and to where.
struct Place {
    root: PathBuf,
    /// The tool's own folder.
    tools: PathBuf,
    source: PathBuf,
    component: PathBuf,
}

impl Place {
    fn of(language: &Language, root: &Path, target: &Path) -> Self {
        Self {
            root: root.to_owned(),
            tools: target.join("languages").join(language.name),
            source: root.join(language.source),
            component: target
                .join("guests/components")
                .join(format!("{}.wasm", language.name)),
        }
    }

    fn wit(&self) -> PathBuf {
        self.root.join("wit")
    }

    /// Everything the component is made of, as one text.
    fn ingredients(&self, tool: &str) -> Result<String> {
        let mut files = vec![self.source.clone()];
        for entry in fs::read_dir(self.wit()).context("the contract")? {
            let path = entry?.path();
            files.extend(path.is_file().then_some(path));
        }
        files.sort();
        let mut text = format!("{tool}\n");
        for file in files {
            text += &fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        }
        Ok(text)
    }
}

/// Builds all of them, and nothing of the tests.
pub(crate) fn build() -> Result<()> {
    build_scripts()?;
    let program = ["--package", "support", "--bin", support::BINDINGS];
    run(with(cargo(&["build"]), &program))?;
    build_c()
}

/// Builds the components of languages whose tools are installed.
pub(crate) fn build_scripts() -> Result<()> {
    debian::ensure(&NEEDS)?;
    SCRIPTS.iter().try_for_each(component)
}

/// Builds the component in C, once [`support::build`] made the program for its bindings.
pub(crate) fn build_c() -> Result<()> {
    debian::ensure(&NEEDS)?;
    component(&C)
}

/// Builds a component that is not there yet.
fn component(language: &Language) -> Result<()> {
    let workspace = workspace()?;
    fs::create_dir_all(workspace.target_directory.join("guests/components"))?;
    let place = Place::of(language, &workspace.root, &workspace.target_directory);
    let made = place.tools.join("made-of.txt");
    let ingredients = place.ingredients(language.tool)?;
    let known = fs::read_to_string(&made).is_ok_and(|made| made == ingredients);
    if known && place.component.exists() {
        return Ok(());
    }
    let start = Instant::now();
    fs::create_dir_all(&place.tools)?;
    (language.build)(&place).with_context(|| format!("building {}", language.name))?;
    fs::write(&made, ingredients)?;
    say(&format!(
        "{:<24} {:>6} KiB  {:.1} s",
        language.name,
        fs::metadata(&place.component)?.len().div_ceil(1024),
        start.elapsed().as_secs_f32()
    ));
    Ok(())
}

fn c(place: &Place) -> Result<()> {
    let bindings = place.tools.join("bindings");
    let generate = Command::new(support::program(support::BINDINGS));
    run(with(generate, &[&place.wit(), &bindings]))?;
    let mut compile = Command::new("clang-19");
    compile.args([
        "--target=wasm32-wasi",
        "-mexec-model=reactor",
        "-O2",
        "-Wall",
    ]);
    compile.arg(format!("-fuse-ld={}", component_linker()?.display()));
    compile.arg("-I").arg(&bindings);
    let parts = ["task.c", "task_component_type.o"].map(|name| bindings.join(name));
    compile.arg(&place.source).args(parts);
    run(with(compile, &[Path::new("-o"), &place.component]))
}

/// The linker of Rust's own toolchain that turns a core module into a component.
fn component_linker() -> Result<PathBuf> {
    let mut ask = Command::new("rustc");
    let output = ask.args(["--print", "target-libdir"]).output()?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let linker = libraries.with_file_name("bin").join("wasm-component-ld");
    ensure!(linker.exists(), "{} is missing", linker.display());
    Ok(linker)
}

fn javascript(place: &Place) -> Result<()> {
    let mut install = Command::new("npm");
    install.args([
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ]);
    install.arg("--prefix").arg(&place.tools);
    run(with(install, &[COMPONENTIZE_QJS]))?;
    // `--sync`: the host has no asynchronous components.
    // By its file: Debian's Node does not see that the program of that name is a module.
    let program = "node_modules/componentize-qjs/cli.mjs";
    let mut build = Command::new("node");
    build
        .arg(place.tools.join(program))
        .args(["--sync", "--world", "task", "--wit"])
        .arg(place.wit());
    build.arg("--js").arg(&place.source);
    run(with(build, &[Path::new("--output"), &place.component]))
}

fn python(place: &Place) -> Result<()> {
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&place.tools);
    run(make)?;
    let mut fill = Command::new(place.tools.join("bin/python"));
    fill.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
    run(with(
        fill,
        &["--disable-pip-version-check", COMPONENTIZE_PY],
    ))?;
    // The interpreter keeps what it compiled beside the source.
    let folder = place.tools.join("source");
    fs::create_dir_all(&folder)?;
    fs::copy(&place.source, folder.join("app.py"))?;
    let mut build = Command::new(place.tools.join("bin/componentize-py"));
    build
        .args(["--quiet", "--world", "task", "--wit-path"])
        .arg(place.wit());
    build
        .args(["componentize", "app", "--python-path"])
        .arg(folder);
    run(with(build, &[Path::new("--output"), &place.component]))
}

fn with<T: AsRef<std::ffi::OsStr>>(mut command: Command, arguments: &[T]) -> Command {
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_pinned_to_one_release() {
        for language in SCRIPTS.iter().chain([&C]) {
            let version = language.tool.rsplit(['@', '=']).next().unwrap();
            let numbers = version
                .split('.')
                .filter(|part| part.parse::<u32>().is_ok());
            assert_eq!(numbers.count(), 3, "{}", language.tool);
        }
    }

    #[test]
    fn the_bindings_for_c_are_made_by_the_named_release() {
        let (name, version) = WIT_BINDGEN.split_once('@').unwrap();
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(include_str!("../../Cargo.lock").contains(&locked));
    }

    #[test]
    fn a_component_is_made_of_its_source_the_contract_and_its_tool() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for language in SCRIPTS.iter().chain([&C]) {
            let place = Place::of(language, &root, Path::new("/t"));
            let text = place.ingredients(language.tool).unwrap();
            let source = fs::read_to_string(&place.source).unwrap();
            assert!(text.starts_with(language.tool) && text.contains(&source));
            assert!(text.contains("world task {"));
        }
    }
}
