//! From a [`Write`] to the document that Celery's clients read.

use super::Write;
use crate::celery::result::Document;
use crate::task::State;
use jiff::Timestamp;
use serde_json::json;

/// Writes the document of a state; `ours` is JSON, what only we know.
pub(super) fn document(write: &Write, now: Timestamp, ours: &str) -> String {
    let result = write.result.as_deref().map(String::from_utf8_lossy);
    // As Celery's worker tells who runs it.
    let started = (write.state == State::Started)
        .then(|| json!({"pid": std::process::id(), "hostname": write.worker}).to_string());
    Document {
        task_id: write.id.as_str(),
        status: write.state.as_str(),
        result: result.as_deref().or(started.as_deref()),
        exception: write.exception.as_ref(),
        date_done: write.state.is_final().then_some(now),
        group_id: write.reply.group.as_deref(),
        parent_id: write.reply.parent.as_deref(),
        children: &write.children,
        celeriac: ours,
    }
    .text()
}
