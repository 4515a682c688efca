//! Waiting for what another process does.

use std::time::{Duration, Instant};

/// Longest wait for anything (50 s): below the time at which the test runner
/// calls a test slow, so that the words here are the ones that are read.
pub const PATIENCE: Duration = Duration::from_secs(50);
/// Between two looks (10 ms): a look may start a process.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until there is something.
///
/// # Panics
/// When there is nothing within [`PATIENCE`]; `what` says what was waited for.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: not within {} s",
            PATIENCE.as_secs()
        );
        pause();
    }
}

/// Waits a moment between two looks.
pub(crate) fn pause() {
    std::thread::sleep(PAUSE);
}
