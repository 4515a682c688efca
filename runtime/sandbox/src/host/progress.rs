//! `celeriac:task/progress`: how far the attempt is.

use super::Host;
use crate::attempt::{Attempt, Progress};
use crate::bindings::celeriac::task::progress::Host as Wire;
use crate::defence::{Defence, stands};
use crate::limits::Limits;
use crate::log::escape;
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
}

impl Board {
    pub(crate) fn new(limits: &Limits, attempt: &Attempt) -> Self {
        Self {
            latest: attempt.progress.clone(),
            kept: Vec::new(),
            keep: attempt.keep_progress,
            bytes: limits.progress_bytes,
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Progress> {
        std::mem::take(&mut self.kept)
    }

    fn put(&mut self, progress: Progress) {
        let is_large = (progress.state.len() + progress.meta.len()) as u64 > self.bytes;
        if is_large && stands(Defence::Progress) {
            return;
        }
        if self.kept.len() < self.keep {
            self.kept.push(progress.clone());
        }
        if let Some(latest) = &self.latest {
            latest.send_replace(Some(progress));
        }
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

impl Wire for Host {
    fn update(&mut self, current: u64, total: Option<u64>, message: Option<String>) -> Result<()> {
        let meta = serde_json::json!({
            "current": current,
            "total": total,
            "message": message.as_deref().map(escape),
        });
        self.progress.put(Progress {
            state: "PROGRESS".to_owned(),
            meta: meta.to_string(),
        });
        Ok(())
    }

    fn set_state(&mut self, state: String, meta: String) -> Result<()> {
        let is_small = (meta.len() as u64) <= self.progress.bytes;
        if is_state(&state) && is_small && crate::invoke::check_json(meta.as_bytes()).is_ok() {
            self.progress.put(Progress { state, meta });
        }
        Ok(())
    }
}
