//! A task that the worker does itself, in the same order as any other: work, store, settle.

use super::end::{extended, reply, retry_of};
use super::follow;
use super::leave::{Left, replace, settle, tell};
use super::report::Story;
use crate::broker::{Delivery, Settlement};
use crate::celery::Request;
use crate::clock::after;
use crate::policy::verdict::Verdict;
use crate::results::{RunUsage, Write};
use crate::task::{Fence, State};
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
    let (verdict, rest) = follow::plan(crew, request, verdict);
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
            fence: Fence {
                retries: request.retries,
                deliveries: delivery.deliveries,
            },
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
        tell(crew, &write).await?;
    }
    follow::carry_out(crew, delivery, rest).await?;
    crew.count(&Settlement::Ack);
    settle(crew, delivery, Settlement::Ack, story).await
}
