//! The parts of a chord come together, and its body is sent or fails.

use super::carry::{carry_out, expect, fail};
use super::outgoing::{How, publish};
use super::{fitting, follow, root};
use crate::broker::Delivery;
use crate::celery::Request;
use crate::clock::after;
use crate::policy::canvas::{self, Part, Plan, Sender, Unjoined};
use crate::results::Exception;
use crate::results::chord::{Ending, JOINED_BYTES, JoinPart, Joined};
use crate::task::Json;
use crate::worker::builtins::Unlocked;
use crate::worker::crew::Crew;
use crate::worker::executor::leave::Left;
use crate::worker::executor::submitted::SUBMITS_LEFT;
use crate::worker::executor::{size, unlock};
use crate::worker::patience::insist;
use jiff::Timestamp;
use std::time::Duration;

/// Longest and shortest wait for whoever claimed the body of a chord: as long as a claim
/// of the result backends lasts (30 s), and a pause that keeps the backend from harm.
const CLAIM: Duration = Duration::from_secs(30);
const CLAIM_PAUSE: Duration = Duration::from_millis(100);

/// Counts a part of a chord, and plans what follows when it was the last: the chord is to
/// be closed after that.
pub(super) async fn join(
    crew: &Crew,
    delivery: &Delivery,
    part: Part,
    root: &str,
    how: &How,
) -> Result<Option<Plan>, Left> {
    let counted = JoinPart {
        group: part.group.clone(),
        index: part.index,
        id: part.id.clone(),
        end: match part.end {
            Ok(result) => Ending::Returned(result),
            Err((state, exception)) => Ending::Failed {
                state: state.to_owned(),
                exception,
            },
        },
        keep: crew.settings.result_keep,
    };
    let joined = loop {
        let joined = insist(&crew.shutdown, || crew.results.join(counted.clone())).await;
        match joined.map_err(|error| Left::unrecorded(delivery, &error))? {
            // In place: the task has run, and may have no message to come back.
            Joined::Held { until } => claim_lapses(crew, until).await?,
            joined @ (Joined::Waiting | Joined::TooLarge | Joined::Complete { .. }) => {
                break joined;
            }
        }
    };
    let results = match joined {
        Joined::Waiting | Joined::Held { .. } => return Ok(None),
        Joined::TooLarge => Err(too_large()),
        Joined::Complete { parts, structure } => canvas::joined(parts_of(parts), structure),
    };
    let sender = Sender {
        id: part.id,
        root: root.to_owned(),
        seed: format!("chord:{}", part.group),
    };
    send_body(crew, &sender, &part.body, results, how)
        .await
        .map(Some)
}

/// Waits until whoever claimed the body of a chord had the time to send it.
async fn claim_lapses(crew: &Crew, until: Timestamp) -> Result<(), Left> {
    let now = crew.clock.now();
    // Clocks differ: neither for ever, nor without a pause.
    let until = until.clamp(after(now, CLAIM_PAUSE), after(now, CLAIM));
    tokio::select! {
        () = crew.clock.sleep_until(until) => Ok(()),
        () = crew.shutdown.cancelled() => Err(Left::Away(
            "the worker stopped while another part of a chord was to send its body".to_owned(),
        )),
    }
}

/// Sends the body of a chord with the results, or fails it, and returns what is left to do.
async fn send_body(
    crew: &Crew,
    sender: &Sender,
    body: &Json,
    results: Result<Json, Unjoined>,
    how: &How,
) -> Result<Plan, Left> {
    let mut plan = canvas::after_chord(sender, body, results);
    if let Err(error) = size::check(&plan) {
        let unjoined = Unjoined::Join(error.to_string());
        plan = fitting(canvas::after_chord(sender, body, Err(unjoined)));
    }
    let unlocks = unlock::sends(crew, &plan);
    // The body first, and only then the chord is closed.
    let sends = std::mem::take(&mut plan.sends);
    for chord in std::mem::take(&mut plan.expected) {
        expect(crew, chord, true).await?;
    }
    let how = How {
        again: true,
        budget: how.budget.clone(),
    };
    publish(crew, &sends, &how).await?;
    publish(crew, &unlocks, &how).await?;
    for failed in std::mem::take(&mut plan.failures) {
        fail(crew, failed).await?;
    }
    Ok(plan)
}

/// Does what follows when somebody looked and all parts of a chord are over.
pub(in crate::worker::executor) async fn unlocked(
    crew: &Crew,
    delivery: &Delivery,
    request: &Request,
    chord: Unlocked,
) -> Result<(), Left> {
    let sender = Sender {
        id: request.id.to_string(),
        root: root(request),
        // As when its parts are counted: the same ids, whoever looks, and however often.
        seed: format!("chord:{}", chord.group),
    };
    let how = How {
        again: true,
        budget: delivery.message.headers.get(SUBMITS_LEFT).cloned(),
    };
    let plan = send_body(crew, &sender, &chord.body, chord.results, &how).await?;
    carry_out(crew, delivery, follow(request, plan, true)).await
}

/// Why the results of a chord are not brought together.
pub(in crate::worker) fn too_large() -> Unjoined {
    Unjoined::Join(format!(
        "the results have more than {JOINED_BYTES} bytes (fixed); let the tasks return references"
    ))
}

fn parts_of(parts: Vec<(String, Ending)>) -> Vec<(String, Result<Json, Exception>)> {
    let end = |end| match end {
        Ending::Returned(result) => Ok(result),
        Ending::Failed { exception, .. } => Err(exception),
    };
    parts
        .into_iter()
        .map(|(id, part)| (id, end(part)))
        .collect()
}
