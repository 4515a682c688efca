//! A running `celeriac dev` in a folder of its own, and the command line
//! beside it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::commands::say;

/// How long the worker may take to begin and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The demo's processes and files.
#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
    folder: PathBuf,
    program: PathBuf,
    plane: String,
    worker: Child,
}

impl Stage {
    /// Starts `celeriac dev` in `target/demo`, made anew.
    pub(super) fn open(root: &Path, target: &Path) -> Result<Self> {
        let folder = target.join("demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::create_dir_all(&folder)?;
        let [listen, plane] = [free_address()?, free_address()?];
        let configuration = configuration(&listen, &plane);
        std::fs::write(folder.join("celeriac.toml"), configuration)?;
        let log = folder.join("dev.log");
        let program = Self::program(target);
        let worker = Command::new(&program)
            .args(["dev", "--isolate"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::create(folder.join("dev.err.log"))?)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut stage = Self {
            root: root.to_owned(),
            folder,
            program,
            plane,
            worker,
        };
        stage.wait_for_banner(&log)?;
        Ok(stage)
    }

    /// Returns the binary that is shown.
    pub(super) fn program(target: &Path) -> PathBuf {
        target.join("debug").join("celeriac")
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the address of the control plane.
    pub(super) fn plane(&self) -> &str {
        &self.plane
    }

    /// Runs a command and lets it print where we print.
    pub(super) fn show(&self, words: &[&str]) -> Result<()> {
        say(&format!("$ celeriac {}", shortened(words)));
        let status = self.command(words).status()?;
        ensure!(
            status.success(),
            "`celeriac {}` ended with {status}",
            words.join(" ")
        );
        Ok(())
    }

    /// Runs a command that must be refused, and returns what it says.
    pub(super) fn refusal(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            !output.status.success(),
            "`celeriac {}` was not refused: {said}",
            words.join(" ")
        );
        Ok(said)
    }

    /// Runs a command and reads its JSON. A failed task ends it with 1, which
    /// is an answer like any other.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Value> {
        let output = self.command(words).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).with_context(|| {
            let error = String::from_utf8_lossy(&output.stderr);
            format!("`celeriac {}` answered {text:?} {error}", words.join(" "))
        })
    }

    /// Returns the worker's own memory, MiB; guests are in processes of their own.
    pub(super) fn memory(&self) -> Result<f64> {
        let file = format!("/proc/{}/status", self.worker.id());
        let status = std::fs::read_to_string(&file).context(file)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: f64 = kib.context("the worker tells no memory")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Stops the worker as an operator would, and waits for its end.
    pub(super) fn close(mut self) -> Result<()> {
        let pid = self.worker.id().to_string();
        ensure!(
            Command::new("kill").arg(&pid).status()?.success(),
            "kill {pid}"
        );
        let began = Instant::now();
        loop {
            if let Some(status) = self.worker.try_wait()? {
                ensure!(status.success(), "celeriac dev ended with {status}");
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                self.worker.kill()?;
                bail!("celeriac dev did not end within {} s", PATIENCE.as_secs());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    fn wait_for_banner(&mut self, log: &Path) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(line) = BufReader::new(File::open(log)?).lines().next() {
                say(&line?);
                return Ok(());
            }
            if let Some(status) = self.worker.try_wait()? {
                let error = std::fs::read_to_string(self.folder.join("dev.err.log"))?;
                bail!("celeriac dev ended with {status}: {error}");
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        bail!("celeriac dev did not begin within {} s", PATIENCE.as_secs())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Left early by an error: nothing of ours stays behind.
        drop(self.worker.kill());
        drop(self.worker.wait());
    }
}

/// Limits low enough that the hostile guests meet them soon, so few attempts at once that those
/// which compute honestly do not, and tenants beside `default`.
fn configuration(listen: &str, plane: &str) -> String {
    format!(
        "[worker]\nlisten = \"{listen}\"\nconcurrency = 16\n\n\
         [serve]\nlisten = \"{plane}\"\nrequests_per_minute = 100000\naddress_requests_per_minute = 100000\n\n\
         [limits]\nwall = \"4s\"\ncpu = \"1s\"\nmemory = \"64MiB\"\n\n\
         [tenants.acme]\nweight = 100\n\n[tenants.globex]\nweight = 100\n"
    )
}

/// An address of this machine at which nobody listens.
fn free_address() -> Result<String> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    Ok(address.to_string())
}

fn shortened(words: &[&str]) -> String {
    let name = |word: &&str| word.rsplit('/').next().unwrap_or(word).to_owned();
    words.iter().map(name).collect::<Vec<_>>().join(" ")
}
