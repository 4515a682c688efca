//! The early ways out of an attempt, and what each of them leaves behind.

mod refusal;

use super::Attempt;
use super::builtin;
use super::end::retry_of;
use super::once;
use super::record;
use super::report::Story;
use crate::broker::{BrokerError, Delivery, Outgoing, Settlement};
use crate::celery::{Malformed, Request};
use crate::registry::Kill;
use crate::results::{Record, ResultsError, RunUsage, Write, Written};
use crate::task::{Exception, State, TaskId};
use crate::worker::builtins::Work;
use crate::worker::crew::Crew;
use crate::worker::heartbeat::Alive;
use crate::worker::holds;
use crate::worker::patience::insist;
use jiff::Timestamp;

/// Why an attempt ended before its last step.
#[derive(Debug)]
pub(super) enum Left {
    /// The message cannot be read: a dead letter, and a failure for its caller.
    Unreadable {
        delivery: Box<Delivery>,
        malformed: Box<Malformed>,
    },
    /// It will not be run: the caller is told.
    Refused(Box<Refusal>),
    /// The message is settled without a word to the caller.
    Settled {
        delivery: Box<Delivery>,
        settlement: Settlement,
        why: &'static str,
    },
    /// Its record is final; only the last steps were missing.
    Over {
        delivery: Box<Delivery>,
        request: Box<Request>,
        record: Box<Record>,
    },
    /// This attempt ended in a retry before; its worker died before the rest.
    Retried {
        delivery: Box<Delivery>,
        id: TaskId,
        retries: u32,
        due: Timestamp,
    },
    /// Its task is not here, but perhaps where this message goes.
    Forwarded {
        onward: Box<Outgoing>,
        delivery: Box<Delivery>,
    },
    /// The worker does it itself.
    BuiltIn {
        delivery: Box<Delivery>,
        request: Box<Request>,
        work: Work,
    },
    /// What becomes of it cannot be kept, whoever tries: a dead letter.
    Unkept {
        delivery: Box<Delivery>,
        reason: String,
    },
    /// It was acknowledged early and does not come to its end: the caller is told.
    Dropped(Box<Refusal>),
    /// The message went to somebody else, or comes back by itself.
    Lost,
    /// A broker or result backend stayed away until the worker's end.
    Away(String),
}

/// A task that is not run, and what its caller and its message get.
#[derive(Debug)]
pub(super) struct Refusal {
    delivery: Delivery,
    request: Request,
    exception: Exception,
    state: State,
    settlement: Settlement,
    /// What it took until it was cut off.
    usage: RunUsage,
}

impl Left {
    pub(super) fn refused(
        delivery: Delivery,
        request: Request,
        exception: Exception,
        reason: String,
    ) -> Self {
        Self::Refused(Box::new(Refusal {
            delivery,
            request,
            exception,
            state: State::Failure,
            settlement: Settlement::DeadLetter { reason },
            usage: RunUsage::default(),
        }))
    }

    pub(super) fn revoked(delivery: Delivery, request: Request, exception: Exception) -> Self {
        Self::Refused(Box::new(Refusal {
            delivery,
            request,
            exception,
            state: State::Revoked,
            settlement: Settlement::Ack,
            usage: RunUsage::default(),
        }))
    }

    /// A task that must not run, in whichever step that is known: it has failed, or waits
    /// where the kill says so. A run that was stopped on the way has failed in any case:
    /// what it did is done.
    pub(super) fn killed(crew: &Crew, delivery: Delivery, request: Request, kill: &Kill) -> Self {
        match kill.hold {
            true => Self::held(crew, delivery, kill),
            false => Self::stopped(delivery, request, kill),
        }
    }

    /// A task that waits for the end of an order.
    pub(super) fn held(crew: &Crew, delivery: Delivery, kill: &Kill) -> Self {
        Self::parked(delivery, holds::until(crew, kill))
    }

    /// A task that was stopped, or that must not run: its caller is told, and nothing is
    /// tried again.
    pub(super) fn stopped(delivery: Delivery, request: Request, kill: &Kill) -> Self {
        Self::Refused(Box::new(Refusal {
            delivery,
            request,
            exception: kill.exception(),
            state: State::Failure,
            settlement: Settlement::Ack,
            usage: RunUsage::default(),
        }))
    }

    /// A task that runs at most once does not come to its end.
    pub(super) fn dropped(attempt: &Attempt, why: &str) -> Self {
        Self::Dropped(Box::new(Refusal {
            delivery: attempt.delivery.clone(),
            request: attempt.request.clone(),
            exception: once::lost(why),
            state: State::Failure,
            // In case that the early one was not heard.
            settlement: Settlement::Ack,
            usage: RunUsage::default(),
        }))
    }

    /// Notes what a guest took that was cut off, for whoever is told of its end.
    pub(super) fn with(mut self, usage: RunUsage) -> Self {
        if let Self::Refused(refusal) | Self::Dropped(refusal) = &mut self {
            refusal.usage = usage;
        }
        self
    }

    /// Returns what was noted of a guest that was cut off.
    pub(super) fn usage(&self) -> Option<&RunUsage> {
        match self {
            Self::Refused(refusal) | Self::Dropped(refusal) => Some(&refusal.usage),
            Self::Unreadable { .. }
            | Self::Settled { .. }
            | Self::Over { .. }
            | Self::Retried { .. }
            | Self::Forwarded { .. }
            | Self::BuiltIn { .. }
            | Self::Unkept { .. }
            | Self::Lost
            | Self::Away(_) => None,
        }
    }

    /// Tells whether the message is to be taken again.
    pub(super) fn goes_back(&self) -> bool {
        matches!(self, Self::Settled { settlement, .. } if goes_back(settlement))
    }

    /// Tells whether the message is to be taken again, here or from another queue.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_back() || matches!(self, Self::Forwarded { .. })
    }

    fn settled(delivery: Delivery, settlement: Settlement, why: &'static str) -> Self {
        Self::Settled {
            delivery: Box::new(delivery),
            settlement,
            why,
        }
    }

    pub(super) fn parked(delivery: Delivery, until: Timestamp) -> Self {
        Self::settled(delivery, Settlement::Park(until), "PARKED")
    }

    pub(super) fn stale(delivery: Delivery) -> Self {
        Self::settled(delivery, Settlement::Ack, "STALE")
    }

    /// The result backend refused.
    pub(super) fn unrecorded(delivery: &Delivery, error: &ResultsError) -> Self {
        let reason = error.to_string();
        match error {
            ResultsError::Malformed { .. } => Self::Unkept {
                delivery: Box::new(delivery.clone()),
                reason,
            },
            ResultsError::Unavailable { .. } | ResultsError::Misconfigured { .. } => {
                Self::Away(reason)
            }
        }
    }

    pub(super) fn lost_with_its_process(delivery: Delivery) -> Self {
        Self::settled(delivery, Settlement::Return, "LOST")
    }

    pub(super) fn given_back(delivery: Delivery) -> Self {
        Self::settled(delivery, Settlement::Requeue, "GIVEN_BACK")
    }
}

/// Tells whether a settlement lets the message be taken again.
pub(super) fn goes_back(settlement: &Settlement) -> bool {
    match settlement {
        Settlement::Requeue | Settlement::Return | Settlement::Park(_) => true,
        Settlement::Ack | Settlement::DeadLetter { .. } => false,
    }
}

impl From<BrokerError> for Left {
    fn from(error: BrokerError) -> Self {
        Self::Away(error.to_string())
    }
}

/// Does what is left to do, in the same order as a full attempt: store, follow
/// up, settle.
pub(super) async fn leave(crew: &Crew, left: Left, alive: &Alive, story: &mut Story) {
    let mut left = left;
    let done = loop {
        match consequence(crew, left, story).await {
            // Who is refused what it stores does what follows from what is there, and what
            // cannot be brought together is a dead letter.
            Err(next @ (Left::Settled { .. } | Left::Over { .. } | Left::Unkept { .. })) => {
                left = next;
            }
            done => break done,
        }
    };
    if let Err(Left::Away(reason)) = done {
        story.left("AWAY");
        match alive.is_kept() {
            true => tracing::warn!(
                reason,
                "the message was not settled; it comes back when its lease lapses"
            ),
            false => tracing::error!(
                reason,
                "an at_most_once task was acknowledged before it started, and its end or what follows from it could not be stored: it does not come back"
            ),
        }
    }
}

async fn consequence(crew: &Crew, left: Left, story: &mut Story) -> Result<(), Left> {
    match left {
        Left::Unreadable {
            delivery,
            malformed,
        } => refusal::unreadable(crew, &delivery, &malformed, story).await,
        Left::Refused(refusal) => refusal::refuse(crew, *refusal, story).await,
        Left::Over {
            delivery,
            request,
            record,
        } => {
            story.left("REPEATED");
            let settlement = refusal::settlement_of(&record);
            refusal::repeat(crew, &delivery, &request, &record, settlement, story).await
        }
        Left::Settled {
            delivery,
            settlement,
            why,
        } => {
            story.left(why);
            story.tell_monitors(crew);
            if settlement == Settlement::Requeue {
                crew.count(&settlement);
            }
            settle(crew, &delivery, settlement, story).await
        }
        Left::Retried {
            delivery,
            id,
            retries,
            due,
        } => {
            story.left("REPEATED");
            let again = retry_of(&delivery, &id, retries, due);
            replace(crew, &delivery, again, story).await
        }
        Left::Forwarded { onward, delivery } => {
            story.left("FORWARDED");
            replace(crew, &delivery, *onward, story).await
        }
        Left::BuiltIn {
            delivery,
            request,
            work,
        } => builtin::run(crew, &delivery, &request, work, story).await,
        Left::Unkept { delivery, reason } => {
            crew.refuse();
            story.left("UNKEPT");
            settle(crew, &delivery, Settlement::DeadLetter { reason }, story).await
        }
        Left::Dropped(refusal) => refusal::refuse(crew, *refusal, story).await,
        Left::Lost => {
            story.left("LOST");
            Ok(())
        }
        away @ Left::Away(_) => Err(away),
    }
}

/// Stores what became of a task; a refused write means that the caller has an
/// answer already. Who chose an id that cannot be kept gets none.
pub(super) async fn tell(crew: &Crew, write: &Write) -> Result<Written, Left> {
    match insist(&crew.shutdown, || crew.results.write(write.clone())).await {
        Ok(written) => {
            if written == Written::Stored {
                crew.stored(write);
            }
            Ok(written)
        }
        Err(error @ ResultsError::Malformed { .. }) => {
            tracing::warn!(%error, "a caller cannot be told");
            Ok(Written::Stored)
        }
        Err(error @ (ResultsError::Unavailable { .. } | ResultsError::Misconfigured { .. })) => {
            Err(Left::Away(error.to_string()))
        }
    }
}

/// Publishes what takes the place of a message, and then acknowledges it.
pub(super) async fn replace(
    crew: &Crew,
    delivery: &Delivery,
    next: Outgoing,
    story: &mut Story,
) -> Result<(), Left> {
    record::publish(crew, vec![next]).await?;
    settle(crew, delivery, Settlement::Ack, story).await
}

pub(super) async fn settle(
    crew: &Crew,
    delivery: &Delivery,
    settlement: Settlement,
    story: &mut Story,
) -> Result<(), Left> {
    story.settles(&settlement);
    let settled = insist(&crew.shutdown, || {
        crew.broker.settle(delivery, settlement.clone())
    });
    match settled.await {
        Ok(()) | Err(BrokerError::LeaseLost { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
