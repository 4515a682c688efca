//! The two phases of a stop: take no more work, then cancel what still runs.
//!
//! The first signal (SIGTERM or Ctrl-C) begins the drain; the end of the drain
//! or a second signal cancels.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use std::fmt;
use std::io;
use std::time::Duration;
#[cfg(unix)]
use tokio::signal::unix::Signal;
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

    /// Makes a handle that is stopped and cancelled with this one, and may be before.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            stopping: self.stopping.child_token(),
            cancelled: self.cancelled.child_token(),
        }
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

    /// Follows signals until running work is cancelled: the first one stops, the
    /// second one cancels. `said` hears of each.
    pub async fn listen(&self, mut signals: Signals, mut said: impl FnMut(Phase)) {
        signals.next().await;
        if !self.is_stopping() {
            self.stop();
            said(Phase::Draining);
            tokio::select! {
                () = signals.next() => {}
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

/// SIGTERM and SIGINT, caught from the moment this is made.
pub struct Signals(BoxStream<'static, ()>);

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

impl Signals {
    /// Begins to catch signals; until then they end the process.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    #[cfg(unix)]
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let both = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let next = async |(mut terminate, mut interrupt): (Signal, Signal)| {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            Some(((), (terminate, interrupt)))
        };
        Ok(Self(stream::unfold(both, next).boxed()))
    }

    /// Begins to catch Ctrl-C.
    ///
    /// # Errors
    /// Never on this system.
    #[cfg(not(unix))]
    pub fn new() -> io::Result<Self> {
        let next = async |()| tokio::signal::ctrl_c().await.ok().map(|()| ((), ()));
        Ok(Self(stream::unfold((), next).boxed()))
    }

    async fn next(&mut self) {
        if self.0.next().await.is_none() {
            // No signal can come any more.
            std::future::pending::<()>().await;
        }
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
        let (send, receive) = mpsc::unbounded_channel::<()>();
        let signals = stream::unfold(receive, async |mut receive| {
            receive.recv().await.map(|()| ((), receive))
        });
        send.send(()).unwrap();
        let mut said = Vec::new();
        let mut following =
            Box::pin(shutdown.listen(Signals(signals.boxed()), |phase| said.push(phase)));
        assert!((&mut following).now_or_never().is_none());
        assert!(shutdown.is_stopping() && !shutdown.is_cancelled());
        send.send(()).unwrap();
        following.as_mut().await;
        drop(following);
        assert!(shutdown.is_cancelled());
        assert_eq!(said, [Phase::Draining, Phase::Cancelling]);
    }
}
