//! Waiting for what workers elsewhere do not know yet.

use super::{Plane, Problem, trouble};
use crate::plane::NEWS_SECONDS;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two looks (50 ms): a busy file commits hundreds of times a second,
/// and almost never for workers.
const PACE: Duration = Duration::from_millis(50);

/// Looks until there is something, for `wait` seconds at most or until the server stops.
/// What is returned is of the last look.
///
/// # Errors
/// 400 for a longer wait than there is, what `look` says.
pub(super) async fn wait_for<T>(
    plane: &Plane,
    wait: Option<u64>,
    mut look: impl AsyncFnMut() -> Result<(T, bool), Problem>,
) -> Result<T, Problem> {
    let wait = wait.unwrap_or_default();
    if wait > NEWS_SECONDS {
        return Err(Problem::invalid(
            format!("wait is {wait}; at most {NEWS_SECONDS} seconds are allowed"),
            "wait for less, and ask again",
        ));
    }
    let end = Instant::now() + Duration::from_secs(wait);
    let mut news = plane.registry.news();
    loop {
        let (seen, is_new) = look().await?;
        if is_new || Instant::now() >= end || plane.shutdown.is_stopping() {
            return Ok(seen);
        }
        tokio::time::sleep(PACE).await;
        tokio::select! {
            changed = news.changed() => changed.map_err(trouble::registry)?,
            () = tokio::time::sleep_until(end) => {}
            () = plane.shutdown.stopping() => {}
        }
    }
}
