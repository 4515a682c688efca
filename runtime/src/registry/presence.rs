//! Which workers run, and waiting until all of them have a new version.

use super::error::RegistryError;
use super::{Registry, rows};
use std::fmt;
use std::time::{Duration, Instant};

/// How often a waiting push looks whether a worker fell silent (250 ms); what
/// workers say is seen at once.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What workers are waited for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A generation of modules.
    Generation(u64),
    /// A number of changes of kills.
    Kills(u64),
}

/// How many workers have a generation. Its text is what a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveReport {
    /// Workers that run.
    pub workers: u32,
    /// Those that have it.
    pub live: u32,
    /// How long that took.
    pub after: Duration,
}

impl Registry {
    /// Waits until every worker that runs has loaded `generation`, at most for
    /// `timeout`, and tells how many have. Does not wait when none runs.
    ///
    /// # Errors
    /// [`RegistryError::Database`].
    pub async fn wait_live(
        &self,
        generation: u64,
        timeout: Duration,
    ) -> Result<LiveReport, RegistryError> {
        self.wait(Wanted::Generation(generation), timeout).await
    }

    pub(super) async fn wait(
        &self,
        wanted: Wanted,
        timeout: Duration,
    ) -> Result<LiveReport, RegistryError> {
        let begun = Instant::now();
        let mut watcher = self.store().watch();
        loop {
            let now_ms = self.clock().now_ms();
            let (workers, live) = rows::workers(self.store(), wanted, now_ms).await?;
            let after = begun.elapsed();
            if workers == live || after >= timeout {
                return Ok(LiveReport {
                    workers,
                    live,
                    after,
                });
            }
            let wait = LOOK_AGAIN.min(timeout.saturating_sub(after));
            if let Ok(changed) = tokio::time::timeout(wait, watcher.changed()).await {
                changed?;
            }
        }
    }
}

impl fmt::Display for LiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workers,
            live,
            after,
        } = self;
        let after = after.as_millis();
        match (workers, live) {
            (0, _) => f.write_str("no worker is running: start one with `celeriac dev`"),
            (1, 1) => write!(f, "live on 1 worker after {after} ms"),
            (all, some) if all == some => write!(f, "live on {all} workers after {after} ms"),
            (all, some) => write!(
                f,
                "live on {some} of {all} workers after {after} ms; the others load it when they can"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_in_words() {
        let text = |workers, live| {
            let after = Duration::from_millis(74);
            LiveReport {
                workers,
                live,
                after,
            }
            .to_string()
        };
        assert_eq!(
            text(0, 0),
            "no worker is running: start one with `celeriac dev`"
        );
        assert_eq!(text(1, 1), "live on 1 worker after 74 ms");
        assert_eq!(text(3, 3), "live on 3 workers after 74 ms");
        assert!(text(3, 1).starts_with("live on 1 of 3 workers after 74 ms"));
    }
}
