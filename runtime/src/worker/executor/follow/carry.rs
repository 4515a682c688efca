//! Carries out what follows: messages, the sizes of chords, failures of tasks that will
//! never run, and whatever the ends of chords lead to.

use super::FollowUp;
use super::chord::join;
use super::outgoing::{How, publish};
use crate::broker::Delivery;
use crate::policy::canvas::{Expected, Failure, Part, Plan};
use crate::results::chord::Expect;
use crate::results::{Reply, RunUsage, Write};
use crate::task::{Fence, State, TaskId};
use crate::worker::crew::Crew;
use crate::worker::executor::leave::{self, Left};
use crate::worker::executor::submitted::SUBMITS_LEFT;
use crate::worker::executor::unlock;
use crate::worker::patience::insist;
use serde_json::Value;
use std::collections::HashSet;

/// Most plans that one end leads to: each is a chord that is over within the one before.
const PLANS: usize = 10_000;

/// What is to be done next.
#[derive(Debug)]
enum Step {
    Plan(Plan),
    /// A part of a chord is over.
    Part(Part),
    /// The end of a chord was carried out.
    Close(String),
}

/// Carries out a plan, and those that the ends of chords lead to.
pub(in crate::worker::executor) async fn carry_out(
    crew: &Crew,
    delivery: &Delivery,
    follow_up: FollowUp,
) -> Result<(), Left> {
    let FollowUp {
        plan,
        root,
        again,
        budget,
    } = follow_up;
    let how = how(again, budget, delivery);
    // A stack: a chord is closed once all is done to which its end led, and not before.
    // Whoever comes after a death in between finds it open, and does it all again.
    let mut steps = vec![Step::Plan(plan)];
    let mut open = HashSet::new();
    let mut count = 0;
    while let Some(step) = steps.pop() {
        match step {
            Step::Plan(plan) => {
                count += 1;
                if count <= PLANS {
                    let parts = send(crew, plan, &how).await?.into_iter();
                    steps.extend(parts.rev().map(Step::Part));
                }
            }
            // What a chord leads to cannot be a part of it.
            Step::Part(part) if open.contains(&part.group) => {}
            Step::Part(part) => {
                let group = part.group.clone();
                if let Some(plan) = join(crew, delivery, part, &root, &how).await? {
                    open.insert(group.clone());
                    steps.extend([Step::Close(group), Step::Plan(plan)]);
                }
            }
            Step::Close(group) => {
                open.remove(&group);
                close(crew, delivery, &group).await?;
            }
        }
    }
    Ok(())
}

/// How what follows a delivery is sent: what bounds a task bounds what follows from it.
pub(super) fn how(again: bool, budget: Option<Value>, delivery: &Delivery) -> How {
    let told = || delivery.message.headers.get(SUBMITS_LEFT).cloned();
    How {
        again,
        budget: budget.or_else(told),
    }
}

/// Does what a plan says, but for the parts of chords, which it returns.
async fn send(crew: &Crew, plan: Plan, how: &How) -> Result<Vec<Part>, Left> {
    let unlocks = unlock::sends(crew, &plan);
    for chord in plan.expected {
        expect(crew, chord, how.again).await?;
    }
    for failed in plan.failures {
        fail(crew, failed).await?;
    }
    publish(crew, &plan.sends, how).await?;
    publish(crew, &unlocks, how).await?;
    Ok(plan.parts)
}

/// Remembers that everything was done to which the end of a chord led.
async fn close(crew: &Crew, delivery: &Delivery, group: &str) -> Result<(), Left> {
    let closed = insist(&crew.shutdown, || crew.results.joined(group)).await;
    closed.map_err(|error| Left::unrecorded(delivery, &error))
}

pub(super) async fn expect(crew: &Crew, chord: Expected, again: bool) -> Result<(), Left> {
    let expect = Expect {
        group: chord.group,
        size: chord.size,
        structure: chord.is_nested.then_some(chord.results),
        again,
        keep: crew.settings.result_keep,
    };
    let told = insist(&crew.shutdown, || crew.results.expect(expect.clone())).await;
    told.map_err(|error| Left::Away(error.to_string()))
}

/// Stores the failure of a task that will never run.
pub(super) async fn fail(crew: &Crew, failed: Failure) -> Result<(), Left> {
    let Ok(id) = TaskId::parse(&failed.id) else {
        return Ok(());
    };
    let write = Write {
        id,
        task: failed.task,
        fence: Fence {
            retries: 0,
            deliveries: 0,
        },
        state: State::Failure,
        result: None,
        exception: Some(failed.exception),
        due: None,
        worker: String::new(),
        usage: RunUsage::default(),
        log: None,
        keep: crew.settings.result_keep,
        reply: Reply {
            to: failed.reply_to,
            correlation: Some(failed.id),
            group: failed.group,
            parent: None,
        },
        children: String::new(),
        extended: None,
    };
    leave::tell(crew, &write).await.map(|_| ())
}
