//! What was refused, or is over already: its caller is told, and what follows happens.

use super::{Left, Refusal, settle, tell};
use crate::broker::{Delivery, Settlement};
use crate::celery::{Malformed, Request};
use crate::results::{Extended, Record, Reply, RunUsage, Write, Written};
use crate::task::{Exception, Fence, State, TaskId};
use crate::worker::crew::Crew;
use crate::worker::executor::end::{extended, reply, reply_to};
use crate::worker::executor::follow;
use crate::worker::executor::record;
use crate::worker::executor::report::Story;

pub(super) async fn refuse(crew: &Crew, refusal: Refusal, story: &mut Story) -> Result<(), Left> {
    let Refusal {
        delivery,
        request,
        exception,
        state,
        settlement,
        usage,
    } = refusal;
    let caller = (request.id.clone(), request.task.clone());
    let caller = (!request.ignore_result).then_some(caller);
    let reply = reply(&delivery.message, &request);
    let fence = record::fence(&delivery, &request);
    let rest = follow::of_refusal(&delivery, &request, &state, &exception);
    // Of a task that nobody knows, Celery does not tell more either.
    let extended = extended(crew, &delivery, &request).filter(|_| state == State::Revoked);
    let told = (state.clone(), exception.clone());
    let told = store(crew, caller, fence, told, (reply, usage), extended).await?;
    if told == Written::Refused {
        let left = record::overtaken(crew, &delivery, &request).await;
        let Left::Over { record, .. } = &left else {
            return Err(left);
        };
        if !is_same(record, &state, &exception) {
            return Err(left);
        }
        // It was refused before, and its message is yet to go where it belongs.
        story.left("REPEATED");
        return repeat(crew, &delivery, &request, record, settlement, story).await;
    }
    crew.refuse();
    story.ends(&state);
    story.refused(&exception);
    story.tell_monitors(crew);
    follow::carry_out(crew, &delivery, rest).await?;
    settle(crew, &delivery, settlement, story).await
}

/// Repeats what follows a task that is over: its worker died before the end.
pub(super) async fn repeat(
    crew: &Crew,
    delivery: &Delivery,
    request: &Request,
    record: &Record,
    settlement: Settlement,
    story: &mut Story,
) -> Result<(), Left> {
    let rest = follow::of_record(crew, request, record);
    follow::carry_out(crew, delivery, rest).await?;
    settle(crew, delivery, settlement, story).await
}

/// What becomes of the message of a task that ended so: what was rejected, or had no code,
/// is kept.
pub(super) fn settlement_of(record: &Record) -> Settlement {
    let Some(exception) = &record.exception else {
        return Settlement::Ack;
    };
    match exception.class.as_str() {
        "Reject" => Settlement::DeadLetter {
            reason: format!("rejected: {}", exception.message),
        },
        "NotRegistered" | "ImproperlyConfigured" => Settlement::DeadLetter {
            reason: exception.message.clone(),
        },
        _ => Settlement::Ack,
    }
}

/// Tells whether a record is that of a refusal like this one.
fn is_same(record: &Record, state: &State, exception: &Exception) -> bool {
    let class = record.exception.as_ref().map(|stored| &stored.class);
    record.state == *state && class == Some(&exception.class)
}

pub(super) async fn unreadable(
    crew: &Crew,
    delivery: &Delivery,
    malformed: &Malformed,
    story: &mut Story,
) -> Result<(), Left> {
    crew.refuse();
    story.ends(&State::Failure);
    let fence = Fence {
        retries: 0,
        deliveries: delivery.deliveries,
    };
    store(
        crew,
        malformed.caller.clone(),
        fence,
        (State::Failure, malformed.exception.clone()),
        (reply_to(&delivery.message), RunUsage::default()),
        None,
    )
    .await?;
    let reason = malformed.reason.clone();
    settle(crew, delivery, Settlement::DeadLetter { reason }, story).await
}

/// Tells the caller, if there is one, why the task was not run.
async fn store(
    crew: &Crew,
    caller: Option<(TaskId, String)>,
    fence: Fence,
    (state, exception): (State, Exception),
    (reply, usage): (Reply, RunUsage),
    extended: Option<Extended>,
) -> Result<Written, Left> {
    let Some((id, task)) = caller else {
        return Ok(Written::Stored);
    };
    let write = Write {
        id,
        task,
        fence,
        state,
        result: None,
        exception: Some(exception),
        due: None,
        worker: crew.settings.name.clone(),
        usage,
        log: None,
        keep: crew.settings.result_keep,
        reply,
        children: String::new(),
        extended,
    };
    tell(crew, &write).await
}
