//! A shell that commands of a page are typed into, as a reader would.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use support::until;

/// What stands before what the shell tells of each command.
const MARK: &str = "@@ended@@";

/// A shell; what it started and left running is killed with it.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    output: PathBuf,
    /// How much of the output is of earlier commands, bytes.
    read: usize,
    typed: usize,
    running: Vec<String>,
    folder: PathBuf,
}

/// A command that ended, or goes on beside the shell.
pub(crate) struct Typed {
    pub(crate) code: String,
    pub(crate) out: String,
}

impl Shell {
    /// Starts one by a command of `bash`, whose output goes into a file.
    pub(crate) fn start(mut bash: Command, folder: &Path, output: PathBuf) -> Self {
        let file = File::create(&output).expect("a file for the output");
        bash.current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file);
        let mut child = bash.spawn().expect("bash is there");
        let input = child.stdin.take().expect("it reads commands");
        Self {
            child,
            input,
            output,
            read: 0,
            typed: 0,
            running: Vec::new(),
            folder: folder.to_owned(),
        }
    }

    /// Returns the folder that it is in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Types a command, and waits for its end; one that ends in `&` goes on.
    pub(crate) fn run(&mut self, command: &str) -> Typed {
        self.typed += 1;
        let mark = format!("{MARK}{} ", self.typed);
        // What it starts must not read the commands that follow.
        let text = format!(
            "{{ {command}\n}} </dev/null\nprintf '\\n{mark}%s %s %s\\n' \"$?\" \"$!\" \"$PWD\"\n"
        );
        self.input.write_all(text.as_bytes()).expect("it reads");
        let (before, told) = loop {
            if let Some(found) = self.told(&mark) {
                break found;
            }
            // How long a command may take is the test runner's to say.
            assert!(
                self.child.try_wait().is_ok_and(|ended| ended.is_none()),
                "{}",
                self.seen()
            );
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        };
        let mut told = told.splitn(3, ' ');
        let code = told.next().unwrap_or_default().to_owned();
        let started = told.next().unwrap_or_default().to_owned();
        if command.ends_with('&') && !started.is_empty() {
            self.running.push(started);
        }
        self.folder = PathBuf::from(told.next().unwrap_or_default());
        Typed { code, out: before }
    }

    /// Returns what was printed since the last mark.
    pub(crate) fn since(&self) -> String {
        let all = self.all();
        all.get(self.read..).unwrap_or_default().to_owned()
    }

    /// What was printed before a mark, and what stands behind it.
    fn told(&mut self, mark: &str) -> Option<(String, String)> {
        let new = self.since();
        let at = new.find(mark)?;
        let line = new[at + mark.len()..].split_once('\n')?.0.to_owned();
        let before = new[..at].to_owned();
        self.read += at + mark.len() + line.len() + 1;
        Some((before, line))
    }

    fn all(&self) -> String {
        let bytes = std::fs::read(&self.output).expect("the output");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns all that was printed.
    pub(crate) fn seen(&self) -> String {
        self.all()
    }

    /// Asks all that goes on to end, and waits for that.
    pub(crate) fn ends(mut self) {
        let running = std::mem::take(&mut self.running);
        for started in &running {
            self.run(&format!("kill {started}"));
        }
        for started in running {
            let gone = format!("/proc/{started}/exe");
            until("it ends", || {
                // A child that ended has no program any more, whether or not it was waited for.
                std::fs::read_link(&gone).is_err().then_some(())
            });
            let ended = self.run(&format!("wait {started}"));
            assert_eq!(ended.code, "0", "{}", self.seen());
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for started in self.running.drain(..) {
            let killed = Command::new("kill").args(["-9", &started]).status();
            drop(killed);
        }
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
