//! Compiles, lints and documents our crates in one pass: Cargo calls this tool where it
//! would call `rustc` for a crate of the workspace.
//!
//! `cargo clippy` and `cargo doc` each read all dependencies again, in a form of their own
//! that no test can use. What comes out here is what the tests run. A crate whose lints or
//! documentation fail is not compiled, so Cargo calls again until they do not.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::guests::workspace;

/// Arguments of `rustc` with a value that rustdoc takes too.
const PAIRS: [&str; 6] = [
    "--cfg",
    "--check-cfg",
    "--crate-name",
    "--crate-type",
    "--extern",
    "-L",
];
/// Arguments of `rustc` that begin so and that rustdoc takes too.
const PREFIXES: [&str; 5] = ["--allow=", "--deny=", "--edition=", "--forbid=", "--warn="];

/// A variable, and what `cargo clippy -- -D warnings` sets it to.
const CLIPPY_ARGS: (&str, &str) = (
    "CLIPPY_ARGS",
    "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
);

/// How our crates are compiled.
#[derive(Debug)]
pub(crate) enum Compiler {
    /// By `rustc` alone.
    Plain,
    /// By a copy of this tool, at this path.
    Checking(PathBuf),
}

impl Compiler {
    /// Puts a copy of this tool where Cargo finds it: its own file is replaced while
    /// everything is compiled.
    pub(crate) fn checking() -> Result<Self> {
        let path = workspace()?.target_directory.join("xtask-rustc");
        let new = path.with_extension("new");
        fs::copy(std::env::current_exe()?, &new).with_context(|| new.display().to_string())?;
        fs::rename(&new, &path).with_context(|| path.display().to_string())?;
        Ok(Self::Checking(path))
    }

    /// Has a command of Cargo's, or of nextest's, compile so.
    pub(crate) fn of(&self, mut command: Command) -> Command {
        if let Self::Checking(path) = self {
            // No variable: a test that calls Cargo is to call it as people do.
            let wrapper = format!("build.rustc-workspace-wrapper={path:?}");
            command.args(["--config", &wrapper]);
            // Cargo has to see it too, or it takes what was compiled with it for stale.
            command.env(CLIPPY_ARGS.0, CLIPPY_ARGS.1);
        }
        command
    }
}

/// Tells whether Cargo calls this tool in place of `rustc`.
pub(crate) fn is_called(arguments: &[String]) -> bool {
    let first = arguments.first().map(Path::new);
    first.and_then(Path::file_stem) == Some(OsStr::new("rustc"))
}

/// Does what Cargo asks of `rustc`, the first of the arguments; returns whether all is well.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let mut clippy = Command::new("clippy-driver");
    clippy.env(CLIPPY_ARGS.0, CLIPPY_ARGS.1);
    let compiled = ends_well(clippy.args(arguments))?;
    let Some(documented) = documentation(arguments).filter(|_| compiled) else {
        return Ok(compiled);
    };
    let mut rustdoc = Command::new("rustdoc");
    ends_well(rustdoc.args(documented))
}

fn ends_well(command: &mut Command) -> Result<bool> {
    let program = command.get_program().to_string_lossy().into_owned();
    Ok(command.status().context(program)?.success())
}

/// Works out what to ask of rustdoc: nothing for tests, build scripts and questions.
fn documentation(arguments: &[String]) -> Option<Vec<String>> {
    let after = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)
    };
    let is_test = arguments.iter().any(|argument| argument == "--test")
        || arguments.windows(2).any(|pair| pair == ["--cfg", "test"]);
    let name = after("--crate-name")?;
    if is_test || name.starts_with("build_script_") {
        return None;
    }
    let source = arguments
        .iter()
        .find(|argument| argument.ends_with(".rs"))?;
    let mut documented = vec![source.clone(), "-Dwarnings".to_owned()];
    for pair in arguments.windows(2) {
        let [argument, value] = pair else { continue };
        if PAIRS.contains(&argument.as_str()) {
            documented.extend([argument.clone(), value.clone()]);
        }
    }
    let others = arguments.iter();
    documented.extend(
        others
            .filter(|argument| PREFIXES.iter().any(|prefix| argument.starts_with(prefix)))
            .cloned(),
    );
    let kind = after("--crate-type").map_or("bin", String::as_str);
    if kind == "bin" {
        documented.push("--document-private-items".to_owned());
    }
    // A folder each: the program `celeriac` and the library have one name, and folders that
    // are shared are written one after the other.
    let folder = Path::new(after("--out-dir")?).with_file_name("doc");
    let folder = folder.join(format!("{name}-{kind}"));
    documented.extend(["--out-dir".to_owned(), folder.display().to_string()]);
    Some(documented)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    /// Compiles a library of one file.
    fn compiled(name: &str, code: &str) -> bool {
        let folder = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
        let deps = folder.join("deps");
        fs::create_dir_all(&deps).unwrap();
        let file = folder.join("lib.rs");
        fs::write(&file, code).unwrap();
        let options = "--edition=2024 --crate-type lib --emit=metadata --cap-lints forbid";
        let mut arguments = words(&format!("rustc --crate-name {name} {options} --out-dir"));
        arguments.extend([deps, file].map(|path| path.display().to_string()));
        let well = run(&arguments).unwrap();
        fs::remove_dir_all(folder).unwrap();
        well
    }

    #[test]
    fn cargo_calls_this_tool_by_the_path_of_the_compiler() {
        assert!(is_called(&words("/toolchain/bin/rustc -vV")));
        assert!(is_called(&words("rustc")));
        assert!(!is_called(&words("test --no-check")) && !is_called(&[]));
    }

    #[test]
    fn cargo_is_told_of_the_compiler_and_of_the_variable_that_it_reads() {
        let plain = Compiler::Plain.of(Command::new("cargo"));
        assert_eq!((plain.get_args().len(), plain.get_envs().len()), (0, 0));
        let checking = Compiler::Checking("/t/xtask-rustc".into());
        let told = checking.of(Command::new("cargo"));
        let wrapper = r#"build.rustc-workspace-wrapper="/t/xtask-rustc""#;
        assert_eq!(told.get_args().collect::<Vec<_>>(), ["--config", wrapper]);
        let set = told.get_envs().map(|(name, _)| name);
        assert_eq!(set.collect::<Vec<_>>(), ["CLIPPY_ARGS"]);
    }

    #[test]
    fn a_crate_that_a_lint_or_its_documentation_forbids_is_not_compiled() {
        assert!(compiled("good", "//! [`fine`]\npub fn fine() {}\n"));
        assert!(!compiled("unused", "pub fn fine() { let x = 1; }\n"));
        assert!(!compiled("linted", "pub fn fine() -> u8 { return 1; }\n"));
        assert!(!compiled("linked", "//! [`missing`]\npub fn fine() {}\n"));
    }

    #[test]
    fn rustdoc_is_asked_with_what_the_compiler_was_asked_with() {
        let asked = words(
            "rustc --crate-name a --edition=2024 src/lib.rs --error-format=json --json=artifacts \
             --crate-type lib --emit=dep-info,metadata,link -C debuginfo=1 --warn=missing_docs \
             --cfg feature=\"x\" --check-cfg cfg(y) --out-dir /t/debug/deps -L dependency=/t \
             --extern b=/t/libb.rmeta",
        );
        let told = documentation(&asked).unwrap().join(" ");
        assert_eq!(
            told,
            "src/lib.rs -Dwarnings --crate-name a --crate-type lib --cfg feature=\"x\" \
             --check-cfg cfg(y) -L dependency=/t --extern b=/t/libb.rmeta --edition=2024 \
             --warn=missing_docs --out-dir /t/debug/doc/a-lib"
        );
    }

    #[test]
    fn tests_build_scripts_and_questions_have_no_documentation() {
        let asked = "rustc --crate-name a src/lib.rs --out-dir /t/deps";
        assert!(documentation(&words(asked)).is_some());
        for other in [
            &format!("{asked} --test"),
            &format!("{asked} --cfg test"),
            "rustc --crate-name build_script_build build.rs --out-dir /t/deps",
            "rustc - --crate-name ___ --print=cfg",
            "rustc -vV",
        ] {
            assert!(documentation(&words(other)).is_none(), "{other}");
        }
    }
}
