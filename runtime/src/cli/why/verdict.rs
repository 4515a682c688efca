//! What is said of a task, from what was seen.

use super::placed::placed;
use super::recorded::{ended, recorded, unknown};
use super::seen::{Hold, Seen};
use super::words::{between, clock, counted};
use crate::broker::Reach;
use crate::cli::exit::Exit;
use crate::telemetry::human;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What is said.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) head: String,
    pub(super) rest: String,
    pub(super) more: Vec<String>,
    pub(super) document: Value,
    pub(super) exit: Exit,
}

/// The place, in a word for programs and in words for people.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) place: &'static str,
    pub(super) head: String,
    pub(super) rest: String,
    pub(super) more: Vec<String>,
    pub(super) queue: Option<String>,
    pub(super) ahead: Option<u64>,
    pub(super) until: Option<Timestamp>,
    pub(super) since: Option<Timestamp>,
    pub(super) worker: Option<String>,
}

/// Says where a task is and why.
pub(super) fn judge(seen: &Seen) -> Verdict {
    let said = said(seen);
    let record = seen.record.as_ref();
    let exception = record.and_then(|record| record.exception.as_ref());
    let looked_in = match &seen.looked.reach {
        Reach::All(queues) | Reach::Part { queues, .. } | Reach::DeadLetters(queues) => {
            queues.as_slice()
        }
        Reach::Nothing => &[],
    };
    let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    let takers = seen.takers.as_ref();
    let takers: Option<Vec<&str>> =
        takers.map(|takers| takers.iter().map(|taker| taker.worker.as_str()).collect());
    let document = json!({
        "id": seen.id.as_str(),
        "place": said.place,
        "why": format!("{}{}", said.head, said.rest),
        "more": said.more,
        "state": record.map_or("PENDING", |record| record.state.as_str()),
        "task": seen.task(),
        "queue": said.queue,
        "ahead": said.ahead,
        "until": text(said.until),
        "since": text(said.since),
        "worker": said.worker,
        "retries": seen.retries_known(),
        "max_retries": seen.max_retries,
        "exception": exception,
        "usage": record.filter(|record| record.is_last()).map(|record| record.usage),
        "taken_by": takers,
        "looked_in": looked_in,
    });
    let exit = match said.place {
        "unknown" => Exit::NotFound,
        _ => Exit::Done,
    };
    Verdict {
        head: said.head,
        rest: said.rest,
        more: said.more,
        document,
        exit,
    }
}

fn said(seen: &Seen) -> Said {
    let over = seen.record.as_ref().filter(|record| record.is_last());
    if let Some(record) = over {
        return ended(seen, record);
    }
    let mut said = match (&seen.looked.found, seen.workers.first()) {
        (_, Some(hold)) => held(seen, hold),
        (Some(found), None) => placed(seen, found),
        (None, None) => match &seen.record {
            Some(record) => recorded(seen, record),
            None => unknown(seen),
        },
    };
    if let Some(kill) = &seen.killed
        && said.place != "dead"
    {
        let end = match (said.place, kill.hold) {
            ("running", _) => "it ends as FAILURE when its worker hears of it",
            (_, false) => "it ends as FAILURE when a worker takes it",
            (_, true) => "it waits until it is allowed again",
        };
        let words = format!("{kill}: {end}; `{}` allows it again", kill.aim.undo());
        said.more.insert(0, words);
    }
    if seen.is_revoked && !matches!(said.place, "dead" | "running") {
        let words = "it is revoked: it will not run, and ends as REVOKED when a worker takes it";
        said.more.insert(0, words.to_owned());
    }
    said
}

fn held(seen: &Seen, hold: &Hold) -> Said {
    let since = hold.since.map(|since| {
        let span = human::span(between(since, seen.now));
        format!(" since {} (for {span})", clock(seen.now, since))
    });
    let retry = match seen.retries() {
        0 => String::new(),
        number => format!(", {}", counted(number, seen.max_retries)),
    };
    let worker = &hold.worker;
    let (place, head, rest) = match hold.runs {
        true => (
            "running",
            "running",
            format!(" on {worker}{}{retry}", since.unwrap_or_default()),
        ),
        false => (
            "in_hand",
            "in hand",
            format!(" of {worker}, which waits for a free place or for its time{retry}"),
        ),
    };
    let others = seen.workers.iter().skip(1);
    let more = others.map(|other| format!("{} has a copy of it in hand", other.worker));
    let more = more.collect();
    let found = seen.looked.found.as_ref().map(|found| &found.queue);
    Said {
        place,
        head: head.to_owned(),
        rest,
        more,
        queue: found.or(hold.queue.as_ref()).cloned(),
        since: hold.since,
        worker: Some(worker.clone()),
        ..Said::default()
    }
}

#[cfg(test)]
mod tests;
