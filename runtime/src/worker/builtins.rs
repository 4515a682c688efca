//! Tasks that every worker of Celery has, done by the worker itself: no guest runs.
//!
//! One line of [`ALL`] for each. They are done again after a crash, so each must be
//! harmless when it is done twice. An alias of the configuration goes before them.

mod accumulate;
mod unlock;

use super::crew::Crew;
use crate::celery::Request;
use crate::policy::canvas::Unjoined;
use crate::task::{Exception, Json};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::time::Duration;

/// What does the work of one task.
pub(super) type Work = for<'a> fn(&'a Crew, &'a Request) -> BoxFuture<'a, Done>;

/// How it ended.
#[derive(Debug)]
pub(super) enum Done {
    /// With a result, JSON.
    Succeeded(Bytes),
    /// For good, with what its caller sees.
    Failed(Exception),
    /// All parts of a chord are over: its body is next.
    Chord(Unlocked),
    /// Not yet: it is to be done again then.
    Later(Duration),
}

/// A chord of which all parts are over.
#[derive(Debug)]
pub(super) struct Unlocked {
    /// Its group.
    pub(super) group: String,
    /// What gets the results.
    pub(super) body: Json,
    /// The results, or why there are none.
    pub(super) results: Result<Json, Unjoined>,
}

/// Every task, by its name. `celery.map` and `celery.starmap` run guests: they are
/// attempts as any other.
const ALL: [(&str, Work); 3] = [
    ("celery.accumulate", |_, request| {
        Box::pin(std::future::ready(accumulate::accumulate(request)))
    }),
    ("celery.backend_cleanup", |crew, _| {
        Box::pin(backend_cleanup(crew))
    }),
    ("celery.chord_unlock", |crew, request| {
        Box::pin(unlock::unlock(crew, request))
    }),
];

/// Most rounds of one cleanup: a million results. What is left goes with the next.
const ROUNDS: usize = 100;

/// Finds a task, unless the configuration says that it is another.
pub(super) fn find(crew: &Crew, name: &str) -> Option<Work> {
    let ours = ALL.iter().find(|(known, _)| *known == name);
    ours.filter(|_| !crew.settings.aliases.contains_key(name))
        .map(|(_, work)| *work)
}

/// Removes results past their time, which Celery's beat asks for once a day. Every worker
/// of ours does it each minute without being asked.
async fn backend_cleanup(crew: &Crew) -> Done {
    for _ in 0..ROUNDS {
        match crew.results.sweep().await {
            Ok(0) => break,
            Ok(removed) => tracing::debug!(removed, "removed results past their time"),
            Err(error) => {
                let text = error.to_string();
                return Done::Failed(Exception::new("builtins", "ConnectionError", text));
            }
        }
    }
    Done::Succeeded(Bytes::from_static(b"null"))
}
