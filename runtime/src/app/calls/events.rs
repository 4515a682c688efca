//! What happens to a task, as events for whoever follows it.
//!
//! They are made of the records that workers store, so that nothing is kept for streams:
//! whoever comes late gets what is known now, and whoever comes again names the last event
//! it saw and gets what differs.

use super::clients::Lent;
use super::status::{PENDING, json, status};
use super::waiting::Place;
use crate::results::{Record, Watch};
use crate::task::{State, TaskId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Longest life of a stream (1 h): its caller comes again with the id of the last event.
pub const STREAM: Duration = Duration::from_secs(3_600);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEvent {
    /// By which a stream goes on after it.
    pub id: String,
    /// `state`, `progress`, `log` or `result`.
    pub kind: &'static str,
    /// JSON on one line.
    pub data: String,
}

/// What a caller has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    /// The run: retries and deliveries.
    run: (u32, u32),
    /// Lines of its log.
    lines: usize,
    /// What stands for the state and what it tells; 0 is nothing.
    mark: u64,
    /// Whether anything was told at all.
    any: bool,
}

/// A task that somebody follows. Dropped, it leaves nothing behind.
pub struct Follow {
    client: Lent,
    id: TaskId,
    watcher: Box<dyn Watch>,
    _place: Place,
    seen: Seen,
    waiting: VecDeque<TaskEvent>,
    ended: bool,
    until: Instant,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Follow {
    pub(super) fn new(
        (client, id): (Lent, TaskId),
        watcher: Box<dyn Watch>,
        place: Place,
        last: Option<&str>,
    ) -> Self {
        Self {
            client,
            id,
            watcher,
            _place: place,
            seen: last.and_then(Seen::read).unwrap_or_default(),
            waiting: VecDeque::new(),
            ended: false,
            until: Instant::now() + STREAM,
        }
    }

    /// Waits for the next event; `None` is the end. Where the result backend does not
    /// answer, it ends too: its caller comes again. Cancel-safe.
    pub async fn next(&mut self) -> Option<TaskEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let record = self.client.results().get(&self.id).await;
            let record = record.inspect_err(|error| trouble(error)).ok()?;
            self.ended = record.as_ref().is_some_and(|one| one.state.is_final());
            self.waiting = news(&self.id, record.as_ref(), &mut self.seen).into();
            if self.ended || !self.waiting.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.watcher.changed() => {
                    changed.inspect_err(|error| trouble(error)).ok()?;
                }
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }
}

fn trouble(error: &crate::results::ResultsError) {
    tracing::warn!(%error, "a stream of events ends");
}

/// Returns what of a record its caller has not seen, which it has seen then.
fn news(id: &TaskId, record: Option<&Record>, seen: &mut Seen) -> Vec<TaskEvent> {
    let Some(record) = record else {
        return match std::mem::replace(&mut seen.any, true) {
            true => Vec::new(),
            false => vec![event(seen, "state", &Stage::pending(id))],
        };
    };
    let run = (record.fence.retries, record.fence.deliveries);
    if run != seen.run {
        seen.run = run;
        (seen.lines, seen.mark) = (0, 0);
    }
    seen.any = true;
    let mut events = Vec::new();
    for line in lines(record).into_iter().skip(seen.lines) {
        seen.lines += 1;
        events.push(event(seen, "log", &line));
    }
    let mark = mark(record);
    if mark != seen.mark {
        seen.mark = mark;
        events.push(match (&record.state, record.state.is_final()) {
            (_, true) => event(seen, "result", &status(id, Some(record))),
            (State::Custom(_), false) => event(seen, "progress", &Stage::of(id, record)),
            (_, false) => event(seen, "state", &Stage::of(id, record)),
        });
    } else if record.state.is_final() && events.is_empty() {
        // Whoever comes again after the end learns that it is the end.
        events.push(event(seen, "result", &status(id, Some(record))));
    }
    events
}

/// A state on the way.
#[derive(Debug, Serialize)]
struct Stage<'a> {
    id: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Box<RawValue>>,
    retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
}

impl<'a> Stage<'a> {
    fn pending(id: &'a TaskId) -> Self {
        Self {
            id: id.as_str(),
            state: PENDING,
            meta: None,
            retries: 0,
            due: None,
            worker: None,
        }
    }

    fn of(id: &'a TaskId, record: &'a Record) -> Self {
        Self {
            id: id.as_str(),
            state: record.state.as_str(),
            meta: record.result.as_deref().and_then(json),
            retries: record.fence.retries,
            due: record.due.map(|due| due.to_string()),
            worker: Some(record.worker_name()),
        }
    }
}

fn event(seen: &Seen, kind: &'static str, data: &impl Serialize) -> TaskEvent {
    let data = serde_json::to_string(data).unwrap_or_default();
    TaskEvent {
        id: seen.write(),
        kind,
        // JSON of a guest's may have lines; outside of its texts these mean nothing, and
        // within they are escaped.
        data: data.replace(['\r', '\n'], " "),
    }
}

fn lines(record: &Record) -> Vec<Box<RawValue>> {
    #[derive(serde::Deserialize)]
    struct Log {
        #[serde(default)]
        lines: Vec<Box<RawValue>>,
    }
    let log = record.log.as_deref();
    let log = log.and_then(|log| serde_json::from_str::<Log>(log).ok());
    log.map(|log| log.lines).unwrap_or_default()
}

/// What stands for a state and what it tells; never 0.
fn mark(record: &Record) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in [
        record.state.as_str().as_bytes(),
        &[0],
        record.result.as_deref().unwrap_or_default(),
    ] {
        hasher.update(part);
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes) | 1
}

impl Seen {
    fn write(&self) -> String {
        let (retries, deliveries) = self.run;
        format!("{retries}.{deliveries}.{}.{:x}", self.lines, self.mark)
    }

    /// Reads what [`Seen::write`] wrote; `None` for anything else.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<u32>().ok();
        let run = (number()?, number()?);
        let lines = usize::try_from(number()?).ok()?;
        let mark = u64::from_str_radix(parts.next()?, 16).ok()?;
        let any = parts.next().is_none();
        any.then_some(Self {
            run,
            lines,
            mark,
            any,
        })
    }
}

#[cfg(test)]
mod tests;
