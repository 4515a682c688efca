//! The limits of one attempt.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The largest memory limit that can be set: the size of a pool slot.
pub(crate) const MEMORY_CEILING: u64 = 256 * MIB;

/// Everything one attempt may use. The defaults are those of a task that asks
/// for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Time from start to end (300 s): long enough for honest work, short
    /// enough that a stuck task is seen the same hour.
    pub wall: Duration,
    /// Time after which the guest is asked to stop (none).
    pub soft: Option<Duration>,
    /// CPU time (30 s): a waiting task costs nothing, a computing one a core.
    pub cpu: Duration,
    /// Bytes of all linear memories and tables together (64 MiB); at most 256 MiB.
    pub memory: u64,
    /// Bytes of positional and keyword arguments together (4 MiB).
    pub arguments_bytes: u64,
    /// Bytes of a result (4 MiB).
    pub result_bytes: u64,
    /// Bytes of kind, message and trace of a failure together (64 KiB); what is
    /// over is cut.
    pub failure_bytes: u64,
    /// Bytes of the log, standard output and standard error included (256 KiB).
    pub log_bytes: u64,
    /// Lines of the log (2,000).
    pub log_lines: u32,
    /// Bytes of one progress update (16 KiB); a larger one is dropped.
    pub progress_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(300),
            soft: None,
            cpu: Duration::from_secs(30),
            memory: 64 * MIB,
            arguments_bytes: 4 * MIB,
            result_bytes: 4 * MIB,
            failure_bytes: 64 * KIB,
            log_bytes: 256 * KIB,
            log_lines: 2_000,
            progress_bytes: 16 * KIB,
        }
    }
}

impl Limits {
    /// The limits in which a component describes itself at upload: 64 MiB,
    /// 250 ms of CPU, 5 s in all (a busy machine may take its time).
    #[must_use]
    pub fn describe() -> Self {
        Self {
            wall: Duration::from_secs(5),
            cpu: Duration::from_millis(250),
            ..Self::default()
        }
    }
}
