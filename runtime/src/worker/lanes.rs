//! The lanes of a worker: one for each tenant, with a broker, results and settings of its
//! own. They share the threads of guests and the places of attempts, and nothing else: what
//! is away for one harms no other.

use super::crew::{Crew, Floor};
use super::meter::Meter;
use super::{Drained, Ground, Parts, WorkerError};
use super::{consumer, heartbeat, holds, patience, revocations};
use crate::shutdown::Shutdown;
use crate::task::Share;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Most lanes that wait to be run (64); whoever opens more waits.
const WAITING: usize = 64;

/// The lanes of one worker. A cheap handle.
#[derive(Debug, Clone)]
pub struct Lanes {
    floor: Arc<Floor>,
    shutdown: Shutdown,
    opened: mpsc::Sender<Opening>,
}

/// One lane.
#[derive(Debug)]
pub struct Lane {
    crew: Arc<Crew>,
    ended: CancellationToken,
}

/// A lane on its way to whoever runs it.
#[derive(Debug)]
struct Opening {
    crew: Arc<Crew>,
    ended: DropGuard,
}

/// What runs the lanes of a worker.
#[derive(Debug)]
pub struct Runner {
    floor: Arc<Floor>,
    shutdown: Shutdown,
    opened: mpsc::Receiver<Opening>,
}

impl Lanes {
    /// Makes a worker without lanes yet, and what runs it.
    ///
    /// # Errors
    /// [`WorkerError::Threads`].
    pub fn new(ground: &Ground, shutdown: Shutdown) -> Result<(Self, Runner), WorkerError> {
        let (opened, coming) = mpsc::channel(WAITING);
        let floor = Arc::new(Floor::new(ground)?);
        let lanes = Self {
            floor: Arc::clone(&floor),
            shutdown: shutdown.clone(),
            opened,
        };
        let runner = Runner {
            floor,
            shutdown,
            opened: coming,
        };
        Ok((lanes, runner))
    }

    /// Returns a stop for a lane: the worker's stop is its stop, too.
    #[must_use]
    pub fn stop(&self) -> Shutdown {
        self.shutdown.child()
    }

    /// Opens a lane, which works until `stop` or the stop of the worker.
    pub async fn open(&self, parts: Parts, stop: Shutdown) -> Lane {
        let crew = Arc::new(Crew::new(parts, Arc::clone(&self.floor), stop));
        let ended = CancellationToken::new();
        let opening = Opening {
            crew: Arc::clone(&crew),
            ended: ended.clone().drop_guard(),
        };
        // A worker that ended runs no lanes any more: then this one has ended as well.
        drop(self.opened.send(opening).await);
        Lane { crew, ended }
    }
}

impl Lane {
    /// Gives it another share of the worker from now on.
    pub fn share(&self, share: &Share) {
        self.crew.take_share(share);
    }

    /// Returns the CPU time of all its attempts that ended.
    #[must_use]
    pub fn spent(&self) -> Duration {
        self.crew.door.spent()
    }

    /// Takes over what is known of its tenant in all workers together: what it used
    /// elsewhere lately, and what it used in the hour and the day.
    pub fn counts(&self, elsewhere: Duration, in_hour: Duration, in_day: Duration) {
        self.crew.door.charge(elsewhere);
        self.crew.steering.meter.at_least(in_hour, in_day);
    }

    /// Returns what its tenant may use and used.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.crew.steering.meter
    }

    /// Resolves when what it ran has ended or was given back. Cancel-safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Runner {
    /// Works until the worker's stop, and what runs has ended or was given back.
    ///
    /// # Errors
    /// [`WorkerError`] when the lane of tenant `default` cannot begin.
    pub async fn run(mut self) -> Result<Drained, WorkerError> {
        let mut running = JoinSet::new();
        let mut failed = None;
        loop {
            let ended = tokio::select! {
                biased;
                () = self.shutdown.stopping() => break,
                Some(lane) = self.opened.recv() => {
                    running.spawn(run(lane));
                    continue;
                }
                Some(ended) = running.join_next() => ended,
            };
            if let Ok(Err(error)) = ended {
                failed.get_or_insert(error);
                self.shutdown.stop();
            }
        }
        while let Some(ended) = running.join_next().await {
            if let Ok(Err(error)) = ended {
                failed.get_or_insert(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(self.floor.drained()),
        }
    }
}

/// Runs a lane to its end. What only a person can mend ends the worker where it is that of
/// tenant `default`, and no other lane.
async fn run(lane: Opening) -> Result<(), WorkerError> {
    let Opening {
        crew,
        ended: _ended,
    } = lane;
    let worked = work(&crew).await;
    match worked {
        Err(error) if !crew.settings.tenant.is_default() => {
            let tenant = crew.settings.tenant.as_str();
            tracing::error!(%error, tenant, "the tasks of this tenant are not run here");
            Ok(())
        }
        worked => worked,
    }
}

async fn work(crew: &Arc<Crew>) -> Result<(), WorkerError> {
    consumer::greet(crew).await;
    // Nothing is taken before it is known what not to run.
    let known = patience::insist(&crew.shutdown, || crew.steering.revocations.read());
    tokio::select! {
        known = known => known.map_err(|source| WorkerError::Orders { source })?,
        never = consumer::keep_asking(crew) => match never {},
        () = crew.shutdown.stopping() => return Ok(()),
    }
    let mut beside = JoinSet::new();
    beside.spawn(revocations::follow(crew.clone()));
    beside.spawn(holds::follow(crew.clone()));
    let beat = heartbeat::start(crew);
    consumer::consume(crew).await;
    beside.shutdown().await;
    beat.stop().await;
    Ok(())
}
