//! A Redis server of one's own.

use crate::certificates::Certificates;
use crate::ports::free_port;
use std::process::{Child, Command, Stdio};

/// Tries to find a port that nobody takes between finding and using it.
const TRIES: usize = 20;

/// A private server on a free port, killed when dropped. It keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        for _ in 0..TRIES {
            let port = free_port();
            if let Some(child) = start(port, &folder) {
                return Self {
                    child,
                    port,
                    _folder: folder,
                };
            }
        }
        panic!("redis-server found no port of {TRIES}");
    }

    /// Starts a server on a port that was free a moment ago.
    ///
    /// # Panics
    /// When it does not start there.
    #[must_use]
    pub fn start_on(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let child = start(port, &folder).expect("the port is still free");
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    /// Starts a server that speaks TLS alone, and asks for the certificates of its
    /// clients.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not start.
    #[must_use]
    pub fn start_with_tls(certificates: &Certificates) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        for _ in 0..TRIES {
            let port = free_port();
            let mut server = server(&folder);
            server.args(["--port", "0", "--tls-port", &port.to_string()]);
            for (option, file) in [
                ("--tls-ca-cert-file", "ca.pem"),
                ("--tls-cert-file", "server.pem"),
                ("--tls-key-file", "server.key"),
            ] {
                server.arg(option).arg(certificates.path(file));
            }
            if let Some(child) = answering(server, port) {
                return Self {
                    child,
                    port,
                    _folder: folder,
                };
            }
        }
        panic!("redis-server found no port of {TRIES}");
    }

    /// Stops its clock: it answers nobody and keeps its connections.
    ///
    /// # Panics
    /// When it is gone.
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it is gone.
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Returns the address of a database.
    #[must_use]
    pub fn url(&self, database: u32) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command of `redis-cli` in a database, and returns what it printed.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn cli(&self, database: u32, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-n", &database.to_string()])
            .args(arguments)
            .output()
            .expect("redis-cli is missing: apt-get install redis-server");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

impl Redis {
    /// Puts an item into a list where messages wait to be taken, whatever it is
    /// and however long.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn push(&self, database: u32, list: &str, item: &[u8]) {
        let answer = self.last(database, &["LPUSH", list], item);
        assert!(answer.parse::<u64>().is_ok(), "LPUSH {list}: {answer}");
    }

    /// Runs a command whose last argument is bytes, whatever they are, and returns
    /// what it printed.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn last(&self, database: u32, arguments: &[&str], last: &[u8]) -> String {
        let mut child = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-n", &database.to_string(), "-x"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli is missing: apt-get install redis-server");
        let mut pipe = child.stdin.take().expect("it has a standard input");
        std::io::Write::write_all(&mut pipe, last).expect("it reads the bytes");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Starts a server; `None` when the port was taken meanwhile.
fn start(port: u16, folder: &tempfile::TempDir) -> Option<Child> {
    let mut server = server(folder);
    server.args(["--port", &port.to_string()]);
    answering(server, port)
}

/// A server that keeps nothing.
fn server(folder: &tempfile::TempDir) -> Command {
    let mut server = Command::new("redis-server");
    server
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    server
}

fn answering(mut server: Command, port: u16) -> Option<Child> {
    let mut child = server
        .spawn()
        .expect("redis-server is missing: apt-get install redis-server");
    crate::until("redis-server answers", || {
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Some(false);
        }
        std::net::TcpStream::connect(("127.0.0.1", port))
            .is_ok()
            .then_some(true)
    })
    .then_some(child)
}
