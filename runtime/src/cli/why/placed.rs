//! What is said of a task whose message was found, by the place it stands in.

use super::seen::{Seen, Taker};
use super::verdict::Said;
use super::words::{counted, due, raised};
use crate::broker::{Found, Place};
use crate::cli::show;
use crate::results::Record;
use crate::task::State;
use jiff::Timestamp;
use serde_json::Value;

/// How far the moment at which a message is due may be from the one that its header
/// names, milliseconds: brokers count in theirs.
const APART: i128 = 1_100;

/// Says where a message stands and why.
pub(super) fn placed(seen: &Seen, found: &Found) -> Said {
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
        Some(some) => {
            let names: Vec<&str> = some.iter().map(|taker| taker.worker.as_str()).collect();
            more.push(format!("taken from by {}", names.join(", ")));
            let held = some
                .iter()
                .filter_map(|taker| taker.held.as_ref().map(|held| (taker, held)));
            more.extend(held.map(|(taker, held)| full(seen, taker, held)));
        }
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

/// Says which quota keeps a worker from taking it.
fn full(seen: &Seen, taker: &Taker, (quota, until): &(String, Option<Timestamp>)) -> String {
    let worker = &taker.worker;
    match (quota.as_str(), until) {
        ("suspended", _) => format!("not taken by {worker}: its tenant is suspended"),
        (_, Some(until)) => format!(
            "not taken by {worker} until {}: its tenant's quota {quota} is full",
            due(seen.now, *until)
        ),
        (_, None) => format!("not taken by {worker}: its tenant's quota {quota} is full"),
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
