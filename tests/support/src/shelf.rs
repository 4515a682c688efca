//! Folders of data in which components were pushed, kept for all tests of one build.
//!
//! Compiling a component takes a second of CPU, and some hundred tests begin with a push of
//! the same few. The first to push some keeps a copy of its folder here, as an operator may
//! bring one over from another machine, and who begins the same way begins with the copy.

use std::fs::{self, DirBuilder, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What a push said, beside the copy of the folder.
const ANSWER: &str = "answer.json";
/// The copy of the folder.
const DATA: &str = "data";

/// The shelf of one build of the program.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
}

/// How a folder of data came to be what it is, as long as nobody else changed it.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    pushes: Vec<String>,
    files: Vec<String>,
}

impl Begun {
    /// Notes a push, after which the folder is as it is now.
    fn pushed(&mut self, push: String, data: &Path) {
        self.pushes.push(push);
        self.files = listing(data);
    }

    /// Tells whether the folder is as the last push left it.
    pub(crate) fn is_all(&self, data: &Path) -> bool {
        listing(data) == self.files
    }
}

impl Shelf {
    /// Opens the shelf of a program beside the components. What another build of it left is
    /// of no use any more, and goes.
    pub(crate) fn of(program: &Path, components: &Path) -> Self {
        let shelves = components.with_file_name("shelf");
        let folder = shelves.join(stamp(&fs::metadata(program).expect("the program")));
        if !folder.exists() {
            for old in entries(&shelves).iter().filter(|old| **old != folder) {
                // Perhaps another test does it at this moment.
                let _gone = fs::remove_dir_all(old);
            }
            fs::create_dir_all(&folder).expect("a folder for copies");
        }
        Self { folder }
    }

    /// Makes a folder of data what it is after one more push, if another test began the same
    /// way, and returns what the push said.
    pub(crate) fn lend(&self, begun: &mut Begun, push: &str, data: &Path) -> Option<String> {
        let place = self.place(begun, push);
        let answer = fs::read_to_string(place.join(ANSWER)).ok()?;
        let _none_yet = fs::remove_dir_all(data);
        copy(&place.join(DATA), data);
        begun.pushed(push.to_owned(), data);
        Some(answer)
    }

    /// Keeps a folder of data as it is after a push.
    pub(crate) fn keep(&self, begun: &mut Begun, push: &str, data: &Path, answer: &str) {
        let place = self.place(begun, push);
        let aside = tempfile::tempdir_in(&self.folder).expect("a folder aside");
        copy(data, &aside.path().join(DATA));
        fs::write(aside.path().join(ANSWER), answer).expect("a file");
        begun.pushed(push.to_owned(), data);
        // Where another test was first, its copy stays, and this one goes.
        if fs::rename(aside.path(), &place).is_ok() {
            let _moved = aside.keep();
        }
    }

    fn place(&self, begun: &Begun, push: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        (&begun.pushes, push).hash(&mut hasher);
        self.folder.join(format!("{:016x}", hasher.finish()))
    }
}

/// What changes whenever a file is written anew.
pub(crate) fn stamp(file: &Metadata) -> String {
    format!("{}-{}-{}", file.size(), file.mtime(), file.mtime_nsec())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// Lists all files below a folder with what changes when they do.
fn listing(folder: &Path) -> Vec<String> {
    let mut listed = Vec::new();
    for path in entries(folder) {
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => listed.extend(listing(&path)),
            Ok(found) => listed.push(format!("{} {}", path.display(), stamp(&found))),
            Err(_) => {}
        }
    }
    listed
}

/// Copies a folder with all below it; nobody but its owner may read the copy.
fn copy(from: &Path, to: &Path) {
    let mut builder = DirBuilder::new();
    // It is there already where something is mounted.
    builder
        .recursive(true)
        .mode(0o700)
        .create(to)
        .expect("a folder");
    for path in entries(from) {
        let there = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, &there).expect("a copy");
        }
    }
}
