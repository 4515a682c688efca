//! Removing what is past its time.

use super::folder::{ASIDE, DOCUMENT, Folder, GROUP, RUN, away};
use super::run::Run;
use super::{SWEPT, unavailable};
use crate::clock::after;
use crate::results::ResultsError;
use jiff::Timestamp;
use std::collections::HashSet;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read as _};
use std::time::Duration;

/// How much of a document is read to see when it is over, bytes: we write that first.
const HEAD: u64 = 256;
/// What stands before that moment.
const EXPIRES: &str = r#""celeriac": {"expires_at":"#;
/// How long a file that was never put in its place is left alone (1 h).
const ASIDE_KEPT: Duration = Duration::from_secs(3_600);

/// Removes what is past its time, of at most [`SWEPT`] tasks, and returns of how many.
/// What others wrote, and does not say when it is over, goes `keep` after it was written.
pub(super) fn sweep(
    folder: &Folder,
    keep: Option<Duration>,
    now: Timestamp,
) -> Result<u64, ResultsError> {
    let root = folder.root();
    let entries = fs::read_dir(root).map_err(|error| away(root, &error))?;
    let mut swept = HashSet::new();
    for entry in entries {
        let entry = entry.map_err(|error| away(root, &error))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        let Some((kind, id)) = sorted(folder, name) else {
            continue;
        };
        match is_past(&entry, kind, keep, now) {
            Ok(true) => {}
            Ok(false) => continue,
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(away(&entry.path(), &error)),
        }
        if folder.remove(name)? && kind != Kind::Aside {
            swept.insert(id.to_owned());
        }
        if swept.len() >= SWEPT {
            break;
        }
    }
    u64::try_from(swept.len()).map_err(|error| unavailable(error.to_string()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Document,
    Group,
    Run,
    Aside,
}

/// Tells what a file is by its name, and whose.
fn sorted<'a>(folder: &Folder, name: &'a str) -> Option<(Kind, &'a str)> {
    if let Some(rest) = name.strip_prefix(ASIDE) {
        return Some((Kind::Aside, rest));
    }
    let name = name.strip_prefix(folder.prefix())?;
    [
        (Kind::Document, DOCUMENT),
        (Kind::Group, GROUP),
        (Kind::Run, RUN),
    ]
    .into_iter()
    .find_map(|(kind, prefix)| Some((kind, name.strip_prefix(prefix)?)))
}

fn is_past(
    entry: &DirEntry,
    kind: Kind,
    keep: Option<Duration>,
    now: Timestamp,
) -> io::Result<bool> {
    let old = |span: Duration| -> io::Result<bool> {
        let modified = entry.metadata()?.modified()?;
        let modified = Timestamp::try_from(modified).unwrap_or(Timestamp::MAX);
        Ok(after(modified, span) <= now)
    };
    let said = match kind {
        Kind::Aside => return old(ASIDE_KEPT),
        Kind::Group => None,
        Kind::Document => said_by_document(&head(entry, HEAD)?),
        // A record has a few hundred bytes; one of nonsense goes by its age.
        Kind::Run => Run::read(&head(entry, 1 << 16)?).map(|run| run.expires_at),
    };
    match (said, keep) {
        (Some(Some(at)), _) => Ok(at <= now.as_millisecond()),
        (Some(None), _) | (None, None) => Ok(false),
        (None, Some(keep)) => old(keep),
    }
}

fn head(entry: &DirEntry, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(entry.path())?
        .take(most)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads when a document says it is over: `None` when it is none of ours, `Some(None)`
/// when it is kept for ever.
fn said_by_document(head: &[u8]) -> Option<Option<i64>> {
    let head = String::from_utf8_lossy(head);
    let Some((_, rest)) = head.split_once(EXPIRES) else {
        return head.contains(r#""celeriac": {"#).then_some(None);
    };
    let digits = rest.split([',', '}']).next()?;
    digits.trim().parse().ok().map(Some)
}
