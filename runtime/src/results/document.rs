//! Between a [`Write`] and the document that Celery's clients read.

use super::decide::Recorded;
use super::{Record, RunUsage, Write};
use crate::celery::result::{Document, Found};
use crate::clock::after;
use crate::task::{Fence, State, TaskId};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The member of a document that only we write. `expires_at` is its first field and
/// `ordered` its second: the scripts look for them there.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Ours {
    /// Milliseconds since 1970; absent is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// Whether a run that goes on writes over it, see [`Write::is_order`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ordered: bool,
    task: String,
    retries: u32,
    deliveries: u32,
    worker: String,
    written_at: i64,
    due: Option<i64>,
    usage: RunUsage,
    log: Option<String>,
    /// Whether there is no result at all, not even `null`.
    bare: bool,
}

/// Writes the document of a state; `ours` is JSON, what only we know.
pub(super) fn document(write: &Write, now: Timestamp, ours: &str) -> String {
    with(write, now, ours, |document| document.text())
}

/// Writes what stands in `result` of the document.
pub(super) fn outcome(write: &Write, now: Timestamp) -> String {
    with(write, now, "{}", |document| document.outcome())
}

fn with<T>(write: &Write, now: Timestamp, ours: &str, made: impl FnOnce(&Document<'_>) -> T) -> T {
    let result = write.result.as_deref().map(String::from_utf8_lossy);
    // As Celery's worker tells who runs it.
    let started = (write.state == State::Started)
        .then(|| json!({"pid": std::process::id(), "hostname": write.worker}).to_string());
    let document = Document {
        task_id: write.id.as_str(),
        status: write.state.as_str(),
        result: result.as_deref().or(started.as_deref()),
        exception: write.exception.as_ref(),
        date_done: write.state.is_final().then_some(now),
        group_id: write.reply.group.as_deref(),
        parent_id: write.reply.parent.as_deref(),
        children: &write.children,
        extended: write.extended.as_ref(),
        celeriac: ours,
    };
    made(&document)
}

/// Writes the document of a state where it is kept, with what only we know.
pub(super) fn kept(write: &Write, now: Timestamp) -> String {
    let ours = Ours {
        expires_at: expires_at(write, now),
        ordered: write.is_order(),
        task: write.task.clone(),
        retries: write.fence.retries,
        deliveries: write.fence.deliveries,
        worker: write.worker.clone(),
        written_at: now.as_millisecond(),
        due: write.due.map(Timestamp::as_millisecond),
        usage: write.usage,
        log: write.log.clone(),
        bare: write.result.is_none(),
    };
    // A map would be sorted; the scripts want `expires_at` first.
    let ours_text = serde_json::to_string(&ours).unwrap_or_else(|_| "{}".to_owned());
    document(write, now, &ours_text)
}

/// Reads a document, by whomever it was written, unless its time is over.
pub(super) fn stored(id: &TaskId, text: &str, now: Timestamp) -> Option<Record> {
    let found = Found::read(text)?;
    let ours = found.celeriac.as_deref();
    let known: Option<Ours> = ours.and_then(|ours| serde_json::from_str(ours.get()).ok());
    let is_bare = known.as_ref().is_some_and(|known| known.bare);
    // Who wrote it without us had it delivered.
    let least = u32::from(known.as_ref().is_none_or(|known| !known.ordered));
    let known = known.unwrap_or_default();
    if known
        .expires_at
        .is_some_and(|at| at <= now.as_millisecond())
    {
        return None;
    }
    let state = State::from_word(&found.status);
    let failed = matches!(state, State::Failure | State::Revoked | State::Retry);
    let exception = failed.then(|| found.exception()).flatten();
    let result = found.result.filter(|_| !failed && !is_bare);
    Some(Record {
        id: id.clone(),
        task: known.task,
        fence: Fence {
            retries: known.retries,
            deliveries: known.deliveries.max(least),
        },
        state,
        result: result.map(|json| Bytes::copy_from_slice(json.get().as_bytes())),
        exception,
        due: known
            .due
            .and_then(|due| Timestamp::from_millisecond(due).ok()),
        worker: known.worker,
        usage: known.usage,
        log: known.log,
        written_at: Timestamp::from_millisecond(known.written_at).unwrap_or(now),
    })
}

/// Returns when a record is over, milliseconds since 1970.
pub(super) fn expires_at(write: &Write, now: Timestamp) -> Option<i64> {
    write.keep.map(|keep| after(now, keep).as_millisecond())
}

/// Joins a document and the record of a run: the document tells the end, the run
/// record who runs.
pub(super) fn joined(document: Option<Record>, run: Option<Recorded>) -> Option<Recorded> {
    let alone = |record| Recorded {
        record,
        lease_until: None,
    };
    let Some(run) = run else {
        return document.map(alone);
    };
    match document {
        Some(record) if record.is_last() => Some(alone(record)),
        // The document is of this very run: it tells more.
        Some(record) if record.fence == run.record.fence && record.state == run.record.state => {
            Some(Recorded { record, ..run })
        }
        Some(_) | None => Some(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_an_older_version_is_read() {
        let id = TaskId::parse("7f3a").unwrap();
        let text = json!({"status": "SUCCESS", "result": 1, "celeriac": {"task": "m.t",
            "retries": 0, "deliveries": 1, "usage": {"queue_wait_ms": 1, "run_us": 2,
            "cpu_us": 3, "memory_peak_bytes": 4}}});
        let record = stored(&id, &text.to_string(), Timestamp::UNIX_EPOCH).unwrap();
        let known = RunUsage {
            queue_wait_ms: 1,
            run_us: 2,
            cpu_us: 3,
            memory_peak_bytes: 4,
            ..RunUsage::default()
        };
        assert_eq!((record.task.as_str(), record.usage), ("m.t", known));
    }
}
