//! Commands that change something.

use super::arguments::Arguments;
use super::commands::{Told, json, ok};
use super::{Control, show};
use crate::celery::repr;
use crate::celery::request::TimeLimit;
use crate::worker::orders::Terminate;
use serde_json::{Value, json};

/// The signals that a guest gets no time for.
const AT_ONCE: [&str; 3] = ["SIGKILL", "KILL", "9"];

pub(super) fn revoke(control: &Control, arguments: &Arguments<'_>) -> Told {
    let ids = arguments.texts("task_id");
    if ids.is_empty() {
        return Err(arguments.missing("task_id"));
    }
    let terminate = terminate(arguments);
    let ended = control.orders.revoke(&ids, terminate);
    ok(&match terminate {
        None => format!("tasks {} flagged as revoked", set(&ids)),
        Some(_) if ended.is_empty() => "terminate: tasks unknown".to_owned(),
        Some(_) => format!("terminate: {}", ended.join(", ")),
    })
}

fn terminate(arguments: &Arguments<'_>) -> Option<Terminate> {
    if arguments.method != "terminate" && !arguments.flag("terminate") {
        return None;
    }
    let number = arguments.count("signal").map(|number| number.to_string());
    let signal = number.as_deref().or(arguments.text("signal"));
    Some(match signal {
        Some(signal) if AT_ONCE.contains(&signal) => Terminate::AtOnce,
        Some(_) | None => Terminate::Asked,
    })
}

pub(super) fn revoke_by_stamps(control: &Control, arguments: &Arguments<'_>) -> Told {
    let stamps = arguments.table("headers");
    if stamps.is_empty() {
        return Err(arguments.missing("headers"));
    }
    let headers = arguments.values.get("headers").map(Value::to_string);
    let headers = repr::value(headers.unwrap_or_default().as_bytes());
    let terminate = terminate(arguments);
    let ended = control.orders.revoke_by_stamps(&stamps, terminate);
    let ended = ended.map_err(|error| error.to_string())?;
    ok(&match terminate {
        None => format!("headers {headers} flagged as revoked, but not terminated"),
        Some(_) if ended.is_empty() => format!("headers {headers} were not terminated"),
        Some(_) => format!("headers {headers} revoked"),
    })
}

pub(super) fn rate_limit(control: &Control, arguments: &Arguments<'_>) -> Told {
    let task = arguments.needed("task_name")?;
    let rate = rate(arguments.values.get("rate_limit"))?;
    if !show::knows(control, task) {
        return Err("unknown task".to_owned());
    }
    let limited = control.orders.rate_limit(task, rate);
    limited.map_err(|error| error.to_string())?;
    ok(match rate {
        Some(_) => "new rate limit set successfully",
        None => "rate limit disabled successfully",
    })
}

/// Reads a rate, in tasks a second: a number, or one by s, m or h.
fn rate(value: Option<&Value>) -> Result<Option<f64>, String> {
    let number = match value {
        Some(Value::Number(number)) => number.as_f64().unwrap_or_default(),
        Some(Value::String(text)) if !text.is_empty() => {
            let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
            let span = match unit {
                "s" | "" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                other => return Err(repr::exception("KeyError", other)),
            };
            let read = number.trim().parse::<f64>().ok();
            let finite = read.filter(|number| number.is_finite());
            finite.ok_or_else(|| {
                let words = format!("could not convert string to float: {}", repr::text(number));
                repr::exception("ValueError", &words)
            })? / span
        }
        Some(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_))
        | Some(Value::Object(_))
        | None => 0.0,
    };
    Ok(Some(number).filter(|number| *number > 0.0))
}

pub(super) fn time_limit(control: &Control, arguments: &Arguments<'_>) -> Told {
    let task = arguments.needed("task_name")?;
    if !show::knows(control, task) {
        return Err("unknown task".to_owned());
    }
    let limit = TimeLimit {
        hard: arguments.span("hard"),
        soft: arguments.span("soft"),
    };
    let limited = control.orders.time_limit(task, limit);
    limited.map_err(|error| error.to_string())?;
    ok("time limits set successfully")
}

pub(super) fn pool(control: &Control, arguments: &Arguments<'_>) -> Told {
    let by = arguments.count("n").unwrap_or(1);
    let by = usize::try_from(by).unwrap_or(usize::MAX);
    let pool = &control.orders.pool;
    let (changed, words) = match arguments.method {
        "pool_grow" => (pool.grow(by), "pool will grow"),
        _ => (pool.shrink(by), "pool will shrink"),
    };
    changed.map_err(|error| repr::exception("ValueError", &error.to_string()))?;
    ok(words)
}

pub(super) fn add_consumer(control: &Control, arguments: &Arguments<'_>) -> Told {
    let queue = arguments.needed("queue")?;
    let is_other = |name: &str| {
        let given = arguments.text(name);
        given.is_some_and(|given| !given.is_empty() && given != queue)
    };
    if !control.facts.queues.contains_key(queue)
        && (is_other("exchange") || is_other("routing_key"))
    {
        let words = format!(
            "queue {queue} is fed by an exchange of its own name; describe another one in [queues]"
        );
        return Err(repr::exception("ValueError", &words));
    }
    match control.orders.queues.add(queue) {
        Ok(true) => ok(&format!("add consumer {queue}")),
        Ok(false) => ok(&format!("already consuming from {queue}")),
        Err(error) => Err(repr::exception("ValueError", &error.to_string())),
    }
}

pub(super) fn cancel_consumer(control: &Control, arguments: &Arguments<'_>) -> Told {
    let queue = arguments.needed("queue")?;
    control.orders.queues.remove(queue);
    ok(&format!("no longer consuming from {queue}"))
}

/// As Celery: what the worker was started to tell cannot be switched off.
pub(super) fn events(control: &Control, on: bool) -> Told {
    if control.facts.task_events {
        return ok(match on {
            true => "task events already enabled",
            false => "task events already disabled",
        });
    }
    ok(match (on, control.events.enable(on)) {
        (true, false) => "task events enabled",
        (true, true) => "task events already enabled",
        (false, true) => "task events disabled",
        (false, false) => "task events already disabled",
    })
}

/// A worker that starts tells what it knows to be revoked, and asks the same.
pub(super) fn hello(control: &Control, arguments: &Arguments<'_>) -> Told {
    let from = arguments.needed("from_node")?;
    if from == control.events.hostname() {
        return json(&());
    }
    let mut revoked = arguments.texts("revoked");
    let table = arguments.values.get("revoked").and_then(Value::as_object);
    revoked.extend(table.into_iter().flat_map(|table| table.keys().cloned()));
    control.orders.revoke(&revoked, None);
    json(&json!({
        "revoked": control.orders.revoked(),
        "clock": control.events.lamport().forward(),
    }))
}

/// Python's way to write a set of texts.
fn set(ids: &[String]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| repr::text(id)).collect();
    format!("{{{}}}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_celery_does() {
        for (value, expected) in [
            (json!("10/m"), Ok(Some(10.0 / 60.0))),
            (json!("2"), Ok(Some(2.0))),
            (json!(1.5), Ok(Some(1.5))),
            (json!("7200/h"), Ok(Some(2.0))),
            (json!(0), Ok(None)),
            (json!(null), Ok(None)),
            (json!(""), Ok(None)),
            (json!("x/y"), Err("KeyError('y')".to_owned())),
            (
                json!("inf/s"),
                Err("ValueError(\"could not convert string to float: 'inf'\")".to_owned()),
            ),
        ] {
            assert_eq!(rate(Some(&value)), expected, "{value}");
        }
    }

    #[test]
    fn ids_are_written_as_a_set() {
        assert_eq!(set(&["a".to_owned(), "b".to_owned()]), "{'a', 'b'}");
    }
}
