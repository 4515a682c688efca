//! A master, a replica and three sentinels of one's own.

use crate::ports::free_port;
use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the sentinels call the master.
pub const MASTER: &str = "mymaster";
/// The password of the servers, and that of the sentinels.
pub const SERVER_PASSWORD: &str = "s3cret-server";
/// The password of the sentinels.
pub const SENTINEL_PASSWORD: &str = "s3cret-sentinel";
/// Silence after which a sentinel thinks that a server is away, milliseconds.
const DOWN_AFTER: u32 = 500;
/// How long a failover may take before the next is tried, milliseconds.
const FAILOVER: u32 = 3_000;

/// Two servers and three sentinels on free ports, killed when dropped.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Process>,
    sentinels: Vec<Process>,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Process {
    child: Child,
    port: u16,
    password: &'static str,
}

impl Sentinels {
    /// Starts all, and waits until the replica has everything and the sentinels know
    /// each other.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the servers");
        let master = Process::server(folder.path(), None);
        let replica = Process::server(folder.path(), Some(master.port));
        let sentinel = |_| Process::sentinel(folder.path(), master.port);
        let all = Self {
            sentinels: (0..3).map(sentinel).collect(),
            servers: vec![master, replica],
            _folder: folder,
        };
        crate::until("the replica follows", || {
            let told = all.servers[1].cli(&["INFO", "replication"]);
            told.contains("master_link_status:up").then_some(())
        });
        crate::until("the sentinels know each other", || {
            let ready = all.sentinels.iter().all(|sentinel| {
                let told = sentinel.cli(&["SENTINEL", "MASTER", MASTER]);
                let words: Vec<&str> = told.lines().collect();
                let is = |name, value| words.windows(2).any(|pair| pair == [name, value]);
                is("num-slaves", "1") && is("num-other-sentinels", "2") && is("flags", "master")
            });
            ready.then_some(())
        });
        all
    }

    /// Returns the address of a database.
    #[must_use]
    pub fn url(&self, database: u32) -> String {
        let mut url = String::new();
        for (at, sentinel) in self.sentinels.iter().enumerate() {
            let credentials = match at {
                0 => format!(":{SERVER_PASSWORD}@"),
                _ => String::new(),
            };
            let divider = if at == 0 { "" } else { ";" };
            let port = sentinel.port;
            write!(url, "{divider}sentinel://{credentials}127.0.0.1:{port}")
                .expect("a text takes all");
            if at == 0 {
                write!(url, "/{database}").expect("a text takes all");
            }
        }
        url
    }

    /// Returns which server the sentinels call the master.
    #[must_use]
    pub fn master(&self) -> Option<usize> {
        let [first, ..] = self.sentinels.as_slice() else {
            return None;
        };
        let told = first.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
        let port = told.lines().nth(1)?.parse::<u16>().ok()?;
        self.servers.iter().position(|server| server.port == port)
    }

    /// Runs a command in a database of a server, and returns what it printed.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn cli(&self, server: usize, database: u32, arguments: &[&str]) -> String {
        let database = database.to_string();
        self.servers[server].cli(&[&["-n", database.as_str()], arguments].concat())
    }

    /// Kills a server.
    pub fn kill(&mut self, server: usize) {
        self.servers[server].kill();
    }

    /// Asks the sentinels to make the other server the master, while both are there.
    ///
    /// # Panics
    /// When they do not want to.
    pub fn fail_over(&self) {
        crate::until("the sentinels fail over", || {
            let told = self.sentinels[0].cli(&["SENTINEL", "FAILOVER", MASTER]);
            (told == "OK").then_some(())
        });
    }
}

impl Process {
    /// Starts a server, or a replica of another.
    fn server(folder: &Path, master: Option<u16>) -> Self {
        let port = free_port();
        let folder = folder.join(port.to_string());
        std::fs::create_dir(&folder).expect("a folder of its own");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--requirepass", SERVER_PASSWORD])
            .args(["--masterauth", SERVER_PASSWORD])
            .args(["--repl-diskless-sync-delay", "0"])
            .arg("--dir")
            .arg(&folder);
        if let Some(master) = master {
            command.args(["--replicaof", &format!("127.0.0.1 {master}")]);
        }
        Self::run(command, port, SERVER_PASSWORD)
    }

    fn sentinel(folder: &Path, master: u16) -> Self {
        let port = free_port();
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             requirepass {SENTINEL_PASSWORD}\nsentinel sentinel-pass {SENTINEL_PASSWORD}\n\
             sentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
             sentinel auth-pass {MASTER} {SERVER_PASSWORD}\n\
             sentinel down-after-milliseconds {MASTER} {DOWN_AFTER}\n\
             sentinel failover-timeout {MASTER} {FAILOVER}\n",
            folder.display()
        );
        // It writes into its own settings.
        let file = folder.join(format!("sentinel-{port}.conf"));
        std::fs::write(&file, settings).expect("the settings of a sentinel");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        Self::run(command, port, SENTINEL_PASSWORD)
    }

    fn run(mut command: Command, port: u16, password: &'static str) -> Self {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is missing: apt-get install redis-server");
        let process = Self {
            child,
            port,
            password,
        };
        crate::until("redis-server answers", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        process
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .env("REDISCLI_AUTH", self.password)
            .args(arguments)
            .output()
            .expect("redis-cli is missing: apt-get install redis-server");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    fn kill(&mut self) {
        // It may be gone already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
