//! Real Celery, in an environment that `cargo xtask test` made.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs a script without the collector of cycles: it may end a result of Celery's client
/// while this holds the lock of its connection for another, and wait for itself.
const UNCOLLECTED: &str = "import gc, runpy, sys; gc.disable(); del sys.argv[0]; \
    runpy.run_path(sys.argv[0], run_name='__main__')";

/// An environment with one release of Celery.
#[derive(Debug, Clone)]
pub struct Python {
    programs: PathBuf,
    scripts: PathBuf,
    variables: Vec<(String, String)>,
}

/// A program of Python that runs until it is told to stop, such as a worker; killed
/// when dropped.
#[derive(Debug)]
pub struct PythonWorker(Child);

impl Python {
    /// Finds the environment of a release of Celery, such as `5.7`, within a
    /// target folder. `scripts` is where the scripts are.
    ///
    /// # Panics
    /// When it was not made.
    #[must_use]
    pub fn new(target: &Path, release: &str, scripts: impl Into<PathBuf>) -> Self {
        let programs = target.join(format!("python/celery-{release}/bin"));
        assert!(
            programs.join("python").exists(),
            "{} is missing: `cargo xtask test` makes it",
            programs.display()
        );
        Self {
            programs,
            scripts: scripts.into(),
            variables: Vec::new(),
        }
    }

    /// Returns the folder of its programs.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Sets a variable of the environment of all that is started.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs a script, and reads the JSON document it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run(&self, script: &str, arguments: &[&str]) -> Value {
        let output = Command::new(self.programs.join("python"))
            .args(["-c", UNCOLLECTED])
            .arg(self.scripts.join(script))
            .args(arguments)
            .env("PYTHONPATH", &self.scripts)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(self.variables.iter().cloned())
            .output()
            .expect("Python runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
        serde_json::from_slice(&output.stdout).expect("a JSON document")
    }

    /// Starts a worker of `worker.py` on a queue.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn worker(&self, broker: &str, backend: &str, queue: &str) -> PythonWorker {
        let arguments = ["-A", "worker", "worker", "-P", "solo", "-Q", queue];
        let quiet = ["--without-mingle", "--without-gossip", "-l", "warning"];
        self.celery(&[&arguments[..], &quiet].concat(), broker, backend)
    }

    /// Starts a worker with arguments of one's own, in the folder of the scripts.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn celery(&self, arguments: &[&str], broker: &str, backend: &str) -> PythonWorker {
        let mut command = Command::new(self.programs.join("celery"));
        command
            .args(arguments)
            .env("BROKER", broker)
            .env("BACKEND", backend);
        self.spawn(command)
    }

    /// Starts a script that runs until it is told to stop.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, script: &str, arguments: &[&str]) -> PythonWorker {
        let mut command = Command::new(self.programs.join("python"));
        command.arg(self.scripts.join(script)).args(arguments);
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> PythonWorker {
        let child = command
            .current_dir(&self.scripts)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("C_FORCE_ROOT", "1")
            // Flower's programming interface, on an address of this machine alone.
            .env("FLOWER_UNAUTHENTICATED_API", "true")
            .envs(self.variables.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        PythonWorker(child)
    }
}

impl PythonWorker {
    /// Asks it to stop, as service managers do, and waits until it and the
    /// processes of its pool are gone.
    ///
    /// # Panics
    /// When it fails or does not end within [`PATIENCE`](crate::wait::PATIENCE).
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let status = crate::until("Celery ends", || {
            self.0.try_wait().expect("a child of ours")
        });
        assert!(status.success(), "Celery ended with {status}");
    }
}

impl Drop for PythonWorker {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}
