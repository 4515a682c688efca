//! A task that the worker does itself, in the same order as any other: work, store, settle.

use super::end::{extended, reply, retry_of};
use super::follow;
use super::leave::{Left, replace, settle, tell};
use super::record;
use super::report::Story;
use crate::broker::{Delivery, Settlement};
use crate::celery::Request;
use crate::clock::after;
use crate::policy::verdict::Verdict;
use crate::results::{RunUsage, Write, Written};
use crate::task::State;
use crate::worker::builtins::{Done, Work};
use crate::worker::crew::Crew;
use bytes::Bytes;

/// Does it.
pub(super) async fn run(
    crew: &Crew,
    delivery: &Delivery,
    request: &Request,
    work: Work,
    story: &mut Story,
) -> Result<(), Left> {
    let is_again = request.again || delivery.deliveries > 1;
    if is_again {
        record::look(crew, delivery, request).await?;
    }
    let verdict = match work(crew, request).await {
        Done::Succeeded(result) => Verdict::Succeed(result),
        Done::Failed(exception) => Verdict::Fail(exception),
        Done::Chord(chord) => {
            follow::unlocked(crew, delivery, request, chord).await?;
            Verdict::Succeed(Bytes::from_static(b"null"))
        }
        Done::Later(pause) => {
            story.left("PARKED");
            let due = after(crew.clock.now(), pause);
            let again = retry_of(delivery, &request.id, request.retries, due);
            return replace(crew, delivery, again, story).await;
        }
    };
    let (verdict, rest) = follow::plan(crew, request, None, verdict, is_again);
    let (state, result, exception) = match verdict {
        Verdict::Succeed(result) => (State::Success, Some(result), None),
        Verdict::Fail(exception) | Verdict::Revoke(exception) => {
            (State::Failure, None, Some(exception))
        }
        Verdict::RetryAt { .. }
        | Verdict::Reject { .. }
        | Verdict::Ignore
        | Verdict::Return
        | Verdict::Defer => (State::Success, None, None),
    };
    story.ends(&state);
    if !request.ignore_result {
        let write = Write {
            id: request.id.clone(),
            task: request.task.clone(),
            fence: record::fence(delivery, request),
            state,
            result,
            exception,
            due: None,
            worker: crew.settings.name.clone(),
            usage: RunUsage::default(),
            log: None,
            keep: crew.settings.result_keep,
            reply: reply(&delivery.message, request),
            children: rest.children(),
            extended: extended(crew, delivery, request),
        };
        if tell(crew, &write).await? == Written::Refused {
            return Err(record::overtaken(crew, delivery, request).await);
        }
    }
    story.tell_monitors(crew);
    follow::carry_out(crew, delivery, rest).await?;
    crew.count(&Settlement::Ack);
    settle(crew, delivery, Settlement::Ack, story).await
}
