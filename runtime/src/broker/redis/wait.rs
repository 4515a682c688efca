//! Waiting while there is nothing to take, without asking again and again.
//!
//! The server tells when a list or a set of parked messages changes that was read
//! through a [`Watch`]. No other way waits for many lists and takes nothing: BRPOP
//! and BLMPOP take, and what they took is lost with a killed process; BLMOVE of a
//! list onto itself waits for one list, and a worker of 100 queues has 400;
//! notifications of keys must be switched on in the server; a list of wake-ups of
//! ours is not known to Python's clients.
//!
//! Every idle worker is woken by a message and one gets it. So who was woken for
//! nothing pauses, and none looks more often than 25 times a second. An idle worker
//! of one queue was measured at 7 commands a second, those within scripts included,
//! and of five queues at 37; asking 25 times a second it was at 142 and 694.

use super::{BrokerError, Inner, script, trouble};
use crate::resp::{Watch, cannot_watch};
use jiff::Timestamp;
use redis::RedisError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Shortest and longest pause of a worker that was woken for nothing, or that
/// cannot be woken.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);
/// Most connections that are kept for waiting: one for each fetch at a time, and a
/// worker has one.
const KEPT: usize = 4;

/// What is kept between two waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    watches: Mutex<Vec<Watch>>,
    /// Whether the server tells nothing.
    is_deaf: AtomicBool,
}

/// One wait after the other, within one fetch.
#[derive(Debug)]
pub(super) struct Wait {
    end: Instant,
    /// None before the first.
    pause: Option<Duration>,
}

/// A watch that goes back when its user goes away, unless it broke.
struct Lent<'a> {
    waiting: &'a Waiting,
    watch: Option<Watch>,
}

impl Wait {
    /// Waits until `end` at most, all waits together.
    pub(super) fn until(end: Instant) -> Self {
        Self { end, pause: None }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    async fn pause(&mut self) {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| pause * 2);
        let pause = pause.min(LONGEST_PAUSE);
        self.pause = Some(pause);
        tokio::time::sleep_until(self.end.min(Instant::now() + pause)).await;
    }
}

impl Inner {
    /// Waits until there may be something to take. It takes nothing, so it can be
    /// dropped at any time.
    pub(super) async fn wait(&self, wait: &mut Wait, queues: &[String]) -> Result<(), BrokerError> {
        if self.waiting.is_deaf.load(Ordering::Relaxed) {
            wait.pause().await;
            return Ok(());
        }
        match wait.pause {
            Some(_) => wait.pause().await,
            None => wait.pause = Some(Duration::ZERO),
        }
        let Some(mut lent) = self.lend().await? else {
            return Ok(());
        };
        let (mut lists, mut parked) = (Vec::new(), Vec::new());
        for queue in queues {
            lists.extend(self.keys.lists(queue));
            parked.push(self.keys.parked(queue));
        }
        let count = lists.len();
        lists.append(&mut parked);
        let read = lent.watch.as_mut();
        let Some(watch) = read else { return Ok(()) };
        let (leases, seen) = tokio::join!(
            self.next_lapse(queues),
            watch.read::<(bool, i64)>(&script::LOOK, &lists, count)
        );
        let (is_there, due) = match seen {
            Ok(seen) => seen,
            Err(error) => {
                // The next wait opens another connection.
                lent.watch = None;
                let is_gone = error.is_io_error() || error.is_unrecoverable_error();
                return if is_gone { Ok(()) } else { Err(trouble(error)) };
            }
        };
        if is_there {
            return Ok(());
        }
        let lapse = leases.map_err(trouble)?;
        let moment = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let (due, lapse) = (moment(due), moment(lapse));
        tokio::select! {
            () = watch.changed() => {}
            () = self.clock.sleep_until(due) => {}
            () = self.clock.sleep_until(lapse) => self.restored.soon(),
            () = tokio::time::sleep_until(wait.end) => {}
        }
        Ok(())
    }

    /// When the first lease lapses, milliseconds since 1970. A lease that another
    /// worker takes while we wait is noticed at the end of the wait. Leases are not
    /// watched: they change with every message.
    async fn next_lapse(&self, queues: &[String]) -> Result<i64, RedisError> {
        let mut look = script::LOOK.prepare_invoke();
        for queue in queues {
            look.key(self.keys.leases(queue));
        }
        let (_, lapse): (bool, i64) = look.arg(0).invoke_async(&mut self.server.shared()).await?;
        Ok(lapse)
    }

    /// Returns a watch, or nothing where the server does not tell.
    async fn lend(&self) -> Result<Option<Lent<'_>>, BrokerError> {
        let waiting = &self.waiting;
        let kept = waiting.lock().pop();
        let watch = match kept {
            Some(watch) => watch,
            None => match self.server.watch().await {
                Ok(watch) => watch,
                Err(error) if cannot_watch(&error) => {
                    tracing::info!(%error, "the broker does not tell of new messages; it is asked for them 25 times a second");
                    waiting.is_deaf.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(error) => return Err(trouble(error)),
            },
        };
        Ok(Some(Lent {
            waiting,
            watch: Some(watch),
        }))
    }
}

impl Waiting {
    /// A list that a panicking thread left is still a list.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut watches = self.waiting.lock();
        if watches.len() < KEPT {
            watches.extend(self.watch.take());
        }
    }
}
