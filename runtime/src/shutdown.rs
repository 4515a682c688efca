//! The two phases of a stop: take no more work, then cancel what still runs.
//!
//! The first signal (SIGTERM or Ctrl-C) begins the drain; the end of the drain
//! or a second signal cancels.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A handle on the stop of this process; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    stopping: CancellationToken,
    cancelled: CancellationToken,
}

impl Shutdown {
    /// Makes a handle that nothing has stopped yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the stop: no new work is taken, running work goes on.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Ends the drain: running work is to be interrupted and given back.
    pub fn cancel(&self) {
        self.stopping.cancel();
        self.cancelled.cancel();
    }

    /// Tells whether the stop has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Tells whether running work is to be interrupted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Resolves when the stop begins. Cancel-safe.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stopping.clone().cancelled_owned()
    }

    /// Resolves when running work is to be interrupted. Cancel-safe.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.cancelled.clone().cancelled_owned()
    }

    /// Waits out the drain: resolves when `drain` has passed since the stop
    /// began, after which it has cancelled, or when somebody else cancelled.
    pub async fn drain(&self, drain: Duration) {
        self.stopping().await;
        tokio::select! {
            () = tokio::time::sleep(drain) => self.cancel(),
            () = self.cancelled() => {}
        }
    }

    /// Listens for SIGTERM and SIGINT until running work is cancelled: the first
    /// one stops, the second one cancels. `said` hears of each.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub async fn listen(&self, mut said: impl FnMut(Phase)) -> std::io::Result<()> {
        let mut signals = Signals::new()?;
        self.follow(async || signals.next().await, &mut said).await;
        Ok(())
    }

    async fn follow(&self, mut next: impl AsyncFnMut(), said: &mut impl FnMut(Phase)) {
        next().await;
        if !self.is_stopping() {
            self.stop();
            said(Phase::Draining);
            tokio::select! {
                () = next() => {}
                () = self.cancelled() => return,
            }
        }
        self.cancel();
        said(Phase::Cancelling);
    }
}

/// What a signal began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No new work is taken.
    Draining,
    /// Running work is interrupted.
    Cancelling,
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use tokio::sync::mpsc;

    #[test]
    fn a_stop_is_not_a_cancel_but_a_cancel_is_a_stop() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_stopping() && shutdown.stopping().now_or_never().is_none());
        shutdown.stop();
        assert!(shutdown.is_stopping() && !shutdown.is_cancelled());
        assert!(shutdown.stopping().now_or_never().is_some());
        let other = Shutdown::new();
        other.clone().cancel();
        assert!(other.is_stopping() && other.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_drain_cancels() {
        let shutdown = Shutdown::new();
        shutdown.stop();
        let begun = tokio::time::Instant::now();
        shutdown.drain(Duration::from_secs(30)).await;
        assert!(shutdown.is_cancelled());
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_signal_cancels_at_once() {
        let shutdown = Shutdown::new();
        let (send, mut receive) = mpsc::unbounded_channel::<()>();
        send.send(()).unwrap();
        let mut said = Vec::new();
        let mut note = |phase| said.push(phase);
        let mut following = Box::pin(shutdown.follow(
            async || {
                receive.recv().await;
            },
            &mut note,
        ));
        assert!((&mut following).now_or_never().is_none());
        assert!(shutdown.is_stopping() && !shutdown.is_cancelled());
        send.send(()).unwrap();
        following.await;
        assert!(shutdown.is_cancelled());
        assert_eq!(said, [Phase::Draining, Phase::Cancelling]);
    }
}
