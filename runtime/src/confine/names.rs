//! The files that the names of hosts are looked up in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What the C library reads to look a name up: who is asked, in which order, for what.
const FILES: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    // Modules of the library are found in it.
    "/etc/ld.so.cache",
];
/// What other libraries read below `/etc`, and may be a link to elsewhere.
const OTHERS: [&str; 6] = [
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
];

/// These files at one moment: one that is renewed is often another one of the same name, and
/// a wall that was open for the first is closed for the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<Option<(u64, u64)>>);

impl Names {
    /// Looks at them.
    #[must_use]
    pub fn now() -> Self {
        let identity = |path: &str| {
            let found = fs::metadata(path).ok()?;
            Some((found.dev(), found.ino()))
        };
        Self(FILES.iter().map(|path| identity(path)).collect())
    }

    /// Tells whether one of them is another by now.
    #[must_use]
    pub fn are_old(&self) -> bool {
        *self != Self::now()
    }
}

/// Lists what a process must be able to read to look names up.
pub(super) fn places() -> impl Iterator<Item = PathBuf> {
    let places = FILES.iter().map(Path::new).flat_map(|path| {
        let target = elsewhere(path);
        [path.to_owned()].into_iter().chain(target)
    });
    places.collect::<Vec<_>>().into_iter()
}

/// Lists where files of `/etc` are that are links to another place.
pub(super) fn linked() -> impl Iterator<Item = PathBuf> {
    let paths = FILES.iter().chain(&OTHERS);
    paths.filter_map(|path| elsewhere(Path::new(path)))
}

/// Returns where a file of `/etc` is if it is not there: its folder, because whoever
/// renews it may write another file. The root itself is never opened.
fn elsewhere(path: &Path) -> Option<PathBuf> {
    let target = path.canonicalize().ok()?;
    if target.starts_with("/etc") {
        return None;
    }
    match target.parent() {
        _ if target.is_dir() => Some(target),
        Some(folder) if folder != Path::new("/") => Some(folder.to_owned()),
        Some(_) | None => Some(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_leads_to_the_folder_of_its_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().canonicalize().unwrap().join("resolve");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("stub.conf"), "").unwrap();
        let link = place.path().join("resolv.conf");
        symlink(folder.join("stub.conf"), &link).unwrap();
        assert_eq!(elsewhere(&link), Some(folder.clone()));
        assert_eq!(elsewhere(&folder), Some(folder.clone()));
        assert_eq!(elsewhere(Path::new("/etc/passwd")), None);
        assert_eq!(elsewhere(&place.path().join("missing")), None);
        assert_eq!(elsewhere(Path::new("/")), Some(PathBuf::from("/")));
    }

    #[test]
    fn names_are_old_when_a_file_is_another() {
        let names = Names::now();
        assert!(!names.are_old());
        assert!(names.0.iter().any(Option::is_some), "{names:?}");
        let mut other = names;
        other.0.reverse();
        assert!(other.are_old());
    }

    #[test]
    fn what_names_are_looked_up_in_is_no_password() {
        for place in places() {
            let inside = place.starts_with("/etc");
            assert!(!inside || place.is_file() || !place.exists(), "{place:?}");
        }
    }
}
