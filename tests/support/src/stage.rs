//! A folder of its own, and the program run in it.

use crate::file::File;
use crate::server::Server;
use crate::shelf::{self, Begun, Shelf};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

/// The folder of the program's state, below the stage.
const DATA: &str = ".celeriac";
/// The file of the configuration.
const CONFIG: &str = "celeriac.toml";
/// Sections of the settings that a push does not look at, and that differ from test to test:
/// it is the workers who receive, run, publish and answer.
const BESIDE: [&str; 5] = [
    "CELERIAC_BROKER",
    "CELERIAC_RESULT_BACKEND",
    "CELERIAC_WORKER__",
    "CELERIAC_PUBLISH__",
    "CELERIAC_SERVE__",
];
/// Settings that put the registry somewhere else than into the folder.
const ELSEWHERE: [&str; 4] = [
    "CELERIAC_DATA",
    "CELERIAC_SERVER",
    "CELERIAC_SERVE__DATABASE",
    "CELERIAC_SERVE__COMPONENTS",
];
/// Where the servers of tests are; their ports differ from test to test.
const HERE: &str = "127.0.0.1:";

/// A private folder with settings of its own; gone when dropped.
#[derive(Debug)]
pub struct Stage {
    program: PathBuf,
    components: PathBuf,
    folder: TempDir,
    variables: Vec<(String, String)>,
    begun: Mutex<Begun>,
}

impl Stage {
    /// Makes a stage for a program; built components are in `components`.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, components: impl Into<PathBuf>) -> Self {
        let stage = Self {
            program: program.into(),
            components: components.into(),
            folder: tempfile::tempdir().expect("a folder for the test"),
            variables: Vec::new(),
            begun: Mutex::default(),
        };
        stage.with("worker.listen", "127.0.0.1:0")
    }

    /// Sets a key of the configuration, such as `worker.lease`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let name = format!("CELERIAC_{}", key.replace('.', "__").to_uppercase());
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Returns the folder in which commands run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of a file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Returns the folder of the program's state.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path(DATA)
    }

    /// Writes a file into the folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file of the test");
        path
    }

    /// Returns the path of a built component.
    ///
    /// # Panics
    /// When it was not built.
    #[must_use]
    pub fn component(&self, name: &str) -> PathBuf {
        let path = self.components.join(format!("{name}.wasm"));
        assert!(
            path.exists(),
            "{} is missing: run `cargo xtask guests`",
            path.display()
        );
        path
    }

    /// Returns a command of the program, to be started by the caller.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CELERIAC_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder())
            .args(arguments)
            .envs(self.variables.iter().cloned());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }

    /// Runs a command that reads `input`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("it has a standard input");
        // A program that refuses early closes its end.
        let _closed = pipe.write_all(input);
        drop(pipe);
        Ran::of(&child.wait_with_output().expect("it ends"))
    }

    /// Runs a command with `--json` that must succeed, and returns its document.
    ///
    /// # Panics
    /// When it fails or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).good().json()
    }

    /// Freezes a worker of this folder while it writes nothing: frozen in the middle of that
    /// it would hold up all others.
    ///
    /// # Panics
    /// When it is gone.
    pub fn freeze(&self, worker: &Server) {
        let mut file = File::open(&self.data());
        file.run("BEGIN IMMEDIATE");
        worker.freeze();
        file.run("ROLLBACK");
    }

    /// Starts `celeriac dev`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn dev(&self) -> Server {
        self.server(&["dev"])
    }

    /// Starts a long-running command and waits until it is ready.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn server(&self, arguments: &[&str]) -> Server {
        Server::start(self.command(&[arguments, &["--json"]].concat()))
    }

    /// Pushes a built component under its own name. Where another test
    /// began with the same pushes, a copy of its folder is taken.
    ///
    /// # Panics
    /// When it is refused.
    pub fn push(&self, name: &str) -> Value {
        self.pushed(name, &[])
    }

    /// Pushes a built component under its own name for a tenant, as [`Stage::push`] does.
    ///
    /// # Panics
    /// When it is refused.
    pub fn push_for(&self, tenant: &str, name: &str) -> Value {
        self.pushed(name, &["-T", tenant])
    }

    fn pushed(&self, name: &str, more: &[&str]) -> Value {
        let file = self.component(name);
        let path = file.display().to_string();
        let command = [&["push", &path, "--name", name], more].concat();
        let mut begun = self.begun.lock().expect("no other test");
        if !begun.is_all(&self.data()) || self.is_kept_elsewhere() {
            return self.json(&command);
        }
        let shelf = Shelf::of(&self.program, &self.components);
        let push = format!("{more:?} {}", self.push_of(&file));
        if let Some(answer) = shelf.lend(&mut begun, &push, &self.data()) {
            return serde_json::from_str(&answer).expect("JSON");
        }
        let pushed = self.json(&command);
        shelf.keep(&mut begun, &push, &self.data(), &pushed.to_string());
        pushed
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.path(CONFIG)).unwrap_or_default()
    }

    /// Tells whether a push may change more than the folder.
    fn is_kept_elsewhere(&self) -> bool {
        let mut set = self.variables.iter().map(|(name, _)| name.as_str());
        let says = |line: &str| line.starts_with("data ") || line.starts_with("[serve]");
        set.any(|name| ELSEWHERE.contains(&name)) || self.config().lines().any(says)
    }

    /// All that decides what a push of a component does.
    fn push_of(&self, component: &Path) -> String {
        let found = std::fs::metadata(component).expect("a component");
        let matters =
            |(name, _): &&(String, String)| !BESIDE.iter().any(|one| name.starts_with(one));
        let settings: Vec<_> = self.variables.iter().filter(matters).collect();
        let config = without_ports(&self.config());
        let component = component.display();
        format!("{component} {} {settings:?} {config}", shelf::stamp(&found))
    }

    /// Sends a task and returns its id.
    ///
    /// # Panics
    /// When it is refused.
    pub fn send(&self, task: &str, more: &[&str]) -> String {
        let sent = self.json(&[&["call", task], more].concat());
        sent["id"].as_str().expect("an id").to_owned()
    }

    /// Sends a task with positional arguments, waits, and returns what became of it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn call(&self, task: &str, args: &str) -> Value {
        let id = self.send(task, &["-a", args]);
        self.ended(&id)
    }

    /// Waits for the end of a task and returns what is stored.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(&self, id: &str) -> Value {
        let ran = self.run(&["result", id, "--wait", "--timeout", "50s", "--json"]);
        assert!(ran.code == 0 || ran.code == 1, "task {id}: {ran}");
        ran.json()
    }

    /// Returns what is stored about a task now.
    ///
    /// # Panics
    /// When the program fails.
    pub fn stored(&self, id: &str) -> Value {
        self.run(&["result", id, "--json"]).json()
    }
}

/// A configuration without the ports of this machine's servers.
fn without_ports(config: &str) -> String {
    let mut parts = config.split(HERE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, part| {
        before + HERE + part.trim_start_matches(|one: char| one.is_ascii_digit())
    })
}

/// A command that ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; negative is the signal that ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    fn of(output: &std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let signal = || output.status.signal().map_or(-1, |signal| -signal);
        Self {
            code: output.status.code().unwrap_or_else(signal),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Returns itself when the command succeeded.
    ///
    /// # Panics
    /// When it failed.
    #[must_use]
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// Reads the standard output as one JSON document.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Checks that it failed as a program should: with this code, with all of
    /// these words, and without the marks of a bug.
    ///
    /// # Panics
    /// When it did not.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self}");
        let said = format!("{}{}", self.out, self.err);
        for word in words {
            assert!(said.contains(word), "{word:?} is missing: {self}");
        }
        for bug in ["panicked", "RUST_BACKTRACE", "unwrap"] {
            assert!(!said.contains(bug), "{self}");
        }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {}\n--- out\n{}--- err\n{}",
            self.code, self.out, self.err
        )
    }
}

/// Runs any command to its end.
///
/// # Panics
/// When it cannot be started.
pub fn ran(mut command: Command) -> Ran {
    let name = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    Ran::of(&output.unwrap_or_else(|error| panic!("{}: {error}", OsStr::display(&name))))
}
