//! Waiting for what workers elsewhere do not know yet.

use super::{Plane, Problem, trouble};
use crate::plane::NEWS_SECONDS;
use crate::registry::News;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two looks (50 ms): a busy file commits hundreds of times a second,
/// and almost never for workers.
const PACE: Duration = Duration::from_millis(50);

/// Reads for how many seconds a worker wants to wait.
///
/// # Errors
/// 400 for a longer wait than there is.
pub(super) fn span(wait: Option<u64>) -> Result<Duration, Problem> {
    let wait = wait.unwrap_or_default();
    match wait <= NEWS_SECONDS {
        true => Ok(Duration::from_secs(wait)),
        false => Err(Problem::invalid(
            format!("wait is {wait}; at most {NEWS_SECONDS} seconds are allowed"),
            "wait for less, and ask again",
        )),
    }
}

/// A wait for news.
#[derive(Debug)]
pub(super) struct Waiting {
    plane: Plane,
    news: News,
    end: Instant,
}

impl Waiting {
    /// Begins one, of so many seconds at most.
    ///
    /// # Errors
    /// 400 for a longer one than there is.
    pub(super) fn new(plane: &Plane, wait: Option<u64>) -> Result<Self, Problem> {
        Ok(Self {
            plane: plane.clone(),
            news: plane.registry.news(),
            end: Instant::now() + span(wait)?,
        })
    }

    /// Waits until it is worth while to look again; `false` when the time is over or the
    /// server stops.
    ///
    /// # Errors
    /// 503.
    pub(super) async fn again(&mut self) -> Result<bool, Problem> {
        if Instant::now() >= self.end || self.plane.shutdown.is_stopping() {
            return Ok(false);
        }
        tokio::time::sleep(PACE).await;
        tokio::select! {
            changed = self.news.changed() => changed.map_err(trouble::registry)?,
            () = tokio::time::sleep_until(self.end) => {}
            () = self.plane.shutdown.stopping() => {}
        }
        Ok(true)
    }
}
