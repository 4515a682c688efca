//! One attempt in a cell: what it wants sent is looked at again and sent here, and what
//! it reports is believed only as far as a sandbox could have said it.

use super::cell::{Cell, Event, Run};
use super::wire::{Ask, Order, ToCell, Trouble};
use crate::registry::Loaded;
use celeriac_sandbox::{Grants, Report, SandboxError, Sender, SubmitError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
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
    let (interrupt, sender) = (order.facts.interrupt.clone(), order.facts.sender.clone());
    let mut run = cell.begin(code, order)?;
    let stuck = tokio::time::sleep(limits.wall.saturating_add(GRACE));
    tokio::pin!(stuck);
    let mut told = false;
    let mut asked = None;
    loop {
        let event = tokio::select! {
            biased;
            event = run.events.recv() => event,
            answer = answered(asked.as_mut()) => {
                asked = None;
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
                return match report.check(&limits, &grants) {
                    Ok(()) => Ok(*report),
                    Err(wrong) => Err(breach(&run, &format!("it reported {wrong}"))),
                };
            }
            Some(Event::Done(Err(trouble))) => return Err(error(trouble)),
            Some(Event::Wish(asks)) => {
                if let Err(wrong) = asks.allowed(&grants) {
                    return Err(breach(&run, &format!("it sends without a grant: {wrong}")));
                }
                asked = Some(asks.sent(sender.clone()));
            }
        }
    }
}

/// Waits for what was asked last; for ever where nothing is asked.
async fn answered(asked: Option<&mut Sent>) -> Result<String, SubmitError> {
    match asked {
        Some(sent) => sent.await,
        None => std::future::pending().await,
    }
}

/// The guests of a cell that does such things are not to be trusted any more.
fn breach(run: &Run, what: &str) -> SandboxError {
    let cell = run.cell();
    tracing::error!(
        what,
        "a process of guests is killed; was its sandbox broken?"
    );
    cell.kill(what.to_owned());
    cell.lost()
}

fn error(trouble: Trouble) -> SandboxError {
    match trouble {
        Trouble::Busy { slots } => SandboxError::Busy { slots },
        Trouble::Broken { reason } => SandboxError::Broken { reason },
    }
}

/// What is being sent for a guest, which waits for it.
type Sent = BoxFuture<'static, Result<String, SubmitError>>;

impl Ask {
    fn allowed(&self, grants: &Grants) -> Result<(), String> {
        match self {
            Self::Wish { wish, .. } => grants.allow(wish),
            Self::Replace { signature } => grants.allow_signature(signature),
        }
    }

    fn sent(self, sender: Option<Arc<dyn Sender>>) -> Sent {
        let answer = async move {
            let Some(sender) = sender else {
                let nobody = "nothing is sent from here".to_owned();
                return Err(SubmitError::Unavailable(nobody));
            };
            match &self {
                Self::Wish { wish, when, index } => sender.send(wish, *when, *index).await,
                Self::Replace { signature } => sender.replace(signature).await,
            }
        };
        answer.boxed()
    }
}
