//! Runs other programs as named steps, shows what they print and how long each
//! took.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::commands::say;

/// Remembers how long each step took.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Does one step, under a heading, and remembers its time even if it fails.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        say(&format!("── {name}"));
        let start = Instant::now();
        let done = step();
        self.taken.push((name.to_owned(), start.elapsed()));
        done.with_context(|| format!("the step '{name}'"))
    }

    /// Does two series of steps at once; if both fail, the first one's error is told.
    pub(crate) fn beside(
        &mut self,
        first: impl FnOnce(&mut Self) -> Result<()>,
        second: impl FnOnce(&mut Self) -> Result<()> + Send,
    ) -> Result<()> {
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut steps = Self::default();
                let done = second(&mut steps);
                if let Err(error) = &done {
                    say(&format!("error: {error:#}"));
                }
                (steps, done)
            });
            let first = first(self);
            let (steps, second) = second
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.taken.extend(steps.taken);
            first.and(second)
        })
    }

    /// Prints every step's time.
    pub(crate) fn report(&self) {
        say("── time");
        for (name, time) in &self.taken {
            say(&format!("{:>8.1} s  {name}", time.as_secs_f32()));
        }
    }
}

/// Returns the Cargo that runs this tool.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // Cargo tells this tool of its package. A build script that looks at these
    // (ring's does) would run again, and half of the runtime be compiled anew,
    // whenever Cargo is called by this tool after it was called by hand.
    for (name, _) in std::env::vars_os() {
        if is_of_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns whether Cargo sets a variable for the package it runs.
fn is_of_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs a program to its end; anything but success is an error.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| shown(&command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(&command));
    }
    Ok(())
}

/// The stream of a program that a step reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Runs a program, passes one of its streams on as it comes and hands each line
/// of it to `line`, free of colours; returns whether it ended well.
pub(crate) fn watch(mut command: Command, stream: Stream, line: impl FnMut(&str)) -> Result<bool> {
    match stream {
        Stream::Output => command.stdout(Stdio::piped()),
        Stream::Error => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().with_context(|| shown(&command))?;
    relay(pipe(&mut child, stream), line);
    Ok(child.wait().with_context(|| shown(&command))?.success())
}

/// Returns whether colours may be asked for.
pub(crate) fn colour() -> &'static str {
    if std::io::stderr().is_terminal() {
        "always"
    } else {
        "never"
    }
}

fn pipe(child: &mut Child, stream: Stream) -> Box<dyn Read> {
    let output = child
        .stdout
        .take()
        .map(|pipe| Box::new(pipe) as Box<dyn Read>);
    let error = child
        .stderr
        .take()
        .map(|pipe| Box::new(pipe) as Box<dyn Read>);
    let chosen = match stream {
        Stream::Output => output,
        Stream::Error => error,
    };
    chosen.unwrap_or_else(|| Box::new(std::io::empty()))
}

fn relay(pipe: impl Read, mut line: impl FnMut(&str)) {
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut bytes), Ok(length) if length > 0) {
        // A closed terminal must not end the tests.
        drop(std::io::stderr().write_all(&bytes));
        line(&plain(&String::from_utf8_lossy(&bytes)));
        bytes.clear();
    }
}

/// Removes colours and other terminal sequences.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut inside = false;
    for next in text.chars() {
        match next {
            '\u{1b}' => inside = true,
            letter if inside => inside = !letter.is_ascii_alphabetic(),
            other => plain.push(other),
        }
    }
    plain
}

fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_that_this_tool_runs_is_not_told_of_its_package() {
        let is_removed = |wanted: &str| {
            cargo(&[])
                .get_envs()
                .any(|(name, value)| name == wanted && value.is_none())
        };
        assert!(is_removed("CARGO_PKG_NAME") && is_removed("CARGO_MANIFEST_DIR"));
        assert!(!is_removed("CARGO_TARGET_DIR"));
    }

    #[test]
    fn colours_are_removed_before_a_line_is_read() {
        assert_eq!(
            plain("\u{1b}[32;1m  Summary\u{1b}[0m [ 1s]"),
            "  Summary [ 1s]"
        );
    }

    #[test]
    fn every_line_of_a_program_is_seen() {
        let mut command = Command::new("rustc");
        command.arg("-vV");
        let mut lines = Vec::new();
        let well = watch(command, Stream::Output, |line| {
            lines.push(line.trim().to_owned());
        });
        assert!(well.unwrap() && lines.iter().any(|line| line.starts_with("host: ")));
    }

    #[test]
    fn a_failing_program_is_shown_with_its_arguments() {
        let mut command = Command::new("rustc");
        command.arg("--no-such-flag").stderr(Stdio::null());
        let error = run(command).unwrap_err().to_string();
        assert!(
            error.starts_with("`rustc --no-such-flag` ended with"),
            "{error}"
        );
    }

    #[test]
    fn a_failed_step_is_named_and_timed() {
        let mut steps = Steps::default();
        let error = steps
            .run("clippy", || -> Result<()> { bail!("no") })
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "the step 'clippy': no");
        assert_eq!(steps.taken.len(), 1);
    }

    #[test]
    fn steps_beside_each_other_wait_for_each_other_and_are_all_timed() {
        let (told, heard) = std::sync::mpsc::channel();
        let mut steps = Steps::default();
        let both = steps.beside(
            // Ends only if the other runs at the same time.
            |steps| steps.run("clippy", || Ok(heard.recv()?)),
            |steps| {
                steps.run("guests", || Ok(told.send(())?))?;
                steps.run("languages", || bail!("no clang"))
            },
        );
        assert_eq!(
            format!("{:#}", both.unwrap_err()),
            "the step 'languages': no clang"
        );
        let mut names: Vec<_> = steps.taken.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["clippy", "guests", "languages"]);
    }
}
