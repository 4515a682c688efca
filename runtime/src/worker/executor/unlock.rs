//! The tasks that look for the parts of chords, where the result backend does not count
//! them: one is sent after the header of each chord.

use crate::policy::canvas::{self, CanvasError, Expected, Plan, Send, Sender};
use crate::policy::route;
use crate::results::chord::Joining;
use crate::worker::crew::Crew;

/// Checks that the parts of the chords in a plan can be brought together.
pub(super) fn check(crew: &Crew, plan: &Plan) -> Result<(), CanvasError> {
    match crew.results.joining() {
        Joining::Counts => Ok(()),
        Joining::Never if plan.expected.is_empty() => Ok(()),
        Joining::Never => Err(CanvasError::NoBackend),
        Joining::Polls => plan
            .expected
            .iter()
            .try_for_each(|chord| send(crew, plan, chord).map(|_| ())),
    }
}

/// Returns what is to be sent after the headers of the chords in a plan.
pub(super) fn sends(crew: &Crew, plan: &Plan) -> Vec<Send> {
    if crew.results.joining() != Joining::Polls {
        return Vec::new();
    }
    let sends = plan.expected.iter().filter_map(|chord| {
        let sent = send(crew, plan, chord);
        // It was checked before, but for the bodies of chords.
        sent.inspect_err(|error| tracing::warn!(%error, group = chord.group, "nobody will look for the parts of a chord"))
            .ok()
    });
    sends.collect()
}

fn send(crew: &Crew, plan: &Plan, chord: &Expected) -> Result<Send, CanvasError> {
    // The header comes from the same sender.
    let header = plan.sends.last();
    let sender = Sender {
        id: header.map(|sent| sent.parent.clone()).unwrap_or_default(),
        root: header.map(|sent| sent.root.clone()).unwrap_or_default(),
        seed: String::new(),
    };
    canvas::unlocking(&sender, chord, |task| {
        route::queue(&crew.settings.routes, task).to_owned()
    })
}
