//! What is said of a task, from what was seen.

use super::words::{between, clock, due, raised};
use crate::broker::{Depth, Found, LOOKED_AT, Looked, Place, Reach};
use crate::cli::exit::Exit;
use crate::cli::show;
use crate::results::Record;
use crate::task::{State, TaskId};
use crate::telemetry::human;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How far the moment at which a message is due may be from the one that its header
/// names, milliseconds: brokers count in theirs.
const APART: i128 = 1_100;

/// All that was seen of a task.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: TaskId,
    pub(super) now: Timestamp,
    pub(super) keeps_results: bool,
    pub(super) record: Option<Record>,
    pub(super) looked: Looked,
    /// How long the queues are whose messages the broker does not show.
    pub(super) depths: Vec<(String, Depth)>,
    pub(super) is_revoked: bool,
    pub(super) workers: Vec<Hold>,
    /// Workers that take from its queue, where that was asked.
    pub(super) takers: Option<Vec<String>>,
    pub(super) max_retries: Option<u32>,
    pub(super) rate: Option<String>,
}

/// A worker that has the task in hand.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) worker: String,
    pub(super) runs: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) task: Option<String>,
    pub(super) queue: Option<String>,
}

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
struct Said {
    place: &'static str,
    head: String,
    rest: String,
    more: Vec<String>,
    queue: Option<String>,
    ahead: Option<u64>,
    until: Option<Timestamp>,
    since: Option<Timestamp>,
    worker: Option<String>,
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
        "retries": retries(seen),
        "max_retries": seen.max_retries,
        "exception": exception,
        "taken_by": seen.takers,
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
    if seen.is_revoked && !matches!(said.place, "dead" | "running") {
        let words = "it is revoked: it will not run, and ends as REVOKED when a worker takes it";
        said.more.insert(0, words.to_owned());
    }
    said
}

fn ended(seen: &Seen, record: &Record) -> Said {
    let on = match record.worker_name() {
        "" => String::new(),
        worker => format!(" on {worker}"),
    };
    let when = show::ago(seen.now, record.written_at);
    let head = match record.state {
        State::Success => "succeeded",
        State::Revoked => "revoked",
        State::Failure | State::Started | State::Retry | State::Custom(_) => "failed",
    };
    let exception = record.exception.as_ref();
    let why = exception.map_or(String::new(), |exception| {
        format!(": {}", raised(exception))
    });
    Said {
        place: "over",
        head: head.to_owned(),
        rest: format!(" {when}{on}{why}"),
        more: vec![format!("its result: celeriac result {}", seen.id)],
        since: Some(record.written_at),
        worker: Some(record.worker_name().to_owned()).filter(|worker| !worker.is_empty()),
        ..Said::default()
    }
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

fn placed(seen: &Seen, found: &Found) -> Said {
    let queue = &found.queue;
    let mut said = match &found.place {
        Place::Ready { ahead } => ready(seen, found, *ahead),
        Place::Parked { until } => Said {
            place: "parked",
            head: "parked".to_owned(),
            rest: format!(
                " in queue {queue} until {}: {}",
                due(seen.now, *until),
                cause(seen, found, *until)
            ),
            until: Some(*until),
            ..Said::default()
        },
        Place::Leased { until } => leased(seen, found, *until),
        Place::Dead { reason, died_at } => Said {
            place: "dead",
            head: "dead letter".to_owned(),
            rest: format!(
                " of queue {queue}, {}: {reason}",
                show::ago(seen.now, *died_at)
            ),
            more: vec![format!("its neighbours: celeriac queues {queue} --dead")],
            since: Some(*died_at),
            ..Said::default()
        },
    };
    said.queue = Some(queue.clone());
    said
}

fn ready(seen: &Seen, found: &Found, ahead: u64) -> Said {
    let queue = &found.queue;
    let behind = match ahead {
        0 => ", the next to be taken".to_owned(),
        1 => " behind about 1 other".to_owned(),
        others => format!(" behind about {others} others"),
    };
    let mut more = Vec::new();
    let eta = eta(found).filter(|eta| *eta > seen.now);
    more.extend(eta.map(|eta| format!("not to run before {}", due(seen.now, eta))));
    if seen.retries() > 0 {
        more.push(counted(seen.retries(), seen.max_retries));
    }
    match seen.takers.as_deref() {
        None => {}
        Some([]) => more.push(format!(
            "no worker that answers takes from it: start one with `celeriac worker -Q {queue}`"
        )),
        Some(some) => more.push(format!("taken from by {}", some.join(", "))),
    }
    Said {
        place: "ready",
        head: "waiting".to_owned(),
        rest: format!(" in queue {queue}{behind}"),
        more,
        ahead: Some(ahead),
        ..Said::default()
    }
}

fn leased(seen: &Seen, found: &Found, until: Option<Timestamp>) -> Said {
    let queue = &found.queue;
    let then = match until {
        Some(until) => format!(
            "unless it gives a sign of life, others may take it at {}",
            due(seen.now, until)
        ),
        None => "others get it when the visibility timeout of the broker is over".to_owned(),
    };
    let last = seen.record.as_ref().map(Record::worker_name);
    let last = last.filter(|worker| !worker.is_empty());
    let worker = last.map_or(String::new(), |worker| format!(", perhaps {worker}"));
    Said {
        place: "leased",
        head: "held".to_owned(),
        rest: format!(" from queue {queue} by a worker that does not answer{worker}"),
        more: vec![then],
        until,
        worker: last.map(str::to_owned),
        ..Said::default()
    }
}

/// Its message was not seen, but something is stored.
fn recorded(seen: &Seen, record: &Record) -> Said {
    let state = &record.state;
    let mut said = match (state, record.due) {
        (State::Retry, Some(until)) => {
            let number = u64::from(record.fence.retries) + 1;
            let mut why = counted(number, seen.max_retries);
            if let Some(exception) = &record.exception {
                why = format!("{why} after {}", raised(exception));
            }
            Said {
                place: "parked",
                head: "parked".to_owned(),
                rest: format!(" until {}: {why}", due(seen.now, until)),
                until: Some(until),
                ..Said::default()
            }
        }
        _ => Said {
            place: "unknown",
            head: format!("{state}"),
            rest: format!(
                " was told {} by {}, which does not answer for it now",
                show::ago(seen.now, record.written_at),
                record.worker_name()
            ),
            since: Some(record.written_at),
            worker: Some(record.worker_name().to_owned()),
            ..Said::default()
        },
    };
    said.more.extend(unseen(seen));
    said
}

fn unknown(seen: &Seen) -> Said {
    let mut more = Vec::new();
    more.push(match seen.keeps_results {
        true => "nothing is stored of it: it has not ended, its result expired, or it was sent with ignore_result".to_owned(),
        false => "no results are kept here: name the place that the workers use with --result-backend".to_owned(),
    });
    more.extend(unseen(seen));
    more.push("or it was never sent to this broker, or was purged".to_owned());
    Said {
        place: "unknown",
        head: "unknown".to_owned(),
        rest: ": no worker that answers has it".to_owned(),
        more,
        ..Said::default()
    }
}

/// Says what was looked at, and what could not be.
fn unseen(seen: &Seen) -> Vec<String> {
    let named = |queues: &[String]| match queues {
        [] => "no queue".to_owned(),
        some => some.join(", "),
    };
    match &seen.looked.reach {
        Reach::All(queues) => vec![format!("it is not in {}", named(queues))],
        Reach::Part { queues, longer } => vec![
            format!("it is not in {}", named(queues)),
            format!(
                "as far as was looked: {} have more than {LOOKED_AT} messages",
                named(longer)
            ),
        ],
        Reach::DeadLetters(queues) => {
            let mut lines = vec![format!(
                "it is no dead letter of {}; this broker shows no message that waits or is not due",
                named(queues)
            )];
            let waiting = seen.depths.iter().filter(|(_, depth)| depth.ready > 0);
            lines.extend(waiting.map(|(queue, depth)| {
                let waiting = human::count(depth.ready, "message");
                format!("queue {queue} holds {waiting} ready to be taken: it may be there")
            }));
            lines
        }
        Reach::Nothing => vec!["this broker shows no messages".to_owned()],
    }
}

/// Why a message is parked until then.
fn cause(seen: &Seen, found: &Found, until: Timestamp) -> String {
    let apart = |eta: Timestamp| (eta.as_nanosecond() - until.as_nanosecond()).abs() / 1_000_000;
    let is_told = eta(found).is_some_and(|eta| apart(eta) <= APART);
    let record = seen.record.as_ref();
    match (seen.retries(), &seen.rate) {
        (0, _) if is_told => "its eta, as its caller asked".to_owned(),
        (number, _) if is_told => {
            let words = counted(number, seen.max_retries);
            let failed = record.filter(|record| record.state == State::Retry);
            match failed.and_then(|record| record.exception.as_ref()) {
                Some(exception) => format!("{words} after {}", raised(exception)),
                None => words,
            }
        }
        (_, Some(rate)) => format!("its rate limit of {rate}"),
        (_, None) => "a worker put it off, and its log says why".to_owned(),
    }
}

/// The moment before which a message must not run.
fn eta(found: &Found) -> Option<Timestamp> {
    let eta = found.message.headers.get("eta").and_then(Value::as_str)?;
    eta.parse().ok()
}

fn retries(seen: &Seen) -> u64 {
    let record = seen.record.as_ref();
    match seen.looked.found {
        Some(_) => seen.retries(),
        None => record.map_or(0, |record| u64::from(record.fence.retries)),
    }
}

fn counted(number: u64, most: Option<u32>) -> String {
    match most {
        Some(most) => format!("retry {number} of {most}"),
        None => format!("retry {number}"),
    }
}

#[cfg(test)]
mod tests;
