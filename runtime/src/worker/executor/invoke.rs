//! Step e, invoke: the guest runs, apart from the threads that talk to brokers.
//!
//! Meanwhile its progress is stored, a lost lease or an order ends it, and the end of the
//! drain asks it to stop.

use super::Attempt;
use super::end;
use super::leave::Left;
use super::once;
use super::pace::Pace;
use super::shelf::{self, Shelf};
use super::submitted::{self, Handed, Post};
use crate::registry::{Kill, Loaded};
use crate::results::Write;
use crate::task::{Fence, State};
use crate::worker::cells::{Cells, Work};
use crate::worker::consumer;
use crate::worker::crew::Crew;
use crate::worker::guests::Running;
use crate::worker::heartbeat::Alive;
use crate::worker::revocations::Watched;
use bytes::Bytes;
use celeriac_sandbox::{
    Attempt as Facts, Call, Grants, Interrupt, Interruption, Limits, Log, Outcome, Progress,
    Report, SandboxError, Submitted, Usage,
};
use futures::FutureExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long is waited for a guest that was cut off, so that what it took is known (1 s): it
/// is gone at its next tick, and the rest is a busy machine.
const UNWINDS: Duration = Duration::from_secs(1);
/// How long a message waits when the sandbox has no room for it just now.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

pub(super) type Answer = Result<Report, SandboxError>;

/// Runs the guest, and takes what it submits.
pub(super) async fn invoke(
    crew: &Crew,
    attempt: &Attempt,
    alive: &Alive,
    watched: &Watched,
) -> Result<(Report, Handed), Left> {
    let (post, mut desk) = submitted::open(attempt.budget());
    let (shelf, mut counter) = shelf::open(crew, attempt);
    let end = tokio::select! {
        biased;
        end = run(crew, attempt, alive, watched, (post, shelf)) => end,
        never = desk.serve(crew, attempt) => match never {},
        never = counter.serve() => match never {},
    };
    if tokio::time::timeout(UNWINDS, attempt.bill.closed())
        .await
        .is_err()
    {
        tracing::warn!(
            task = attempt.request.task,
            "a guest that was ended still runs; what it takes from now on is not counted"
        );
    }
    let total = attempt.bill.total();
    match end {
        Ok(mut report) => {
            let wall = report.usage.wall;
            report.usage = Usage { wall, ..total };
            Ok((report, desk.close()))
        }
        Err(left) => {
            let wall = since(crew, attempt);
            Err(left.with(end::usage(attempt, &Usage { wall, ..total })))
        }
    }
}

async fn run(
    crew: &Crew,
    attempt: &Attempt,
    alive: &Alive,
    watched: &Watched,
    ways: (Post, Shelf),
) -> Result<Report, Left> {
    let interrupt = Interrupt::default();
    let (sender, mut progress) = watch::channel(None);
    let mut running = launch(crew, attempt, interrupt.clone(), sender, ways);
    let mut pace = Pace::new();
    let mut killed_at = None;
    loop {
        tokio::select! {
            biased;
            answer = running.end() => return ended(crew, attempt, answer),
            // Dropped, the guest ends at its next tick.
            () = watched.terminated() => return Ok(terminated(crew, attempt)),
            kill = attempt.guard.ended() => return Err(stopped(attempt, &kill)),
            () = alive.lost(), if !attempt.code.task.at_most_once => return Err(Left::Lost),
            Ok(()) = progress.changed() => {
                // A burst becomes one update: the latest, when its time has come.
                tokio::select! {
                    biased;
                    answer = running.end() => return ended(crew, attempt, answer),
                    () = watched.terminated() => return Ok(terminated(crew, attempt)),
                    kill = attempt.guard.ended() => return Err(stopped(attempt, &kill)),
                    () = pace.turn() => {}
                }
                pace.took();
                let latest = progress.borrow_and_update().clone();
                // Results that are away must not keep an order waiting.
                tokio::select! {
                    biased;
                    () = watched.terminated() => return Ok(terminated(crew, attempt)),
                    kill = attempt.guard.ended() => return Err(stopped(attempt, &kill)),
                    () = store(crew, attempt, latest) => {}
                }
            }
            () = crew.shutdown.cancelled(), if killed_at.is_none() => {
                interrupt.raise(Interruption::Shutdown);
                killed_at = Some(Instant::now() + consumer::grace());
            }
            () = deadline(killed_at) => return Err(killed(attempt)),
        }
    }
}

fn launch(
    crew: &Crew,
    attempt: &Attempt,
    interrupt: Interrupt,
    progress: watch::Sender<Option<Progress>>,
    (post, shelf): (Post, Shelf),
) -> Running<Answer> {
    let Fence {
        retries,
        deliveries,
    } = attempt.fence;
    let facts = Facts {
        id: attempt.request.id.to_string(),
        root_id: attempt.request.root_id.clone(),
        parent_id: attempt.request.parent_id.clone(),
        retries,
        deliveries,
        max_retries: Some(attempt.plan.max_retries),
        queue: attempt.delivery.queue.clone(),
        headers: attempt.request.headers.clone(),
        interrupt,
        progress: Some(progress),
        sender: Some(Arc::new(post)),
        egress: crew.egress.clone(),
        keeper: Some(Arc::new(shelf)),
        bill: attempt.bill.clone(),
        ..Facts::default()
    };
    let call = Call {
        task: attempt.code.task.name.clone(),
        args: attempt.request.args.clone(),
        kwargs: attempt.request.kwargs.clone(),
    };
    let limits = attempt.limits.clone();
    let place = Place {
        code: attempt.code.clone(),
        grants: attempt.grants.clone(),
        cells: crew.floor.cells.clone(),
    };
    // Its work is over when it is dropped, wherever that is.
    let begun = attempt.bill.open();
    if let Some(batch) = attempt.batch.clone() {
        return crew.floor.guests.run(async move {
            let _begun = begun;
            let each = |call: Call, limits: Limits, facts| {
                let place = place.clone();
                async move { place.run(call, limits, facts).await }.boxed()
            };
            batch.run(call.task, limits, facts, each).await
        });
    }
    crew.floor.guests.run(async move {
        let _begun = begun;
        place.run(call, limits, facts).await
    })
}

/// Where a guest runs: here, or in the cell of its module.
#[derive(Debug, Clone)]
struct Place {
    code: Arc<Loaded>,
    grants: Grants,
    cells: Option<Arc<Cells>>,
}

impl Place {
    async fn run(&self, call: Call, limits: Limits, facts: Facts) -> Answer {
        let (code, grants) = (&self.code, &self.grants);
        match &self.cells {
            None => code.component.invoke(&call, &limits, grants, facts).await,
            Some(cells) => {
                let work = Work {
                    call,
                    limits,
                    grants: grants.clone(),
                    facts,
                };
                cells.invoke(code, work).await
            }
        }
    }
}

/// A guest that was ended because it must not run.
fn stopped(attempt: &Attempt, kill: &Kill) -> Left {
    Left::stopped(attempt.delivery.clone(), attempt.request.clone(), kill)
}

/// What is known of a guest that was ended by order.
fn terminated(crew: &Crew, attempt: &Attempt) -> Report {
    Report {
        outcome: Outcome::Interrupted {
            claimed: Interruption::Cancelled,
            raised: Some(Interruption::Cancelled),
        },
        usage: Usage {
            wall: since(crew, attempt),
            ..Usage::default()
        },
        log: Log::default(),
        progress: Vec::new(),
        submitted: Submitted::default(),
    }
}

/// The time since the guest started.
fn since(crew: &Crew, attempt: &Attempt) -> Duration {
    let wall = crew.clock.now().duration_since(attempt.started);
    Duration::try_from(wall).unwrap_or_default()
}

/// The guest did not unwind in time.
fn killed(attempt: &Attempt) -> Left {
    match attempt.code.task.at_most_once {
        true => Left::dropped(attempt, once::STOPPED),
        false => Left::given_back(attempt.delivery.clone()),
    }
}

async fn deadline(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

pub(super) fn ended(
    crew: &Crew,
    attempt: &Attempt,
    answer: Result<Answer, tokio::task::JoinError>,
) -> Result<Report, Left> {
    let is_once = attempt.code.task.at_most_once;
    let error = match answer {
        Ok(Ok(report)) => return Ok(report),
        Ok(Err(error)) => error,
        // A panic of ours: the message comes back with its lease, counted.
        Err(error) => {
            tracing::error!(%error, task = attempt.request.task, "the host panicked while a guest ran; this is a bug, please report it");
            return Err(match is_once {
                true => Left::dropped(attempt, once::BROKEN),
                false => Left::Lost,
            });
        }
    };
    if !is_once && let SandboxError::Lost { .. } = &error {
        // Perhaps its own doing: counted, so that it cannot go on for ever.
        tracing::warn!(%error, task = attempt.request.task, "the task was lost with its process; its message comes back");
        return Err(Left::lost_with_its_process(attempt.delivery.clone()));
    }
    if is_once {
        tracing::warn!(%error, task = attempt.request.task, "the sandbox could not run an at_most_once task; it fails");
        return Err(Left::dropped(attempt, once::BROKEN));
    }
    tracing::warn!(%error, task = attempt.request.task, "the sandbox could not run the task; its message waits");
    let until = crate::clock::after(crew.clock.now(), BUSY_PAUSE);
    Err(Left::parked(attempt.delivery.clone(), until))
}

async fn store(crew: &Crew, attempt: &Attempt, latest: Option<Progress>) {
    let Some(progress) = latest.filter(|_| !attempt.request.ignore_result) else {
        return;
    };
    let write = Write {
        result: Some(Bytes::from(progress.meta)),
        ..end::write(crew, attempt, State::Custom(progress.state))
    };
    // Progress that is not stored is not worth a try again: newer follows.
    if let Err(error) = crew.results.write(write).await {
        tracing::warn!(%error, "progress not stored");
    }
}
