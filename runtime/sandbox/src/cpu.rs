//! The two clocks of an attempt: CPU time of the threads that run it, and the
//! time on the wall.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts the CPU time of one attempt.
///
/// It reads the thread's CPU clock around every poll, because the time a poll
/// takes on the wall bills a guest for being pre-empted by its neighbours.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// CPU nanoseconds of the finished polls.
    finished: AtomicU64,
    /// The thread's CPU clock when the running poll began.
    began: AtomicU64,
}

impl Meter {
    /// Returns the CPU time so far. To be called on the thread that polls.
    pub(crate) fn now(&self) -> Duration {
        let running = thread_cpu_ns().saturating_sub(self.began.load(Ordering::Relaxed));
        Duration::from_nanos(self.finished.load(Ordering::Relaxed) + running)
    }

    /// Returns the CPU time of the finished polls.
    pub(crate) fn finished(&self) -> Duration {
        Duration::from_nanos(self.finished.load(Ordering::Relaxed))
    }

    fn start(&self) {
        self.began.store(thread_cpu_ns(), Ordering::Relaxed);
    }

    fn stop(&self) {
        let spent = thread_cpu_ns().saturating_sub(self.began.load(Ordering::Relaxed));
        self.finished.fetch_add(spent, Ordering::Relaxed);
    }
}

/// A future whose polls are counted by a [`Meter`].
#[derive(Debug)]
pub(crate) struct Metered<F> {
    meter: Arc<Meter>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(meter: Arc<Meter>, inner: F) -> Self {
        Self {
            meter,
            inner: Box::pin(inner),
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.start();
        let answer = self.inner.as_mut().poll(context);
        self.meter.stop();
        answer
    }
}

/// The moments at which an attempt is asked to stop, and is stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) started: Instant,
    pub(crate) soft: Option<Instant>,
    pub(crate) hard: Instant,
}

impl Deadlines {
    pub(crate) fn new(wall: Duration, soft: Option<Duration>) -> Self {
        let started = Instant::now();
        // A century stands for "never" where the sum would overflow.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        let at = |span: Duration| started.checked_add(span).unwrap_or(started + century);
        Self {
            started,
            soft: soft.map(at),
            hard: at(wall),
        }
    }
}

fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_costs_no_cpu_time() {
        let meter = Arc::new(Meter::default());
        let waiting = Metered::new(meter.clone(), std::future::pending::<()>());
        let ended = tokio::time::timeout(Duration::from_millis(50), waiting).await;
        assert!(ended.is_err() && meter.finished() < Duration::from_millis(25));
    }

    #[tokio::test]
    async fn computing_is_counted() {
        let meter = Arc::new(Meter::default());
        let inner = meter.clone();
        Metered::new(meter.clone(), async move {
            while inner.now() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
        })
        .await;
        assert!(meter.finished() >= Duration::from_millis(5));
    }

    #[test]
    fn a_limit_beyond_the_end_of_time_does_not_overflow() {
        let deadlines = Deadlines::new(Duration::MAX, Some(Duration::MAX));
        assert!(deadlines.hard > deadlines.started);
    }
}
