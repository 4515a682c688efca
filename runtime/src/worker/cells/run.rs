//! One attempt in a cell: what it wants sent is looked at again and sent here, and what
//! it reports is believed only as far as a sandbox could have said it.

use super::asks::{Doers, Doing};
use super::cell::{Cell, Run};
use super::ledger::Ledger;
use super::runs::Event;
use super::wire::{Answer, Order, ToCell, Trouble};
use crate::registry::Loaded;
use celeriac_sandbox::{Interrupt, Interruption, Outcome, Report, SandboxError};
use std::sync::Arc;
use std::time::Duration;

/// How much longer than its time limit a run may take before its cell is taken for
/// stuck (10 s): the cell ends it itself, unless the engine is broken.
const GRACE: Duration = Duration::from_secs(10);

/// Runs an attempt in a cell. Dropping the future ends the guest.
pub(super) async fn run(
    cell: &Arc<Cell>,
    code: &Loaded,
    order: Order,
) -> Result<Report, SandboxError> {
    let (limits, grants) = (order.limits.clone(), order.grants.clone());
    let interrupt = order.facts.interrupt.clone();
    let doers = Doers::of(&order.facts, &grants);
    let mut run = cell.begin(code, order)?;
    let stuck = tokio::time::sleep(limits.wall.saturating_add(GRACE));
    tokio::pin!(stuck);
    let mut told = false;
    let mut ledger = Ledger::default();
    let mut asked = None;
    loop {
        let event = tokio::select! {
            biased;
            event = run.events.recv() => event,
            answer = answered(asked.as_mut()) => {
                asked = None;
                ledger.answered(&answer);
                cell.say(ToCell::Answer { run: run.number, answer });
                continue;
            }
            reason = interrupt.wait(), if !told => {
                told = true;
                cell.say(ToCell::Interrupt { run: run.number, reason });
                continue;
            }
            () = &mut stuck => return Err(breach(&run, "it did not end a run in its time")),
        };
        match event {
            None => return Err(cell.lost()),
            Some(Event::Done(Ok(report))) => {
                let checked = report.check(&limits, &grants);
                let checked = checked.and_then(|()| raised(&report.outcome, &interrupt));
                return match checked.and_then(|()| ledger.covers(&report.submitted)) {
                    Ok(()) => Ok(*report),
                    Err(wrong) => Err(breach(&run, &format!("it reported {wrong}"))),
                };
            }
            Some(Event::Done(Err(trouble))) => return Err(not_begun(&run, trouble)),
            Some(Event::Ask(ask)) => {
                if let Err(wrong) = ask.allowed(&grants).and_then(|()| ledger.asked(&ask)) {
                    return Err(breach(&run, &format!("it asks without a grant: {wrong}")));
                }
                asked = Some(doers.go(ask));
            }
        }
    }
}

/// Waits for what was asked last; for ever where nothing is asked.
async fn answered(asked: Option<&mut Doing>) -> Answer {
    match asked {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}

/// Checks that the worker itself asked a guest to stop that says so: such an end costs no
/// delivery. The soft limit is noticed in the cell, and its end is a failure.
fn raised(outcome: &Outcome, interrupt: &Interrupt) -> Result<(), String> {
    match outcome {
        Outcome::Interrupted {
            raised: Some(reason @ (Interruption::Shutdown | Interruption::Cancelled)),
            ..
        } if interrupt.raised() != Some(*reason) => {
            Err(format!("an interruption that nobody raised ({reason})"))
        }
        Outcome::Interrupted { .. }
        | Outcome::Returned(_)
        | Outcome::BadResult { .. }
        | Outcome::Failed(_)
        | Outcome::Retry(_)
        | Outcome::Reject(_)
        | Outcome::Ignore
        | Outcome::LimitHit(_)
        | Outcome::Trapped(_)
        | Outcome::Exited { .. } => Ok(()),
    }
}

/// The guests of a cell that does such things are not to be trusted any more.
fn breach(run: &Run, what: &str) -> SandboxError {
    let cell = run.cell();
    tracing::error!(
        what,
        "a process of guests is killed; was its sandbox broken?"
    );
    cell.kill(what);
    cell.lost()
}

/// What becomes of a run that a cell did not even begin. A message that waits for room is not
/// counted as delivered, so that this is believed only while other runs take the room, each
/// of which has its time. And what its worker could load a cell can run, or it is broken.
fn not_begun(run: &Run, trouble: Trouble) -> SandboxError {
    let cell = run.cell();
    match trouble {
        Trouble::Busy { slots } if !cell.is_idle() => SandboxError::Busy { slots },
        Trouble::Busy { .. } => SandboxError::Lost {
            reason: "it had no room for a run, and none was there".to_owned(),
        },
        Trouble::Broken { reason } => {
            cell.kill(&format!("it could not run a task: {reason}"));
            cell.lost()
        }
    }
}
