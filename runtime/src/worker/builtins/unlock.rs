//! `celery.chord_unlock`: looks whether all parts of a chord are over, and lets its body
//! follow. Sent where the result backend does not count the parts.

use super::super::crew::Crew;
use super::super::executor::too_large;
use super::{Done, Unlocked};
use crate::celery::Request;
use crate::policy::canvas::{self, CanvasError, Unjoined, Unlock};
use crate::results::chord::{JOINED_BYTES, Joining};
use crate::results::{Record, ResultsError};
use crate::task::{Exception, Json, State, TaskId};
use std::time::Duration;

/// What a look shows: all parts are over, with their results, or some are not.
type Look = Option<Result<Json, Unjoined>>;

/// Looks once.
pub(super) async fn unlock(crew: &Crew, request: &Request) -> Done {
    let chord = match Unlock::read(&request.args, &request.kwargs) {
        Ok(chord) => chord,
        Err(error) => {
            let text = format!("celery.chord_unlock(): {error}");
            return Done::Failed(Exception::new("builtins", "TypeError", text));
        }
    };
    let results = match crew.results.joining() {
        Joining::Never => Some(Err(Unjoined::Join(CanvasError::NoBackend.to_string()))),
        Joining::Counts | Joining::Polls => look(crew, &chord).await,
    };
    let keep = crew.settings.result_keep;
    let given_up = || given_up(&chord, request.retries, keep).map(|why| Err(Unjoined::Join(why)));
    match results.or_else(given_up) {
        Some(results) => Done::Chord(Unlocked {
            group: chord.group,
            body: chord.body,
            results,
        }),
        None => Done::Later(chord.interval),
    }
}

/// Says why nobody looks any more: often enough, or so long that results are gone.
fn given_up(chord: &Unlock, retries: u32, keep: Option<Duration>) -> Option<String> {
    let waited = chord.interval.saturating_mul(retries.saturating_add(1));
    let is_over = chord.max_retries.is_some_and(|most| retries >= most)
        || keep.is_some_and(|keep| waited >= keep);
    is_over.then(|| {
        let seconds = waited.as_secs();
        format!("some of its parts were not over after {seconds} s")
    })
}

/// Looks for the parts, the last one first: it is likely to be over last.
async fn look(crew: &Crew, chord: &Unlock) -> Look {
    let (mut parts, mut bytes) = (Vec::new(), 0);
    let mut failed = None;
    for id in chord.parts.iter().rev() {
        let Ok(task) = TaskId::parse(id) else {
            return Some(Err(Unjoined::Join(format!("{id:?} is no id of a task"))));
        };
        if crew.shutdown.is_cancelled() {
            return None;
        }
        let record = match crew.results.get(&task).await {
            Ok(record) => record.filter(|record| record.state.is_final())?,
            Err(error @ ResultsError::Unavailable { .. }) => {
                tracing::warn!(%error, group = chord.group, "the parts of a chord cannot be looked for; trying again");
                return None;
            }
            Err(error @ (ResultsError::Malformed { .. } | ResultsError::Misconfigured { .. })) => {
                return Some(Err(Unjoined::Join(error.to_string())));
            }
        };
        match ending(record) {
            Ok(result) => {
                bytes += result.as_str().len() as u64;
                parts.push((id.clone(), Ok(result)));
            }
            Err(exception) => failed = Some((id.clone(), exception)),
        }
        if failed.is_some() || bytes > JOINED_BYTES {
            // They are not brought together: only the rest must be over.
            parts.clear();
        }
    }
    parts.reverse();
    Some(match failed {
        Some((id, exception)) => Err(Unjoined::Part { id, exception }),
        None if bytes > JOINED_BYTES => Err(too_large()),
        None => canvas::joined(parts, Some(chord.structure.clone())),
    })
}

/// How a part of the chord ended.
fn ending(record: Record) -> Result<Json, Exception> {
    if record.state == State::Success {
        let result = record.result.as_deref().map(String::from_utf8_lossy);
        return Ok(result
            .and_then(|result| Json::read(&result))
            .unwrap_or_else(Json::null));
    }
    Err(record.failure())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(interval: u64, max_retries: Option<u32>) -> Unlock {
        Unlock {
            group: "g".to_owned(),
            body: Json::null(),
            parts: Vec::new(),
            structure: Json::null(),
            interval: Duration::from_secs(interval),
            max_retries,
        }
    }

    #[test]
    fn nobody_looks_for_parts_whose_results_are_gone() {
        let day = Some(Duration::from_secs(86_400));
        assert_eq!(given_up(&chord(1, None), 86_398, day), None);
        assert!(given_up(&chord(1, None), 86_399, day).is_some());
        assert!(given_up(&chord(10, None), 8_639, day).is_some());
        assert_eq!(given_up(&chord(1, None), u32::MAX, None), None);
        assert!(given_up(&chord(86_400, None), u32::MAX, day).is_some());
    }

    #[test]
    fn the_sender_may_say_how_often_somebody_looks() {
        assert_eq!(given_up(&chord(1, Some(3)), 2, None), None);
        assert!(given_up(&chord(1, Some(3)), 3, None).is_some());
    }
}
