//! Step h, follow up: what the end of a task sets going. The plan is pure and lives in
//! `policy::canvas`; it is made here and carried out in [`carry`], each step insisted on.
//!
//! All of it can be done again: ids derive from the task, chords count a part once, and
//! the record of a task makes the second of two messages stale.

mod carry;
mod chord;
mod outgoing;

pub(super) use carry::carry_out;
pub(in crate::worker) use chord::too_large;
pub(super) use chord::unlocked;

use super::Attempt;
use super::size;
use super::unlock;
use crate::broker::{Delivery, Outgoing};
use crate::celery::Request;
use crate::policy::canvas::{self, CanvasError, Embed, Ended, Plan, Send, Sender};
use crate::policy::verdict::Verdict;
use crate::results::{Exception, Record};
use crate::task::{Json, State};
use crate::worker::crew::Crew;
use serde_json::Value;

/// A plan, and how its messages are to be sent.
#[derive(Debug)]
pub(super) struct FollowUp {
    plan: Plan,
    /// The root of the workflow: the sender of what chords lead to.
    root: String,
    /// Whether it may have been carried out before.
    again: bool,
    /// What those that are sent may send in turn, where that is bounded.
    budget: Option<Value>,
}

impl FollowUp {
    /// What a guest submitted: each of its tasks may send so many in turn. An attempt
    /// before this one may have sent the same.
    pub(super) fn submitted(attempt: &Attempt, plan: Plan, share: u32) -> Self {
        Self {
            budget: Some(Value::from(share)),
            ..follow(&attempt.request, plan, attempt.is_again())
        }
    }

    /// Returns the tasks that will be sent.
    pub(super) fn sends(&self) -> &[Send] {
        &self.plan.sends
    }

    /// Tells whether what follows is one task that would come here and begin at once, and
    /// was not sent before.
    pub(super) fn is_one_for(&self, crew: &Crew) -> bool {
        let Plan {
            expected,
            failures,
            sends,
            parts,
            children: _,
        } = &self.plan;
        let [send] = sends.as_slice() else {
            return false;
        };
        let is_alone = expected.is_empty() && failures.is_empty() && parts.is_empty();
        let waits = send.options.priority.is_some() || send.options.eta.is_some();
        is_alone && !waits && !self.again && outgoing::comes_here(crew, send)
    }

    /// Returns the message of that task, what a worker reads from it, and what follows it
    /// in turn, and counts its start; or itself, where no worker would read it or a quota
    /// holds it.
    pub(super) fn one(
        mut self,
        crew: &Crew,
        delivery: &Delivery,
    ) -> Result<(Outgoing, Request, Embed), Self> {
        let Some(send) = self.plan.sends.pop() else {
            return Err(self);
        };
        let how = carry::how(self.again, self.budget.clone(), delivery);
        match outgoing::readable(crew, &send, crew.clock.now(), &how) {
            Some((outgoing, request)) if crew.steering.meter.begins() => {
                Ok((outgoing, request, send.into_embed()))
            }
            Some(_) | None => {
                self.plan.sends.push(send);
                Err(self)
            }
        }
    }

    /// Celery's tuples of the tasks that will be sent, a JSON array; empty for none.
    pub(super) fn children(&self) -> String {
        match self.plan.children.as_slice() {
            [] => String::new(),
            children => Json::array(children).to_string(),
        }
    }
}

/// Plans what follows a verdict. A success of which the rest cannot be sent is a failure.
/// `again` says that it may have been carried out before: not every end leaves a record.
/// `known` is what is to follow, where that was read already.
pub(super) fn plan(
    crew: &Crew,
    request: &Request,
    known: Option<Embed>,
    verdict: Verdict,
    again: bool,
) -> (Verdict, FollowUp) {
    let succeeded = match &verdict {
        Verdict::Succeed(result) => {
            let result = Json::read(&String::from_utf8_lossy(result));
            let result = result.unwrap_or_else(Json::null);
            let embed = known.map_or_else(|| embed(request), Ok);
            Some(embed.and_then(|embed| success(crew, request, embed, &result)))
        }
        Verdict::Fail(_)
        | Verdict::Reject { .. }
        | Verdict::Revoke(_)
        | Verdict::RetryAt { .. }
        | Verdict::Ignore
        | Verdict::Return
        | Verdict::Defer => None,
    };
    let verdict = match succeeded {
        Some(Ok(plan)) => return (verdict, follow(request, plan, again)),
        Some(Err(error)) => Verdict::Fail(error.exception()),
        None => verdict,
    };
    let plan = match &verdict {
        Verdict::Fail(exception) | Verdict::Reject { exception, .. } => failure(request, exception),
        Verdict::Revoke(exception) => revoke(request, exception),
        Verdict::Succeed(_)
        | Verdict::RetryAt { .. }
        | Verdict::Ignore
        | Verdict::Return
        | Verdict::Defer => Plan::default(),
    };
    (verdict, follow(request, plan, again))
}

/// Plans what follows a task that is refused.
pub(super) fn of_refusal(
    delivery: &Delivery,
    request: &Request,
    state: &State,
    exception: &Exception,
) -> FollowUp {
    let plan = match state {
        State::Failure => failure(request, exception),
        State::Revoked => revoke(request, exception),
        State::Started | State::Success | State::Retry | State::Custom(_) => Plan::default(),
    };
    follow(request, plan, delivery.deliveries > 1)
}

/// Plans again what follows a task whose record is final.
pub(super) fn of_record(crew: &Crew, request: &Request, record: &Record) -> FollowUp {
    let plan = match &record.state {
        State::Success => {
            let result = record.result.as_deref().map(String::from_utf8_lossy);
            let result = result.and_then(|text| Json::read(&text));
            let result = result.unwrap_or_else(Json::null);
            let plan = embed(request).and_then(|embed| success(crew, request, embed, &result));
            plan.unwrap_or_default()
        }
        State::Failure => failure(request, &record.failure()),
        State::Revoked => revoke(request, &record.failure()),
        State::Started | State::Retry | State::Custom(_) => Plan::default(),
    };
    follow(request, plan, true)
}

fn follow(request: &Request, plan: Plan, again: bool) -> FollowUp {
    FollowUp {
        plan,
        root: root(request),
        again: again || request.again,
        budget: None,
    }
}

fn success(
    crew: &Crew,
    request: &Request,
    embed: Embed,
    result: &Json,
) -> Result<Plan, CanvasError> {
    if embed.is_empty() {
        return Ok(Plan::default());
    }
    let plan = canvas::after_success(ended_with(request, embed), result)?;
    unlock::check(crew, &plan)?;
    size::check(&plan)?;
    Ok(plan)
}

fn failure(request: &Request, exception: &Exception) -> Plan {
    fitting(canvas::after_failure(&ended(request), exception))
}

fn revoke(request: &Request, exception: &Exception) -> Plan {
    fitting(canvas::after_revoke(&ended(request), exception))
}

/// Of what follows a failure, there is nothing to fall back on: what fits is sent.
fn fitting(mut plan: Plan) -> Plan {
    size::cut(&mut plan);
    plan
}

fn embed(request: &Request) -> Result<Embed, CanvasError> {
    Embed::read(&String::from_utf8_lossy(&request.embed))
}

pub(super) fn ended(request: &Request) -> Ended {
    // What cannot be read was refused, or is passed over.
    ended_with(request, embed(request).unwrap_or_default())
}

fn ended_with(request: &Request, embed: Embed) -> Ended {
    let group = request.group.clone();
    Ended {
        sender: Sender {
            id: request.id.to_string(),
            root: root(request),
            seed: format!("{}:{}", request.id, request.retries),
        },
        embed,
        group: group.map(|group| (group, request.group_index)),
    }
}

fn root(request: &Request) -> String {
    let root = request.root_id.clone();
    root.unwrap_or_else(|| request.id.to_string())
}
