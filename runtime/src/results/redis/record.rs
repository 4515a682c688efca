//! Between a [`Record`] and what Redis holds of it.

use super::super::decide::Recorded;
use super::super::document::{expires_at, joined, stored};
use super::super::{Record, RunUsage, Start, Write};
use super::script::FIELDS;
use crate::task::{Fence, State, TaskId};
use jiff::Timestamp;

/// What was found of a task.
pub(super) struct Found {
    document: Option<Record>,
    run: Option<Recorded>,
    version: Vec<u8>,
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
        joined(self.document.clone(), self.run.clone())
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
