//! The README's tutorial, run as it is written, from an empty folder.
//!
//! Blocks after `<!-- tutorial -->` are commands with what they print, blocks
//! after `<!-- file: PATH -->` are files. What differs from run to run (times,
//! sizes, digests) is not compared; everything else is.

mod platform;
mod shell;

use crate::stage;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::stage::{Ran, ran};
use support::{Server, Stage};

const README: &str = include_str!("../../README.md");

/// One step of the tutorial.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A command and the lines it prints.
    Command(String, Vec<String>),
    /// A file and its content.
    File(String, String),
}

/// Reads the steps out of a Markdown text.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(mark) = line
            .strip_prefix("<!-- ")
            .and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .skip_while(|line| !line.starts_with("```"))
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .collect();
        match mark.strip_prefix("file: ") {
            Some(path) => steps.push(Step::File(path.to_owned(), block.join("\n") + "\n")),
            None if mark == "tutorial" => steps.extend(commands(&block)),
            None => {}
        }
    }
    steps
}

fn commands(block: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step::Command(command.to_owned(), Vec::new())),
            (None, Some(Step::Command(command, printed)))
                if command.ends_with('\\') && printed.is_empty() =>
            {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some(Step::Command(_, printed))) => printed.push((*line).to_owned()),
            (None, _) => panic!("{line:?} is printed by no command"),
        }
    }
    steps
}

/// Splits a command as a shell does, where single quotes are the only ones.
fn words(command: &str) -> Vec<String> {
    let quoted = command.split('\'').enumerate();
    let words = quoted.flat_map(|(at, part)| match at % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    });
    words.collect()
}

/// Takes out of a line what differs from run to run: digests, numbers and their
/// units, so that `54 s` and `1 min 15 s` are the same.
fn lasting(line: &str) -> String {
    const UNITS: [&str; 10] = ["µs", "ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB"];
    let mut kept = String::new();
    let mut after_number = false;
    for word in line.split_whitespace() {
        let core = word.trim_matches(|c: char| "(),".contains(c));
        let is_number = core.starts_with(|c: char| c.is_ascii_digit());
        let is_unit = after_number && UNITS.contains(&core);
        if !is_number && !is_unit && !core.starts_with("sha256:") {
            kept.push_str(word);
            kept.push(' ');
        }
        after_number = is_number;
    }
    kept
}

/// Plays the tutorial.
struct Player {
    stage: Stage,
    folder: PathBuf,
    server: Option<Server>,
}

impl Player {
    fn play(&mut self, step: &Step) {
        match step {
            Step::File(path, content) => {
                std::fs::write(self.folder.join(path), content).expect("the file of the tutorial");
            }
            Step::Command(command, printed) => self.command(command, printed),
        }
    }

    fn command(&mut self, command: &str, printed: &[String]) {
        let words = words(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cd", folder] => self.folder.push(folder),
            ["celeriac", "dev", "&"] => {
                let mut dev = self.program(&["dev", "--json"]);
                dev.env("CELERIAC_WORKER__LISTEN", "127.0.0.1:0");
                self.server = Some(Server::start(dev));
            }
            ["celeriac", arguments @ ..] => check(command, &ran(self.program(arguments)), printed),
            _ => panic!("the tutorial has a command that is not played: {command}"),
        }
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = self.stage.command(arguments);
        // Kept between runs, so that only the first one builds the SDK.
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests/tutorial");
        command
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", built);
        command
    }
}

fn check(command: &str, ran: &Ran, printed: &[String]) {
    assert_eq!(ran.code, 0, "{command}: {ran}");
    let all = format!("{}{}", ran.out, ran.err);
    let said: Vec<String> = all.lines().map(lasting).collect();
    for line in printed {
        assert!(
            said.contains(&lasting(line)),
            "the README says {line:?} after {command:?}, but {ran}"
        );
    }
}

#[test]
fn every_command_of_the_readme_does_what_the_readme_says() {
    let steps = steps(README);
    assert!(steps.len() >= 8, "{steps:?}");
    let stage = stage();
    let mut player = Player {
        folder: stage.folder().to_owned(),
        stage,
        server: None,
    };
    for step in &steps {
        player.play(step);
    }
    assert_eq!(
        player
            .server
            .expect("the tutorial starts a worker")
            .stop()
            .code,
        Some(0)
    );
}

#[test]
fn a_tutorial_is_read_as_people_read_it() {
    let text = "x\n<!-- tutorial -->\n```console\n$ celeriac call a -a '[1, \"b c\"]'\nSUCCESS in 3 ms\n```\n\
                <!-- file: src/a.rs -->\n\n```rust\nfn a() {}\n```\n```console\n$ rm -rf\n```\n";
    let Step::Command(command, printed) = &steps(text)[0] else {
        panic!("a command")
    };
    assert_eq!(
        words(command),
        ["celeriac", "call", "a", "-a", "[1, \"b c\"]"]
    );
    assert_eq!(lasting(&printed[0]), lasting("SUCCESS in 17 s"));
    assert_eq!(
        steps(text)[1..],
        [Step::File("src/a.rs".to_owned(), "fn a() {}\n".to_owned())]
    );
}
