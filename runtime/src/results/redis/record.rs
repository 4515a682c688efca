//! Between a [`Record`] and what Redis holds of it.

use super::super::decide::Recorded;
use super::super::{Record, RunUsage, Start, Write};
use super::script::FIELDS;
use crate::celery::result;
use crate::clock::after;
use crate::task::{Fence, State, TaskId};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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

/// What was found of a task.
pub(super) struct Found {
    document: Option<Record>,
    run: Option<Recorded>,
    version: Vec<u8>,
}

/// Writes the document of a state.
pub(super) fn document(write: &Write, now: Timestamp) -> String {
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
    super::super::document::document(write, now, &ours_text)
}

/// The fields of the record of a run that goes on, names and values in turn.
/// Its lease is not among them: it stays as it is.
pub(super) fn running(write: &Write, now: Timestamp) -> Vec<String> {
    fields(&[
        ("retries", write.fence.retries.to_string()),
        ("deliveries", write.fence.deliveries.to_string()),
        ("state", write.state.to_string()),
        ("task", write.task.clone()),
        ("worker", write.worker.clone()),
        ("due", millis(write.due)),
        (
            "expires_at",
            expires_at(write, now).map_or_else(String::new, |at| at.to_string()),
        ),
    ])
}

/// The fields of the record of a run that begins.
pub(super) fn begun(start: &Start, until: Timestamp) -> Vec<String> {
    fields(&[
        ("retries", start.fence.retries.to_string()),
        ("deliveries", start.fence.deliveries.to_string()),
        ("state", State::Started.to_string()),
        ("task", start.task.clone()),
        ("worker", start.worker.clone()),
        ("lease_until", millis(Some(start.lease_until))),
        ("due", String::new()),
        ("expires_at", millis(Some(until))),
    ])
}

impl Found {
    /// Reads what is not past its time; what cannot be read is not there.
    pub(super) fn new(
        id: &TaskId,
        document: Option<Vec<u8>>,
        run: Vec<Option<Vec<u8>>>,
        now: Timestamp,
    ) -> Self {
        let document = document.and_then(|bytes| String::from_utf8(bytes).ok());
        let document = document.and_then(|text| stored(id, &text, now));
        let over = document.as_ref().is_some_and(Record::is_last);
        let version = version(&run, over);
        let mut values = run.into_iter().map(|value| match value {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => String::new(),
        });
        let [
            retries,
            deliveries,
            state,
            task,
            worker,
            lease_until,
            due,
            ends,
        ] = std::array::from_fn(|_| values.next().unwrap_or_default());
        let fence = retries.parse().ok().zip(deliveries.parse().ok());
        let is_past = moment(&ends).is_some_and(|ends| ends <= now);
        let run = fence.filter(|_| !is_past).map(|(retries, deliveries)| {
            let record = Record {
                id: id.clone(),
                task,
                fence: Fence {
                    retries,
                    deliveries,
                },
                state: State::from_word(&state),
                result: None,
                exception: None,
                due: moment(&due),
                worker,
                usage: RunUsage::default(),
                log: None,
                written_at: now,
            };
            Recorded {
                record,
                lease_until: moment(&lease_until),
            }
        });
        Self {
            document,
            run,
            version,
        }
    }

    /// What is recorded: the document tells the end, the run record who runs.
    pub(super) fn recorded(&self) -> Option<Recorded> {
        let document = self.document.clone();
        let Some(run) = self.run.clone() else {
            return document.map(|record| Recorded {
                record,
                lease_until: None,
            });
        };
        match document {
            Some(record) if record.is_last() => Some(Recorded {
                record,
                lease_until: None,
            }),
            // The document is of this very run: it tells more.
            Some(record)
                if record.fence == run.record.fence && record.state == run.record.state =>
            {
                Some(Recorded { record, ..run })
            }
            Some(_) | None => Some(run),
        }
    }

    /// What a script compares, to see that nothing has changed.
    pub(super) fn version(&self) -> &[u8] {
        &self.version
    }
}

/// Joins what [`super::script::BEGIN`] joins, byte by byte.
fn version(run: &[Option<Vec<u8>>], over: bool) -> Vec<u8> {
    let fields = ["retries", "deliveries", "state", "worker", "lease_until"];
    let mut version = Vec::new();
    for wanted in fields {
        let place = FIELDS.iter().position(|field| *field == wanted);
        let value = place.and_then(|place| run.get(place)?.as_deref());
        version.extend_from_slice(value.unwrap_or_default());
        version.push(b'|');
    }
    if over {
        version.extend_from_slice(b"over");
    }
    version
}

fn stored(id: &TaskId, text: &str, now: Timestamp) -> Option<Record> {
    let found = result::Found::read(text)?;
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

fn expires_at(write: &Write, now: Timestamp) -> Option<i64> {
    write.keep.map(|keep| after(now, keep).as_millisecond())
}

fn fields(pairs: &[(&str, String)]) -> Vec<String> {
    pairs
        .iter()
        .flat_map(|(name, value)| [(*name).to_owned(), value.clone()])
        .collect()
}

fn millis(moment: Option<Timestamp>) -> String {
    moment.map_or_else(String::new, |moment| moment.as_millisecond().to_string())
}

fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(text.parse().ok()?).ok()
}
