//! A program that runs until it is told to stop.

use crate::http;
use crate::wait::{PATIENCE, pause, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// A running worker; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    banner: Value,
    listen: Option<SocketAddr>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// How a server ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Everything it logged.
    pub log: String,
}

impl Server {
    /// Starts a command, and waits until it prints its first document and says
    /// that it is ready. It must have `--json`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let errors = child.stderr.take().expect("it has a standard error");
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || follow(errors, &log)
        });
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("it has a standard output"));
        let read = out.read_line(&mut line);
        let mut server = Self {
            child,
            banner: Value::Null,
            listen: None,
            log,
            reader: Some(reader),
        };
        match (read, serde_json::from_str(&line)) {
            (Ok(_), Ok(banner)) => server.banner = banner,
            (read, banner) => {
                let ended = server.ended();
                panic!("no first document: {read:?}, {banner:?}, {ended:?}");
            }
        }
        let listen = server.banner["listen"].as_str();
        server.listen = listen.map(|address| address.parse().expect("an address"));
        if server.listen.is_some() {
            until("ready", || {
                server
                    .get("/health/ready")
                    .filter(|(status, _)| *status == 200)
            });
        }
        server
    }

    /// Returns the document it printed at its start.
    #[must_use]
    pub fn banner(&self) -> &Value {
        &self.banner
    }

    /// Returns the number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns everything it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        text(&self.log).clone()
    }

    /// Gets a page of its HTTP side: status and body.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http::get(self.listen?, path).ok()
    }

    /// Adds up a metric over all series whose labels contain these.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, page) = self.get("/metrics").unwrap_or_default();
        let fits = |series: &str| {
            let inner = series
                .strip_prefix(name)
                .filter(|rest| rest.is_empty() || rest.starts_with('{'));
            let has = |(key, value): &(&str, &str)| series.contains(&format!("{key}=\"{value}\""));
            inner.is_some() && labels.iter().all(has)
        };
        let values = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            fits(series).then(|| value.parse::<f64>().ok())?
        });
        values.sum()
    }

    /// Returns its memory in use, bytes.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("its memory is known") << 10
    }

    /// Asks it to stop, as service managers do.
    pub fn terminate(&self) {
        // One that is gone already needs no signal.
        let _gone = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// Asks it to stop and waits for its end.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.terminate();
        self.ended()
    }

    /// Ends it at once: SIGKILL.
    pub fn kill(self) {
        drop(self);
    }

    /// Freezes it, as a machine that is suspended.
    ///
    /// # Panics
    /// When it is gone.
    pub fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("it runs");
    }

    /// Ends a freeze.
    ///
    /// # Panics
    /// When it is gone.
    pub fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it runs");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come within [`PATIENCE`].
    #[must_use]
    pub fn ended(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                break status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            pause();
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log is read");
        }
        Ended {
            code: status.code(),
            signal: status.signal(),
            log: self.log(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already needs no signal; waiting leaves no zombie.
        let _gone = self.child.kill();
        let _status = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.pid(), self.log());
        }
    }
}

fn follow(errors: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        let mut log = text(log);
        log.push_str(&line);
        log.push('\n');
    }
}

fn text(log: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
