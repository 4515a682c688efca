//! Taking turns among the processes of one data folder: after an upgrade all of them would
//! compile the same modules at the same moment.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// The file whose lock is the turn.
const TURN_FILE: &str = "compiling";
/// Time between two looks at whose turn it is (50 ms): little beside a compilation.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for a turn (90 s), the longest compilation: whoever holds it longer is frozen.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until no other process of this folder compiles; the turn ends with what is returned.
/// It only saves work: where files cannot be locked, or nobody lets go, there is none.
pub(super) async fn take(dir: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    let file = options.open(dir.join(TURN_FILE)).ok()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
        }
    }
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
}
