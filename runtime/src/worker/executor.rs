//! One attempt, from delivery to acknowledgement: the table of contents of the
//! product.
//!
//! A step that ends the attempt early returns [`Left`]. Nothing is
//! acknowledged before its consequence is stored: the order of the steps is
//! the promise.

mod admit;
mod ahead;
mod batch;
mod builtin;
mod decode;
mod end;
mod follow;
mod invoke;
mod judge;
mod leave;
mod once;
mod pace;
mod record;
mod report;
mod shelf;
mod size;
mod start;
mod submitted;
mod tell;
mod unlock;

#[cfg(test)]
mod tests;

pub(super) use ahead::Hand;
pub(super) use follow::too_large;

use super::crew::Crew;
use super::heartbeat::{self, Alive};
use super::roll::Seat;
use crate::broker::Delivery;
use crate::celery::Request;
use crate::policy::grants;
use crate::policy::limits::effective;
use crate::policy::retry::Plan;
use crate::registry::{Guarded, Loaded};
use crate::results::Write;
use crate::task::Fence;
use ahead::{Ahead, Ended, Known, Lead};
use batch::Batch;
use celeriac_sandbox::{Bill, Grants, Limits};
use jiff::Timestamp;
use leave::Left;
use report::Story;
use std::sync::Arc;
use std::time::Duration;

/// An admitted attempt: everything the later steps need to know.
#[derive(Debug)]
pub(super) struct Attempt {
    delivery: Delivery,
    request: Request,
    code: Arc<Loaded>,
    guard: Guarded,
    limits: Limits,
    plan: Plan,
    grants: Grants,
    fence: Fence,
    started: Timestamp,
    whose: String,
    /// What its guest takes, wherever it ends.
    bill: Bill,
    /// The calls of `celery.map` and `celery.starmap`, where it is one of them.
    batch: Option<Arc<Batch>>,
}

/// Runs one attempt to its end, whatever that is, and returns the CPU time that it took and
/// what is next in hand: what follows it may run ahead.
pub(super) async fn attempt(crew: &Crew, hand: Hand) -> (Duration, Option<Hand>) {
    let Hand {
        delivery,
        known,
        alive, // d. keep alive, from the first moment
        lead,
    } = hand;
    let mut story = Story::new(crew, &delivery);
    let ahead = match steps(crew, delivery, known, (&alive, lead), &mut story).await {
        Ok(ahead) => ahead,
        Err(left) => {
            story.leaves(&left);
            if left.goes_back() {
                heartbeat::let_go(crew, &alive).await;
            }
            leave::leave(crew, left, &alive, &mut story).await;
            None
        }
    };
    let cpu = story.tell(crew); // j. report
    (cpu, ahead.map(|ahead| Hand::ahead(ahead, alive)))
}

async fn steps(
    crew: &Crew,
    delivery: Delivery,
    known: Option<Known>,
    (alive, lead): (&Alive, Lead),
    story: &mut Story,
) -> Result<Option<Box<Ahead>>, Left> {
    let (delivery, request, embed) = match known {
        Some(Known { request, embed }) => (delivery, request, Some(embed)),
        None => {
            let (delivery, request) = decode::decode(crew, delivery).await?; // a. decode
            (delivery, request, None)
        }
    };
    story.knows(&request);
    let seat = crew.steering.roll.seat(&delivery, &request);
    let watched = crew.steering.revocations.watch(&delivery, &request.id);
    let attempt = admit::admit(crew, delivery, request, &watched).await?; // b. admit
    tell::received(crew, &attempt.delivery, &attempt.request);
    story.has(&attempt);
    start::start(crew, &attempt, alive).await?; // c. start
    begins(crew, &attempt, &seat);
    story.runs(&attempt);
    let (mut report, handed) = invoke::invoke(crew, &attempt, alive, &watched).await?; // e. invoke
    story.did(&report);
    let verdict = judge::judge(crew, &attempt, report.outcome.clone()); // f. judge
    judge::count(crew, &attempt, &report.outcome, &verdict);
    let (verdict, rest) = follow::plan(crew, &attempt.request, embed, verdict, attempt.is_again());
    story.decided(&verdict);
    let submitted = std::mem::take(&mut report.submitted);
    let sending = submitted::sending(crew, &attempt, &verdict, submitted, handed);
    let mut end = end::of(crew, &attempt, verdict, &report, rest.children());
    submitted::send(crew, &attempt, &mut end, sending).await?; // what was submitted on success
    let is_kept = end.write.as_ref().is_some_and(Write::is_last) && end.follow_up.is_empty();
    let tries_again = end.tries_again();
    record::record(crew, &attempt, end.write).await?; // g. record
    story.tell_monitors(crew);
    if tries_again {
        watched.tries_again(&attempt.request.id).await;
    }
    let ended = Ended {
        is_kept,
        settlement: &end.settlement,
        lead,
    };
    let rest = match ahead::next(crew, &attempt, &ended, rest) {
        Ok(ahead) => {
            crew.count(&end.settlement);
            story.goes_on();
            return Ok(Some(ahead));
        }
        Err(rest) => rest,
    };
    record::follow_up(crew, end.follow_up).await?; // h. follow up
    follow::carry_out(crew, &attempt.delivery, rest).await?;
    crew.count(&end.settlement);
    if leave::goes_back(&end.settlement) {
        heartbeat::let_go(crew, alive).await;
    }
    record::settle(crew, &attempt, end.settlement, story).await?; // i. settle
    Ok(None)
}

/// Says to whoever asks that the guest is about to start.
fn begins(crew: &Crew, attempt: &Attempt, seat: &Seat) {
    seat.starts(crew.clock.now(), attempt.code.task.at_most_once);
    tell::started(crew, &attempt.request);
}

impl Attempt {
    fn new(crew: &Crew, delivery: Delivery, request: Request, code: Arc<Loaded>) -> Self {
        let settings = &crew.settings;
        let asked = crew.steering.limits_of(&request);
        Self {
            limits: effective(
                &settings.defaults,
                &code.task.limits,
                &settings.ceiling,
                asked.hard,
                asked.soft,
            ),
            plan: Plan::new(
                code.task.retry.as_ref(),
                settings.max_retries.default,
                settings.retry_delay,
                settings.max_retries.cap,
            ),
            grants: grants::of(&settings.grants, &code.module.to_string(), &code.task.name),
            fence: record::fence(&delivery, &request),
            started: crew.clock.now(),
            whose: format!(
                "module {} {}, task {}",
                code.module, code.version, code.task.name
            ),
            guard: crew.resolver.guard(&code),
            delivery,
            request,
            code,
            bill: Bill::default(),
            batch: None,
        }
    }

    /// Tells whether an attempt before this one may have done the same, and died before
    /// it was settled.
    fn is_again(&self) -> bool {
        self.request.again || self.fence.deliveries > 1
    }
}
