//! Running programs: a clean environment for an inner Cargo, and the last words
//! of whatever fails.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::BuildError;

/// How much of a program's output an error keeps: enough for a few compiler
/// messages, little enough for a terminal.
pub(crate) const MAX_TAIL_BYTES: usize = 16 * 1024;

/// Variables of an outer Cargo that stay meaningful for an inner one.
const KEPT: [&str; 6] = [
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_INCREMENTAL",
];

/// Variables besides `CARGO_*` that would change an inner build by accident.
const DROPPED: [&str; 9] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
    "RUSTC",
    "RUSTDOC",
    "MAKEFLAGS",
    "MFLAGS",
];

/// Returns whether a variable of an outer build must not reach an inner one.
fn leaks(name: &str) -> bool {
    let cargo = name == "CARGO" || name.starts_with("CARGO_");
    DROPPED.contains(&name) || (cargo && !KEPT.iter().any(|kept| name.starts_with(kept)))
}

/// Returns `cargo` (the one that runs us, where there is one) with an
/// environment in which nothing of an outer build is left.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, BuildError> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| not_found(command, source))?;
    succeeded(command, &done)
}

/// Returns the output of a program that ended well.
fn succeeded(command: &Command, done: &Output) -> Result<String, BuildError> {
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let mut tail = Tail::default();
    tail.push(&String::from_utf8_lossy(&done.stderr));
    Err(BuildError::Failed {
        command: shown(command),
        status: done.status.to_string(),
        tail: tail.into_text(),
    })
}

/// Runs a program whose standard output was redirected.
pub(crate) fn run(command: &mut Command) -> Result<(), BuildError> {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let child = command
        .spawn()
        .map_err(|source| not_found(command, source))?;
    let done = child
        .wait_with_output()
        .map_err(|source| not_found(command, source))?;
    succeeded(command, &done).map(drop)
}

/// Runs a program, hands each line of its standard output to `line`, keeps the
/// tail of its standard error and, unless `quiet`, passes that on as it comes.
pub(crate) fn stream(
    command: &mut Command,
    quiet: bool,
    mut line: impl FnMut(&str),
) -> Result<(), BuildError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|source| not_found(command, source))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tail = thread::scope(|scope| {
        let reader = scope.spawn(move || stderr.map(|pipe| tee(pipe, quiet)).unwrap_or_default());
        if let Some(pipe) = stdout {
            for text in BufReader::new(pipe).lines().map_while(Result::ok) {
                line(&text);
            }
        }
        reader.join().unwrap_or_default()
    });
    let status = child.wait().map_err(|source| not_found(command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        command: shown(command),
        status: status.to_string(),
        tail,
    })
}

fn tee(pipe: impl Read, quiet: bool) -> String {
    let mut tail = Tail::default();
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line), Ok(length) if length > 0) {
        if !quiet {
            // A closed terminal must not end the build.
            drop(io::stderr().write_all(&line));
        }
        tail.push(&String::from_utf8_lossy(&line));
        line.clear();
    }
    tail.into_text()
}

fn not_found(command: &Command, source: io::Error) -> BuildError {
    BuildError::NotFound {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

/// Shows a command's program name and its first arguments.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy();
    let mut text = name.into_owned();
    for argument in command.get_args().take(6) {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    if command.get_args().len() > 6 {
        text.push_str(" …");
    }
    text
}

/// Keeps the last lines of an output, at most [`MAX_TAIL_BYTES`].
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, text: &str) {
        for line in text.lines() {
            let mut start = line.len().saturating_sub(MAX_TAIL_BYTES);
            while !line.is_char_boundary(start) {
                start += 1;
            }
            let line = line.get(start..).unwrap_or_default().to_owned();
            self.bytes += line.len() + 1;
            self.lines.push_back(line);
            while self.bytes > MAX_TAIL_BYTES + 1 {
                let Some(first) = self.lines.pop_front() else {
                    break;
                };
                self.bytes -= first.len() + 1;
            }
        }
    }

    fn into_text(self) -> String {
        Vec::from(self.lines).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_build_does_not_leak_into_an_inner_one() {
        for name in [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_MAKEFLAGS",
            "RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            assert!(leaks(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "RUSTUP_TOOLCHAIN",
            "RUSTUP_AUTO_INSTALL",
            "PATH",
        ] {
            assert!(!leaks(name), "{name}");
        }
    }

    #[test]
    fn a_tail_keeps_the_end_within_its_limit() {
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.push(&format!("line {number}\n"));
        }
        let text = tail.into_text();
        assert!(
            text.len() <= MAX_TAIL_BYTES && text.ends_with("line 9999"),
            "{}",
            text.len()
        );
    }

    #[test]
    fn one_endless_line_is_cut_to_its_end() {
        let mut tail = Tail::default();
        tail.push(&format!("{}é!", "é".repeat(MAX_TAIL_BYTES)));
        let text = tail.into_text();
        assert!(text.len() <= MAX_TAIL_BYTES && text.ends_with("é!"));
    }

    #[test]
    fn a_failing_program_keeps_its_last_words() {
        let mut command = Command::new("rustc");
        let error = stream(command.arg("--no-such-flag"), true, |_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("rustc --no-such-flag") && error.contains("no-such-flag'"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("celeriac-no-such-program")).unwrap_err();
        assert!(
            matches!(error, BuildError::NotFound { program, .. } if program.contains("no-such"))
        );
    }
}
