//! `celeriac:task/progress`: how far the attempt is.

use super::Host;
use crate::attempt::{Attempt, Progress};
use crate::bindings::celeriac::task::progress::Host as Wire;
use crate::defence::{Defence, stands};
use crate::limits::Limits;
use crate::log::{Level, escape};
use tokio::sync::watch;
use wasmtime::Result;

/// Longest name of a custom state, bytes.
const STATE_BYTES: usize = 64;

/// Celery's own states, which a guest cannot set.
const RESERVED: [&str; 8] = [
    "PENDING", "RECEIVED", "STARTED", "SUCCESS", "FAILURE", "REVOKED", "REJECTED", "RETRY",
];

/// Keeps the latest progress: a newer one replaces an older one that nobody
/// read, so that a flood costs one slot.
pub(crate) struct Board {
    latest: Option<watch::Sender<Option<Progress>>>,
    kept: Vec<Progress>,
    keep: usize,
    bytes: u64,
    is_told: bool,
}

impl Board {
    pub(crate) fn new(limits: &Limits, attempt: &Attempt) -> Self {
        Self {
            latest: attempt.progress.clone(),
            kept: Vec::new(),
            keep: attempt.keep_progress,
            bytes: limits.progress_bytes,
            is_told: false,
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Progress> {
        std::mem::take(&mut self.kept)
    }

    /// Keeps progress; what is too large is dropped, and the first time there is something
    /// to say about it.
    fn put(&mut self, progress: Progress) -> Option<String> {
        let bytes = (progress.state.len() + progress.meta.len()) as u64;
        if bytes > self.bytes && stands(Defence::Progress) {
            return self.dropped(bytes);
        }
        if self.kept.len() < self.keep {
            self.kept.push(progress.clone());
        }
        if let Some(latest) = &self.latest {
            latest.send_replace(Some(progress));
        }
        None
    }

    fn dropped(&mut self, bytes: u64) -> Option<String> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        let most = self.bytes;
        is_first.then(|| {
            format!(
                "progress of {bytes} bytes was dropped, as all of more than limits.progress = {most} bytes"
            )
        })
    }
}

impl Progress {
    /// Checks progress that another process tells.
    ///
    /// # Errors
    /// What no sandbox with these limits would tell.
    pub fn check(&self, limits: &Limits) -> Result<(), String> {
        let bytes = (self.state.len() + self.meta.len()) as u64;
        if bytes > limits.progress_bytes {
            return Err(format!("progress of {bytes} bytes"));
        }
        if self.state != "PROGRESS" && !is_state(&self.state) {
            return Err("progress with a state that is no guest's".to_owned());
        }
        crate::invoke::check_json(self.meta.as_bytes())
    }
}

/// Tells whether a guest may have a state of that name.
fn is_state(state: &str) -> bool {
    let is_name = !state.is_empty()
        && state.len() <= STATE_BYTES
        && state
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_name && !RESERVED.contains(&state) && state != "IGNORED"
}

impl Host {
    fn told(&mut self, progress: Progress) {
        if let Some(note) = self.progress.put(progress) {
            self.log.emit(Level::Warn, &note, &[]);
        }
    }
}

impl Wire for Host {
    fn update(&mut self, current: u64, total: Option<u64>, message: Option<String>) -> Result<()> {
        let meta = serde_json::json!({
            "current": current,
            "total": total,
            "message": message.as_deref().map(escape),
        });
        self.told(Progress {
            state: "PROGRESS".to_owned(),
            meta: meta.to_string(),
        });
        Ok(())
    }

    fn set_state(&mut self, state: String, meta: String) -> Result<()> {
        // What is too large is not read.
        let is_small = (meta.len() as u64) <= self.progress.bytes;
        if is_state(&state) && (!is_small || crate::invoke::check_json(meta.as_bytes()).is_ok()) {
            self.told(Progress { state, meta });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_over_its_limit_is_dropped_and_told_once() {
        let limits = Limits {
            progress_bytes: 20,
            ..Limits::default()
        };
        let (sender, seen) = watch::channel(None);
        let attempt = Attempt {
            progress: Some(sender),
            ..Attempt::default()
        };
        let mut board = Board::new(&limits, &attempt);
        let progress = |bytes: usize| Progress {
            state: "PROGRESS".to_owned(),
            meta: "7".repeat(bytes),
        };
        assert_eq!(board.put(progress(12)), None);
        assert_eq!(
            board.put(progress(13)).as_deref(),
            Some(
                "progress of 21 bytes was dropped, as all of more than limits.progress = 20 bytes"
            )
        );
        assert_eq!(board.put(progress(14)), None);
        assert_eq!(*seen.borrow(), Some(progress(12)));
    }
}
