//! The commands and their flags; adding one is a line in [`COMMANDS`].

use std::io::Write;

use anyhow::{Context, bail};

/// One command: its name, its flags, what it does, and the function that does it.
struct Command {
    name: &'static str,
    flags: &'static [&'static str],
    about: &'static str,
    run: fn(&Flags) -> anyhow::Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        flags: &[],
        about: "set up, run the examples and a hostile module on `celeriac dev`, show what became of them",
        run: crate::demo::run,
    },
    Command {
        name: "test",
        flags: &["--no-check"],
        about: "set up, check, build the guests, run every test (--no-check: without the checks)",
        run: crate::test::run,
    },
    Command {
        name: "check",
        flags: &[],
        about: "format, tidy, clippy, rustdoc, licences",
        run: crate::check::run,
    },
    Command {
        name: "tidy",
        flags: &[],
        about: "who imports whom, sizes and names of files, habits of tests",
        run: crate::tidy::run,
    },
    Command {
        name: "guests",
        flags: &["--toolchain", "--languages"],
        about: "build every guest into target/guests/components (--toolchain: only the compiler; --languages: those in C, JavaScript and Python instead)",
        run: crate::guests::run,
    },
    Command {
        name: "bench",
        flags: &[
            "--neighbours",
            "--brokers",
            "--canvas",
            "--fair",
            "--follow",
            "--write",
        ],
        about: "measure the sandbox against bare Wasmtime, the embedded broker, a small task beside hostile guests, Redis and RabbitMQ against Celery, small canvases against large ones, a flood of one tenant beside another, and new versions that workers elsewhere follow (--neighbours, --brokers, --canvas, --fair, --follow: only these; --write: their tables into README.md)",
        run: crate::bench::run,
    },
];

/// Holds the flags of one command line.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    /// Returns whether a flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|given| given == flag)
    }
}

/// Runs the command that the arguments name.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let Some((name, flags)) = arguments.split_first() else {
        say(&usage());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        say(&usage());
        return Ok(());
    }
    let command = COMMANDS.iter().find(|command| command.name == name);
    let command = command.with_context(|| format!("no command '{name}'\n{}", usage()))?;
    for flag in flags {
        if !command.flags.contains(&flag.as_str()) {
            bail!(
                "'{name}' has no flag '{flag}'; it has: {}",
                command.flags.join(" ")
            );
        }
    }
    (command.run)(&Flags(flags.to_vec()))
}

/// Writes one line to standard error, where everything of ours goes.
pub(crate) fn say(line: &str) {
    // A closed terminal must not end the work.
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn usage() -> String {
    let mut text = String::from("cargo xtask COMMAND");
    for command in COMMANDS {
        let flags: String = command
            .flags
            .iter()
            .map(|flag| format!(" [{flag}]"))
            .collect();
        text.push_str(&format!(
            "\n  {}{flags}\n      {}",
            command.name, command.about
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_or_flag_is_refused_with_those_that_exist() {
        let run = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            run(&words).map_err(|error| format!("{error:#}"))
        };
        assert!(run(&["gusts"]).unwrap_err().contains("guests"));
        assert!(
            run(&["guests", "--tool"])
                .unwrap_err()
                .contains("--toolchain")
        );
        assert_eq!(run(&["--help"]), Ok(()));
    }
}
