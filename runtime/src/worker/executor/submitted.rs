//! What a guest submits, from the wish to the message.
//!
//! What is to be sent at once is published by [`desk`] while the guest waits.
//! What is to be sent on success is published before the success is recorded: a
//! worker that dies in between runs the task again and sends the same tasks, while
//! the other way round they would be lost.

mod desk;
mod numbered;
mod order;

pub(super) use desk::{Post, open};
pub(super) use numbered::Numbered;

use super::Attempt;
use super::end::End;
use super::follow::{self, FollowUp};
use super::leave::Left;
use super::record::follow_up;
use crate::broker::Outgoing;
use crate::policy::budget::Budget;
use crate::policy::verdict::Verdict;
use crate::task::Json;
use crate::worker::crew::Crew;
use celeriac_sandbox::{Signature, Submission, SubmitError, Submitted, Wish};
use order::Order;
use std::collections::HashMap;

/// Our header that tells what a task and its descendants may send.
pub(super) const SUBMITS_LEFT: &str = "x-celeriac-submits";

/// What a wish becomes.
#[derive(Debug)]
pub(super) struct Planned {
    /// What its sender knows it by.
    id: String,
    /// What is to be published for it.
    messages: Vec<Outgoing>,
    /// What is to be done for a signature.
    rest: Option<FollowUp>,
    /// What of it Celery's results tell of as children: the tuples.
    children: Vec<Json>,
}

/// What follows from an attempt for what it submitted.
#[derive(Debug, Default)]
pub(super) struct Sending {
    messages: Vec<Outgoing>,
    rest: Vec<FollowUp>,
    children: Vec<Json>,
}

impl Attempt {
    /// What the attempt and its descendants may send.
    pub(super) fn budget(&self) -> Budget {
        let told = self.delivery.message.headers.get(SUBMITS_LEFT);
        Budget::new(told.and_then(serde_json::Value::as_u64))
    }
}

/// What an attempt handed in while it ran.
#[derive(Debug)]
pub(super) struct Handed {
    /// What is left of its budget.
    budget: Budget,
    /// The children of each thing that was handed in, by its id.
    children: HashMap<String, Vec<Json>>,
}

/// Works out what an attempt sends at its end, under its verdict.
pub(super) fn sending(
    crew: &Crew,
    attempt: &Attempt,
    verdict: &Verdict,
    submitted: Submitted,
    handed: Handed,
) -> Sending {
    let Handed {
        budget,
        mut children,
    } = handed;
    let planned = match verdict {
        Verdict::Succeed(_) => on_success(crew, attempt, &submitted.on_success, budget),
        Verdict::Ignore => replacement(crew, attempt, submitted.replacement.as_ref(), budget),
        Verdict::Fail(_)
        | Verdict::RetryAt { .. }
        | Verdict::Revoke(_)
        | Verdict::Reject { .. }
        | Verdict::Return
        | Verdict::Defer => return Sending::default(),
    };
    let mut sending = Sending::default();
    for one in planned {
        sending.messages.extend(one.messages);
        sending.rest.extend(one.rest);
    }
    if matches!(verdict, Verdict::Succeed(_)) {
        let ids = submitted.ids.iter();
        sending.children = ids.filter_map(|id| children.remove(id)).flatten().collect();
    }
    sending
}

/// Publishes what is to be sent, and lets the record tell of it.
pub(super) async fn send(
    crew: &Crew,
    attempt: &Attempt,
    end: &mut End,
    sending: Sending,
) -> Result<(), Left> {
    if let Some(write) = &mut end.write {
        write.children = children(&sending.children, &write.children);
    }
    follow_up(crew, sending.messages).await?;
    for rest in sending.rest {
        follow::carry_out(crew, &attempt.delivery, rest).await?;
    }
    Ok(())
}

fn on_success(
    crew: &Crew,
    attempt: &Attempt,
    submissions: &[Submission],
    budget: Budget,
) -> Vec<Planned> {
    let count = submissions.iter().map(|one| one.wish.count()).sum();
    let order = Order::new(crew, attempt, budget.shared(count));
    let planned = submissions
        .iter()
        .filter_map(|one| match plan(&order, &one.wish, one.index) {
            Ok(planned) => Some(planned),
            Err(error) => {
                // It was planned before, while the guest waited for the answer.
                tracing::warn!(?error, id = one.id, "what a task submitted is not sent");
                None
            }
        });
    planned.collect()
}

fn replacement(
    crew: &Crew,
    attempt: &Attempt,
    signature: Option<&Signature>,
    budget: Budget,
) -> Vec<Planned> {
    let Some(signature) = signature else {
        return Vec::new();
    };
    let count = u32::try_from(signature.tasks.len()).unwrap_or(u32::MAX);
    let order = Order::new(crew, attempt, budget.shared(count));
    match order.replacement(signature) {
        Ok(planned) => vec![planned],
        Err(error) => {
            tracing::warn!(?error, id = %attempt.request.id, "what was to replace a task is not sent");
            Vec::new()
        }
    }
}

/// Makes messages of a wish: the one place where signatures become tasks.
fn plan(order: &Order<'_>, wish: &Wish, index: u32) -> Result<Planned, SubmitError> {
    match wish {
        Wish::Job(job) => order.job(job, index),
        Wish::Signature(signature) => order.signature(signature, index),
    }
}

/// The tasks that were sent, as Celery's results tell of their children, before those
/// that follow from the end.
fn children(sent: &[Json], others: &str) -> String {
    if sent.is_empty() {
        return others.to_owned();
    }
    let others = Json::read(others).and_then(|others| others.items());
    let others = others.unwrap_or_default();
    Json::array(sent.iter().chain(&others)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_told_as_celery_tells_them() {
        assert_eq!(children(&[], ""), "");
        let sent = [Json::read(r#"[["a", null], null]"#).unwrap()];
        assert_eq!(children(&sent, ""), r#"[[["a", null], null]]"#);
        let others = r#"[[["b", null], null]]"#;
        assert_eq!(children(&[], others), others);
        assert_eq!(
            children(&sent, others),
            r#"[[["a", null], null], [["b", null], null]]"#
        );
    }
}
