//! The folder: names, locks, and files that are whole or not there.

use super::{SYSTEM, malformed, unavailable};
use crate::results::ResultsError;
use crate::task::TaskId;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// What Celery puts before the id of a task.
pub(super) const DOCUMENT: &str = "celery-task-meta-";
/// What Celery puts before the id of a group.
pub(super) const GROUP: &str = "celery-taskset-meta-";
/// What stands before the id in the name of a record of a run.
pub(super) const RUN: &str = "celeriac-run-";
/// What the name of a file that is being written begins with.
pub(super) const ASIDE: &str = ".celeriac-aside-";
/// Largest file that is read (64 MiB): a result has at most 16.
const FILE_BYTES: u64 = 64 << 20;
/// Longest name of a file, bytes, as Linux' file systems have it.
const NAME_BYTES: usize = 255;
/// Lock files: so many tasks are written at once, whatever process writes them.
const LOCKS: u8 = 64;
/// Longest wait for a lock (5 s): who holds one for longer is stopped.
const WAIT: Duration = Duration::from_secs(5);
/// Between two tries to get a lock (2 ms).
const AGAIN: Duration = Duration::from_millis(2);

/// A folder of results.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: Arc<Path>,
    prefix: Arc<str>,
}

/// The files of one task.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) document: String,
    pub(super) run: String,
}

impl Folder {
    /// Takes a folder, and tries whether files can be made in it, as Celery does.
    pub(super) fn open(path: &Path, prefix: &str) -> Result<Self, ResultsError> {
        let joint = match prefix.ends_with([':', '_', '-', '.']) || prefix.is_empty() {
            true => "",
            false => "_",
        };
        let folder = Self {
            path: path.into(),
            prefix: format!("{prefix}{joint}").into(),
        };
        let aside = folder.path(&aside());
        let tried = create(&aside).and_then(|_| fs::remove_file(&aside));
        tried.map_err(|error| ResultsError::Misconfigured {
            system: SYSTEM,
            reason: format!(
                "no file can be made in {}: {error}; make the folder, and let this user write to it",
                path.display()
            ),
        })?;
        Ok(folder)
    }

    /// Returns where the files are.
    pub(super) fn root(&self) -> &Path {
        &self.path
    }

    /// Returns what stands before every name.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Names the files of a task. Ids are their callers' choice, and not all of them
    /// can be part of a name.
    pub(super) fn names(&self, id: &TaskId) -> Result<Names, ResultsError> {
        let document = format!("{}{DOCUMENT}{id}", self.prefix);
        if id.as_str().contains('/') || document.len() > NAME_BYTES {
            return Err(malformed(format!(
                "task id {id} cannot be part of a file's name; send ids without \"/\", of at most {} bytes",
                NAME_BYTES.saturating_sub(self.prefix.len() + DOCUMENT.len())
            )));
        }
        let run = format!("{}{RUN}{id}", self.prefix);
        Ok(Names { document, run })
    }

    /// Waits until nobody else writes about a task; until the lock is dropped, nobody does.
    pub(super) fn lock(&self, id: &TaskId) -> Result<File, ResultsError> {
        let [first, ..] = *blake3::hash(id.as_str().as_bytes()).as_bytes();
        let path = self.path(&format!(
            "{}celeriac-lock-{:02}",
            self.prefix,
            first % LOCKS
        ));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o660);
        let file = options.open(&path).map_err(|error| away(&path, &error))?;
        let until = Instant::now() + WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(away(&path, &error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(unavailable(format!(
                        "{} was locked by another process for {} s",
                        path.display(),
                        WAIT.as_secs()
                    )));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(AGAIN),
            }
        }
    }

    /// Reads a file, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ResultsError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(away(&path, &error)),
        };
        let metadata = file.metadata().map_err(|error| away(&path, &error))?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES {
            return Err(malformed(format!(
                "{} is no file of a result; remove it",
                path.display()
            )));
        }
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| away(&path, &error))?;
        Ok(Some(bytes))
    }

    /// Writes a file aside, and puts it in its place when all of it is on the disk.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ResultsError> {
        let (path, aside) = (self.path(name), self.path(&aside()));
        let written = create(&aside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            File::open(&self.path)?.sync_all()
        });
        written.map_err(|error| {
            // It may not be there.
            drop(fs::remove_file(&aside));
            away(&path, &error)
        })
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<bool, ResultsError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(away(&path, &error)),
        }
    }
}

fn aside() -> String {
    format!("{ASIDE}{}", uuid::Uuid::new_v4())
}

/// Makes a new file. Clients of Celery read it, so its mode is the process' own choice.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(super) fn away(path: &Path, error: &io::Error) -> ResultsError {
    unavailable(format!("{}: {error}", path.display()))
}
