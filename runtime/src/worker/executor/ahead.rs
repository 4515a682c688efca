//! Running ahead: the one task that follows another begins in its place, at once and under
//! the lease of its message, instead of on a way through the broker.
//!
//! A message of a chain holds all links behind it, so that a chain of a thousand would move
//! the square of that; here most links have no message. Nothing is lost by it: the end of a
//! task is stored before the next begins, so whoever gets the message again finds those
//! ends one after the other, sends what follows from each, marked, and comes to the one
//! that had not ended. What then waits, goes back or dies takes the place of the message in
//! one step of the broker.

use super::follow::FollowUp;
use super::{Attempt, tell};
use crate::broker::{Delivery, Settlement};
use crate::celery::Request;
use crate::policy::canvas::Embed;
use crate::worker::crew::Crew;
use crate::worker::heartbeat::Alive;
use jiff::Timestamp;
use std::time::Duration;

/// How long after the first attempt of a message tasks begin ahead (100 ms): others that
/// wait in the queue are passed by for this, and as long as the last of them runs.
const SPAN: Duration = Duration::from_millis(100);
/// How much longer results have to be kept than an attempt may take, where that has an end
/// (10 min): those of tasks that ran ahead have to be there when their message comes again.
const KEPT: Duration = Duration::from_secs(600);

/// A message in hand: one that was taken, or what runs ahead under the lease of that.
#[derive(Debug)]
pub(in crate::worker) struct Hand {
    pub(super) delivery: Delivery,
    /// What is known of a task that runs ahead: nobody has to read its message.
    pub(super) known: Option<Known>,
    pub(super) alive: Alive,
    pub(super) lead: Lead,
}

/// What the message of a task says, and what follows it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) request: Request,
    pub(super) embed: Embed,
}

/// How far ahead of its message a task runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lead {
    links: u32,
    /// When the first attempt of the message began.
    since: Timestamp,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    /// Whether its end is stored, and nothing takes the place of its message.
    pub(super) is_kept: bool,
    pub(super) settlement: &'a Settlement,
    pub(super) lead: Lead,
}

/// A task that is to run ahead.
#[derive(Debug)]
pub(super) struct Ahead {
    delivery: Delivery,
    known: Known,
    lead: Lead,
}

impl Hand {
    /// A message that was taken: its lease is kept from now on.
    pub(in crate::worker) fn take(crew: &Crew, delivery: Delivery) -> Self {
        Self {
            alive: crew.leases.keep(&delivery.receipt),
            delivery,
            known: None,
            lead: Lead {
                links: 0,
                since: crew.clock.now(),
            },
        }
    }

    /// What runs ahead under a lease that is kept.
    pub(super) fn ahead(ahead: Box<Ahead>, alive: Alive) -> Self {
        let Ahead {
            delivery,
            known,
            lead,
        } = *ahead;
        Self {
            delivery,
            known: Some(known),
            alive,
            lead,
        }
    }

    /// The name of the task, where it runs ahead.
    pub(in crate::worker) fn task(&self) -> &str {
        let known = self.known.as_ref();
        known.map_or("", |known| known.request.task.as_str())
    }
}

impl Lead {
    /// One task more, while that is allowed.
    fn next(self, now: Timestamp, most: u32) -> Option<Self> {
        let span = Duration::try_from(now.duration_since(self.since)).ok()?;
        let links = self.links.saturating_add(1);
        (links <= most && span < SPAN).then_some(Self { links, ..self })
    }
}

/// Returns what runs ahead once an attempt ended so, or what is to be sent: one task may
/// that would come here and begin at once.
pub(super) fn next(
    crew: &Crew,
    attempt: &Attempt,
    end: &Ended<'_>,
    rest: FollowUp,
) -> Result<Box<Ahead>, FollowUp> {
    let now = crew.clock.now();
    let Some(lead) = end.lead.next(now, crew.settings.run_ahead) else {
        return Err(rest);
    };
    let is_found = end.is_kept && *end.settlement == Settlement::Ack && keeps(crew);
    let is_first = attempt.fence.is_first() && !attempt.is_again();
    let is_held = !attempt.code.task.at_most_once;
    let may = is_found && is_first && is_held && !crew.shutdown.is_stopping();
    if !(may && rest.is_one_for(crew)) {
        return Err(rest);
    }
    let (outgoing, request, embed) = rest.one(crew, &attempt.delivery)?;
    tell::sent(crew, std::slice::from_ref(&outgoing));
    let delivery = Delivery {
        queue: outgoing.queue,
        message: outgoing.message,
        ready_at: now,
        replaced: true,
        receipt: attempt.delivery.receipt.clone(),
        deliveries: attempt.delivery.deliveries,
    };
    Ok(Box::new(Ahead {
        delivery,
        known: Known { request, embed },
        lead,
    }))
}

/// Tells whether the end of a task is there when its message comes again.
fn keeps(crew: &Crew) -> bool {
    let least = KEPT.saturating_add(crew.settings.ceiling.wall);
    crew.results.keeps() && crew.settings.result_keep.is_none_or(|keep| keep >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_ahead_for_so_many_links_and_for_so_long() {
        let taken = Timestamp::UNIX_EPOCH;
        let after = |span: Duration| taken + jiff::SignedDuration::try_from(span).unwrap();
        let lead = Lead {
            links: 0,
            since: taken,
        };
        assert_eq!(lead.next(taken, 0), None, "none may");
        assert_eq!(lead.next(after(SPAN), 2), None, "too late");
        let late = after(SPAN.saturating_sub(Duration::from_millis(1)));
        let second = lead.next(late, 2).and_then(|lead| lead.next(late, 2));
        assert_eq!(second.unwrap().next(late, 2), None, "too many");
    }
}
