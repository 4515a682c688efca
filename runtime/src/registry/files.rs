//! Components and artifacts on disk, named by digest.
//!
//! A file is written aside, synced, and renamed: it is there whole or not at
//! all, and it never changes. What a killed process leaves behind carries a
//! name of its own ([`ASIDE`]) until the collection of garbage takes it.

use super::compile::CODE_BYTES;
use super::digest::Digest;
use super::seal::SEAL_BYTES;
use crate::clock::Clock;
use jiff::Timestamp;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Prefix of the name of a file that is being written.
const ASIDE: &str = ".aside-";
/// Folder of the uploaded components.
const COMPONENTS: &str = "components";
/// Folder of the compiled artifacts.
const ARTIFACTS: &str = "artifacts";

/// The folders of components and artifacts.
#[derive(Debug, Clone)]
pub(super) struct Files {
    dir: PathBuf,
    clock: Clock,
    /// Sixteen digits that stand for the compatibility string in file names.
    compatibility: String,
}

/// One file in the two folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// When it was written, or last asked for by a push.
    pub(super) modified: Timestamp,
    pub(super) bytes: u64,
}

/// What a file is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Component(Digest),
    /// `ours`: made for this very engine.
    Artifact {
        digest: Digest,
        ours: bool,
    },
    /// Left by a write that never ended, or nothing of ours.
    Aside,
}

impl Files {
    /// Opens the folders below `dir`, creating them with mode 0700.
    pub(super) fn open(dir: &Path, clock: Clock, compatibility: &str) -> io::Result<Self> {
        for folder in [COMPONENTS, ARTIFACTS] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir.join(folder))?;
        }
        let compatibility = blake3::hash(compatibility.as_bytes()).to_hex();
        Ok(Self {
            dir: dir.to_owned(),
            clock,
            compatibility: compatibility.chars().take(16).collect(),
        })
    }

    /// Returns where the component is or would be.
    pub(super) fn component_path(&self, digest: Digest) -> PathBuf {
        self.dir
            .join(COMPONENTS)
            .join(format!("{}.wasm", digest.hex()))
    }

    /// Returns where the artifact for this engine is or would be.
    pub(super) fn artifact_path(&self, digest: Digest) -> PathBuf {
        let name = format!("{}-{}.cwasm", digest.hex(), self.compatibility);
        self.dir.join(ARTIFACTS).join(name)
    }

    /// Writes a component, `anew` even where it is there already: how long that takes tells
    /// nobody whether it was. Otherwise one that is there, unharmed, only counts as new again,
    /// so that no collection takes it from a push.
    pub(super) fn put_component(&self, digest: Digest, bytes: &[u8], anew: bool) -> io::Result<()> {
        let path = self.component_path(digest);
        if anew {
            return self.write(&path, bytes);
        }
        let there = read_bounded(&path, bytes.len() as u64)?;
        if there.as_deref() == Some(bytes) {
            return self.touch(&path);
        }
        self.write(&path, bytes)
    }

    /// Reads a component of at most `most` bytes, if it is there.
    pub(super) fn component(&self, digest: Digest, most: u64) -> io::Result<Option<Vec<u8>>> {
        read_bounded(&self.component_path(digest), most)
    }

    /// Writes an artifact in place of whatever is there.
    pub(super) fn put_artifact(&self, digest: Digest, sealed: &[u8]) -> io::Result<()> {
        self.write(&self.artifact_path(digest), sealed)
    }

    /// Reads an artifact, if it is there.
    pub(super) fn artifact(&self, digest: Digest) -> io::Result<Option<Vec<u8>>> {
        read_bounded(&self.artifact_path(digest), CODE_BYTES + SEAL_BYTES)
    }

    /// Tells whether a component is there, of the size that it should have.
    pub(super) fn has(&self, digest: Digest, bytes: u64) -> bool {
        let found = fs::metadata(self.component_path(digest));
        found.is_ok_and(|found| found.is_file() && found.len() == bytes)
    }

    /// Notes that a component was needed until now, for those who remove what was not.
    pub(super) fn used(&self, digest: Digest) -> io::Result<()> {
        self.touch(&self.component_path(digest))?;
        self.touch(&self.artifact_path(digest))
    }

    /// Lists all files of both folders.
    pub(super) fn list(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for folder in [COMPONENTS, ARTIFACTS] {
            for entry in fs::read_dir(self.dir.join(folder))? {
                let entry = entry?;
                // Another process may have collected it in between.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if !metadata.is_file() {
                    continue;
                }
                found.push(Found {
                    kind: self.kind(&entry.file_name().to_string_lossy()),
                    path: entry.path(),
                    modified: Timestamp::try_from(metadata.modified()?).unwrap_or(Timestamp::MIN),
                    bytes: metadata.len(),
                });
            }
        }
        Ok(found)
    }

    /// Tells whether a file was not written or asked for since it was found.
    pub(super) fn is_as_found(&self, found: &Found) -> bool {
        let modified = fs::metadata(&found.path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| {
            Timestamp::try_from(modified).is_ok_and(|now| now == found.modified)
        })
    }

    /// Removes a file, and tells whether it did; the next collection tries
    /// again what this one could not.
    pub(super) fn remove(&self, found: &Found) -> bool {
        match fs::remove_file(&found.path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(path = %found.path.display(), %error, "a file that nothing needs cannot be removed");
                false
            }
        }
    }

    fn kind(&self, name: &str) -> Kind {
        if let Some(digest) = name.strip_suffix(".wasm").and_then(|hex| hex.parse().ok()) {
            return Kind::Component(digest);
        }
        let artifact = name
            .strip_suffix(".cwasm")
            .and_then(|stem| stem.split_once('-'));
        if let Some((hex, compatibility)) = artifact
            && let Ok(digest) = hex.parse()
        {
            let ours = compatibility == self.compatibility;
            return Kind::Artifact { digest, ours };
        }
        Kind::Aside
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.dir);
        let aside = folder.join(format!("{ASIDE}{}", uuid::Uuid::new_v4().simple()));
        let written = self
            .write_aside(&aside, bytes)
            .and_then(|()| fs::rename(&aside, path));
        if written.is_err() {
            // The first error is the one to tell.
            drop(fs::remove_file(&aside));
        }
        written?;
        File::open(folder)?.sync_all()
    }

    fn write_aside(&self, aside: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(aside)?;
        file.write_all(bytes)?;
        file.set_modified(SystemTime::from(self.clock.now()))?;
        file.sync_all()
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        match OpenOptions::new().write(true).open(path) {
            Ok(file) => file.set_modified(SystemTime::from(self.clock.now())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads a file; one with more than `most` bytes reads as cut, which every
/// caller finds out by the digest or the seal.
fn read_bounded(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn files(dir: &Path) -> Files {
        let clock = Clock::manual(Timestamp::from_second(1_000_000).unwrap());
        Files::open(dir, clock, "engine 1").unwrap()
    }

    #[test]
    fn only_the_owner_can_read_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let digest = Digest::of(b"wasm");
        files.put_component(digest, b"wasm", false).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.component_path(digest)), 0o600);
        assert_eq!(mode(&dir.path().join(COMPONENTS)), 0o700);
        assert_eq!(mode(&dir.path().join(ARTIFACTS)), 0o700);
    }

    #[test]
    fn a_component_reads_back_and_a_damaged_one_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let digest = Digest::of(b"wasm");
        assert_eq!(files.component(digest, 9).unwrap(), None);
        files.put_component(digest, b"wasm", false).unwrap();
        fs::write(files.component_path(digest), b"wa").unwrap();
        files.put_component(digest, b"wasm", false).unwrap();
        assert_eq!(
            files.component(digest, 9).unwrap().as_deref(),
            Some(b"wasm".as_slice())
        );
    }

    #[test]
    fn no_more_than_asked_for_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let digest = Digest::of(b"wasm");
        fs::write(files.component_path(digest), vec![0; 100]).unwrap();
        assert_eq!(files.component(digest, 10).unwrap().unwrap().len(), 11);
    }

    #[test]
    fn the_list_tells_what_each_file_is_and_when_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let other = Files::open(dir.path(), Clock::System, "engine 2").unwrap();
        let digest = Digest::of(b"wasm");
        files.put_component(digest, b"wasm", false).unwrap();
        files.put_artifact(digest, b"sealcode").unwrap();
        other.put_artifact(digest, b"x").unwrap();
        fs::write(dir.path().join(COMPONENTS).join(".aside-1"), b"").unwrap();
        let mut kinds: Vec<_> = files
            .list()
            .unwrap()
            .into_iter()
            .map(|one| one.kind)
            .collect();
        kinds.sort_by_key(|kind| format!("{kind:?}"));
        assert_eq!(
            kinds,
            [
                Kind::Artifact {
                    digest,
                    ours: false
                },
                Kind::Artifact { digest, ours: true },
                Kind::Aside,
                Kind::Component(digest),
            ]
        );
        let written = Timestamp::from_second(1_000_000).unwrap();
        let mine = files
            .list()
            .unwrap()
            .into_iter()
            .filter(|one| one.modified == written);
        assert_eq!(mine.count(), 2);
    }
}
