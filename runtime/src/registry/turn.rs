//! Taking turns among the processes of one data folder: after an upgrade all of them would
//! compile the same modules at the same moment, and with many uploads at once each upload
//! would have a compiler of its own.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The file whose lock is the turn. What is in it names the turn.
const TURN_FILE: &str = "compiling";
/// Time between two looks at whose turn it is (50 ms): little beside a compilation.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for one and the same turn to end (100 s), more than the longest compilation:
/// whoever holds it longer is frozen.
const PATIENCE: Duration = Duration::from_secs(100);
/// Bytes that name a turn: the process, and the number of its turn there.
const NAME: usize = 16;

/// Waits until no other process of this folder compiles; the turn ends with what is returned.
/// However many wait, one has the turn; only one that never ends is passed by. Where files
/// cannot be locked there are no turns.
pub(super) async fn take(dir: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let file = options.open(dir.join(TURN_FILE)).ok()?;
    let mut watched = (None, Instant::now());
    loop {
        match file.try_lock() {
            Ok(()) => {
                // Unnamed, it looks like the turn before to those that wait.
                drop(name(&file));
                return Some(file);
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return None,
        }
        let (turn, since) = watched;
        let now = named(&file);
        if now != turn {
            watched = (now, Instant::now());
        } else if since.elapsed() >= PATIENCE {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Gives a turn a name that no turn before it had.
fn name(file: &File) -> io::Result<()> {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    let number = TURNS.fetch_add(1, Ordering::Relaxed);
    let mut name = [0; NAME];
    let (process, turn) = name.split_at_mut(NAME / 2);
    process.copy_from_slice(&u64::from(std::process::id()).to_le_bytes());
    turn.copy_from_slice(&number.to_le_bytes());
    file.write_all_at(&name, 0)
}

fn named(file: &File) -> Option<[u8; NAME]> {
    let mut name = [0; NAME];
    file.read_exact_at(&mut name, 0).ok()?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_has_the_turn_and_whoever_keeps_it_for_ever_is_passed_by() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).await;
        assert!(first.is_some());
        let begun = Instant::now();
        assert!(take(dir.path()).await.is_none());
        assert!(begun.elapsed() >= PATIENCE);
        drop(first);
        assert!(take(dir.path()).await.is_some());
        assert!(take(&dir.path().join("missing")).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_have_their_turns_one_after_the_other_however_long_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let compiling = AtomicU64::new(0);
        let compile = async || {
            let turn = take(dir.path()).await;
            assert_eq!(compiling.fetch_add(1, Ordering::Relaxed), 0);
            tokio::time::advance(Duration::from_secs(89)).await;
            compiling.fetch_sub(1, Ordering::Relaxed);
            assert!(turn.is_some());
        };
        let begun = Instant::now();
        futures::future::join_all((0..4).map(|_| compile())).await;
        assert!(begun.elapsed() >= Duration::from_secs(356));
    }
}
