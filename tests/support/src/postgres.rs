//! A Postgres server of one's own.

use crate::certificates::Certificates;
use crate::ports::free_port;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Tries to find a port that nobody takes between finding and using it.
const TRIES: usize = 20;
/// Where Debian puts the programs of each release.
const RELEASES: &str = "/usr/lib/postgresql";
const MISSING: &str = "postgres is missing: apt-get install postgresql (cargo xtask test does it)";
/// Who may do everything there, and the password.
const USER: &str = "celeriac";
const PASSWORD: &str = "s3cret";
const DATABASE: &str = "results";

/// A private server on a free port, stopped when dropped. It keeps its data in a folder of
/// its own, and asks for the password.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts a server with one empty database, and waits until it answers.
    ///
    /// # Panics
    /// When Postgres is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts a server that also speaks TLS, and over TLS alone to those from elsewhere.
    ///
    /// # Panics
    /// When Postgres is missing or does not start.
    #[must_use]
    pub fn start_with_tls(certificates: &Certificates) -> Self {
        let read = |name| {
            let path = certificates.path(name);
            (name, std::fs::read(path).expect("a certificate"))
        };
        Self::with_files(
            "ssl = on\nssl_ca_file = 'ca.pem'\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n",
            &["ca.pem", "server.pem", "server.key"].map(read),
        )
    }

    fn with(settings: &str) -> Self {
        Self::with_files(settings, &[])
    }

    fn with_files(settings: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        give_away(folder.path());
        let data = folder.path().join("data");
        copy(&template(), &data);
        for (name, bytes) in files {
            let path = data.join(name);
            std::fs::write(&path, bytes).expect("a file");
            let only_its_own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, only_its_own).expect("a file of ours");
            give_away(&path);
        }
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n\
             timezone = 'Asia/Kolkata'\nshared_buffers = 16MB\nmax_connections = 60\n{settings}"
        );
        let path = data.join("postgresql.auto.conf");
        std::fs::write(path, settings).expect("a file");
        for _ in 0..TRIES {
            let port = free_port();
            if let Some(child) = serve(&data, port) {
                return Self {
                    child,
                    port,
                    folder,
                };
            }
        }
        panic!("postgres found no port of {TRIES}");
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address of the database, as SQLAlchemy and libpq write it.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.port;
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}")
    }

    /// Runs SQL in the database, and returns what it printed: rows with `|` between cells.
    ///
    /// # Panics
    /// When the server refuses it.
    #[must_use]
    pub fn ask(&self, sql: &str) -> String {
        let output = program("psql")
            .env("PGPASSWORD", PASSWORD)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", USER, "-d", DATABASE, "-X", "-q", "-A", "-t"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .expect(MISSING);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {told}");
        let rows = String::from_utf8_lossy(&output.stdout);
        rows.trim_end().to_owned()
    }

    /// Stops it at once, as a crash does; what was committed is on its disk.
    pub fn kill(&mut self) {
        // Its own processes go with it, as they do not after SIGKILL.
        let _gone = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let _status = self.child.wait();
    }

    /// Starts it again after [`Postgres::kill`], on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn revive(&mut self) {
        let data = self.folder.path().join("data");
        self.child = serve(&data, self.port).expect("the port is still free");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the data of a server that nobody runs, with one empty database: making it takes a
/// second of computing, so the tests of one build make it once.
fn template() -> PathBuf {
    let (release, _) = newest("initdb").unwrap_or_default();
    let tests = std::env::current_exe().expect("the path of this program");
    let template = tests.with_file_name(format!("postgres-{release}"));
    if !template.exists() {
        let made = tempfile::tempdir().expect("a folder for data");
        let data = make(made.path());
        let beside = tests.parent().expect("a folder of programs");
        let aside = tempfile::tempdir_in(beside).expect("a folder beside the tests");
        let whole = aside.path().join("data");
        copy(&data, &whole);
        // Where another test was first, its own stays.
        let _moved = std::fs::rename(whole, &template);
    }
    template
}

/// Makes data within a folder.
fn make(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD).expect("a file");
    give_away(folder);
    give_away(&password);
    let mut initdb = program("initdb");
    initdb
        .args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8"])
        .args(["--wal-segsize=1", "--locale=C", "--username", USER])
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(&data);
    let made = initdb.output().expect(MISSING);
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {told}");
    let statement = folder.join("statement");
    std::fs::write(&statement, format!("CREATE DATABASE {DATABASE}\n")).expect("a file");
    let mut alone = program("postgres");
    alone.args(["--single", "-F", "-D"]).arg(&data);
    alone
        .arg("postgres")
        .stdin(File::open(&statement).expect("it is there"));
    let made = alone.output().expect(MISSING);
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "postgres: {told}");
    data
}

/// Copies a folder with all below it and whose it is.
fn copy(from: &Path, to: &Path) {
    let mut cp = Command::new("cp");
    let status = cp.arg("-a").args([from, to]).status();
    assert!(status.expect("cp runs").success(), "{from:?} is copied");
}

/// Starts a server; `None` when it ends, as it does where the port was taken meanwhile.
fn serve(data: &Path, port: u16) -> Option<Child> {
    let mut child = program("postgres")
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect(MISSING);
    crate::until("postgres answers", || {
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Some(false);
        }
        let mut ready = program("pg_isready");
        ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        let ready = ready.status();
        ready.is_ok_and(|status| status.success()).then_some(true)
    })
    .then_some(child)
}

/// Finds a program of the newest release.
fn newest(name: &str) -> Option<(u32, PathBuf)> {
    let releases = std::fs::read_dir(RELEASES).into_iter().flatten().flatten();
    releases
        .filter_map(|entry| {
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path().join("bin").join(name);
            path.exists().then_some((number, path))
        })
        .max()
}

/// A program of the newest release, run by somebody who is not root, as Postgres wants it.
fn program(name: &str) -> Command {
    let path = newest(name).map_or_else(|| PathBuf::from(name), |(_, path)| path);
    let mut command = Command::new(path);
    command.current_dir("/").env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some([user, group]) = somebody() {
        command.uid(user).gid(group);
    }
    command
}

/// Makes a file that of whoever runs the server.
fn give_away(path: &Path) {
    if let Some([user, group]) = somebody() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root gives files away");
    }
}

/// Who runs the server when we are root: the user of Debian's package.
fn somebody() -> Option<[u32; 2]> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let number = |what| {
        let id = Command::new("id").args([what, "postgres"]).output().ok()?;
        String::from_utf8_lossy(&id.stdout).trim().parse().ok()
    };
    Some([number("-u").expect(MISSING), number("-g").expect(MISSING)])
}
