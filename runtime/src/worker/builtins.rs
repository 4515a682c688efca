//! Tasks that every worker of Celery has, done by the worker itself: no guest runs.
//!
//! One line of [`ALL`] for each. They are done again after a crash, so each must be
//! harmless when it is done twice. An alias of the configuration goes before them.

use super::crew::Crew;
use crate::celery::Request;
use crate::task::Exception;
use bytes::Bytes;
use futures::future::BoxFuture;

/// What does the work of one task.
pub(super) type Work = for<'a> fn(&'a Crew, &'a Request) -> BoxFuture<'a, Done>;

/// How it ended.
#[derive(Debug)]
pub(super) enum Done {
    /// With a result, JSON.
    Succeeded(Bytes),
    /// For good, with what its caller sees.
    Failed(Exception),
}

/// Every task, by its name.
const ALL: [(&str, Work); 1] = [("celery.backend_cleanup", |crew, _| {
    Box::pin(backend_cleanup(crew))
})];

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
