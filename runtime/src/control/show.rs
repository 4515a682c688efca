//! Commands that only look.

use super::Control;
use super::commands::{Told, json};
use super::info::{Describing, Info};
use crate::celery::iso;
use crate::task::{ExchangeType, QueueShape};
use crate::worker::roll::Entry;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The priority that Celery shows for what waits until a moment.
const TIMER_PRIORITY: u8 = 6;

pub(super) fn stats(control: &Control) -> Told {
    let pool = &control.steering.pool;
    let (active, processed) = control.steering.roll.pulse();
    json(&json!({
        "total": control.steering.roll.total(),
        "pid": std::process::id(),
        "clock": control.events.lamport().now().to_string(),
        "uptime": control.began.elapsed().as_secs(),
        "pool": {
            "implementation": "celeriac:sandbox",
            "max-concurrency": pool.size(),
            "processes": [std::process::id()],
            "max-tasks-per-child": "N/A",
            "put-guarded-by-semaphore": true,
            "timeouts": control.facts.timeouts,
            "writes": {
                "total": processed,
                "avg": "1.00",
                "all": "1.00",
                "raw": processed.to_string(),
                "strategy": "fair",
                "inqueues": {"total": pool.size(), "active": active},
            },
        },
        "broker": control.facts.broker,
        "prefetch_count": pool.size(),
        "rusage": "N/A",
    }))
}

/// The names of all tasks, sorted, each with what is asked for of it. Of what Python's
/// tasks have ours have a name and a rate; the rest is not there, as an attribute is not
/// that a task of Celery lacks.
pub(super) fn registered(control: &Control, items: &[String]) -> Vec<String> {
    let wants = |item: &str| items.iter().any(|wanted| wanted == item);
    let (name, rate) = (wants("name"), items.is_empty() || wants("rate_limit"));
    let described = |task: String| {
        let limit = control.steering.rates.of(own_name(control, &task));
        let limit = limit
            .filter(|_| rate)
            .map(|rate| format!("rate_limit={rate}"));
        let own = name.then(|| format!("name={task}"));
        let shown: Vec<String> = own.into_iter().chain(limit).collect();
        match shown.is_empty() {
            true => task,
            false => format!("{task} [{}]", shown.join(" ")),
        }
    };
    names(control).into_iter().map(described).collect()
}

fn names(control: &Control) -> BTreeSet<String> {
    let own = control.resolver.tasks(&control.facts.tenant).into_iter();
    let own = own.map(|name| name.to_string());
    own.chain(control.facts.aliases.keys().cloned()).collect()
}

/// Tells whether a name is one of our tasks.
pub(super) fn knows(control: &Control, task: &str) -> bool {
    names(control).contains(task)
}

/// Returns the name that we have for a task, whichever its callers use.
pub(super) fn own_name<'a>(control: &'a Control, task: &'a str) -> &'a str {
    let own = control.facts.aliases.get(task);
    own.map_or(task, String::as_str)
}

/// What must not run here, which Celery does not know of.
pub(super) fn killed(control: &Control) -> Vec<Value> {
    let kills = control.resolver.kills(&control.facts.tenant).into_iter();
    let shown = kills.map(|kill| {
        json!({
            "kind": kill.aim.kind(),
            "name": kill.aim.name(),
            "reason": kill.reason,
            "hold": kill.hold,
            "killed_at": iso(kill.killed_at),
        })
    });
    shown.collect()
}

pub(super) fn queues(control: &Control) -> Vec<Value> {
    let names = control.steering.queues.names();
    let held = control.steering.meter.hold().map(
        |hold| json!({"quota": hold.quota, "until": hold.until.map(|until| until.to_string())}),
    );
    let shape = |name: &String| {
        let shape = control.facts.queues.described(name);
        let shape = shape.unwrap_or_else(|| QueueShape::of(name));
        let mut queue = queue(name, &shape);
        if let (Some(held), Some(queue)) = (&held, queue.as_object_mut()) {
            queue.insert("celeriac_held".to_owned(), held.clone());
        }
        queue
    };
    names.iter().map(shape).collect()
}

fn queue(name: &str, shape: &QueueShape) -> Value {
    let kind = match shape.exchange_type {
        ExchangeType::Direct => "direct",
        ExchangeType::Topic => "topic",
        ExchangeType::Fanout => "fanout",
    };
    json!({
        "name": name,
        "exchange": {
            "name": shape.exchange, "type": kind, "arguments": null, "durable": true,
            "passive": false, "auto_delete": false, "delivery_mode": null, "no_declare": false,
        },
        "routing_key": shape.routing_key,
        "queue_arguments": shape.quorum.then(|| json!({"x-queue-type": "quorum"})),
        "binding_arguments": null,
        "consumer_arguments": null,
        "durable": true,
        "exclusive": false,
        "auto_delete": false,
        "no_ack": false,
        "alias": null,
        "bindings": [],
        "no_declare": null,
        "expires": null,
        "message_ttl": null,
        "max_length": null,
        "max_length_bytes": null,
        "max_priority": shape.max_priority,
    })
}

/// How a message is in hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Active,
    Reserved,
    Scheduled,
}

fn how(control: &Control, entry: &Entry) -> How {
    match entry.eta {
        _ if entry.started.is_some() => How::Active,
        Some(eta) if eta > control.clock.now() => How::Scheduled,
        Some(_) | None => How::Reserved,
    }
}

fn infos(control: &Control, wanted: How, safe: bool) -> Vec<Info> {
    let mut describing = Describing::new(control.events.hostname(), safe);
    let entries = control.steering.roll.entries().into_iter();
    let wanted = entries.filter(|entry| how(control, entry) == wanted);
    wanted.map(|entry| describing.info(entry)).collect()
}

pub(super) fn active(control: &Control, safe: bool) -> Told {
    json(&infos(control, How::Active, safe))
}

pub(super) fn reserved(control: &Control) -> Told {
    json(&infos(control, How::Reserved, false))
}

/// What waits here for its moment. What waits longer is in the broker.
pub(super) fn scheduled(control: &Control) -> Told {
    #[derive(serde::Serialize)]
    struct Scheduled {
        eta: Option<String>,
        priority: u8,
        request: Info,
    }
    let mut describing = Describing::new(control.events.hostname(), false);
    let entries = control.steering.roll.entries().into_iter();
    let waiting = entries.filter(|entry| how(control, entry) == How::Scheduled);
    let scheduled = waiting.map(|entry| Scheduled {
        eta: entry.eta.map(iso),
        priority: TIMER_PRIORITY,
        request: describing.info(entry),
    });
    json(&scheduled.collect::<Vec<_>>())
}

pub(super) fn query(control: &Control, ids: &[String]) -> Told {
    let mut describing = Describing::new(control.events.hostname(), false);
    let entries = control.steering.roll.entries().into_iter();
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let asked = entries.filter(|entry| ids.contains(entry.id.as_str()));
    let found = asked.map(|entry| {
        let state = match how(control, &entry) {
            How::Active => "active",
            How::Reserved => "reserved",
            How::Scheduled => "scheduled",
        };
        (entry.id.clone(), (state, describing.info(entry)))
    });
    json(&found.collect::<BTreeMap<_, _>>())
}
