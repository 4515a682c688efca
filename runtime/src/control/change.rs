//! Commands that change something.

use super::arguments::Arguments;
use super::commands::{Told, json, ok};
use super::{Control, show};
use crate::celery::repr;
use crate::celery::request::TimeLimit;
use crate::results::orders::Target;
use crate::task::{ExchangeType, NO_FANOUT, QueueShape, Rate, RateError, TaskId, check_name};
use serde_json::{Value, json};

/// Most tasks and stamps that one request revokes (1,000): each is written down.
const REVOKED: usize = 1_000;

pub(super) async fn revoke(control: &Control, arguments: &Arguments<'_>) -> Told {
    let ids = arguments.texts("task_id");
    if ids.is_empty() {
        return Err(arguments.missing("task_id"));
    }
    let terminate = terminate(arguments);
    let targets = ids.iter().filter_map(|id| TaskId::parse(id).ok());
    let ended = order(control, targets.map(Target::Task).collect(), terminate).await?;
    ok(&match terminate {
        false => format!("tasks {} flagged as revoked", set(&ids)),
        true if ended.is_empty() => "terminate: tasks unknown".to_owned(),
        true => format!("terminate: {}", ended.join(", ")),
    })
}

/// Revokes, and returns what that ended here.
async fn order(
    control: &Control,
    targets: Vec<Target>,
    terminate: bool,
) -> Result<Vec<String>, String> {
    if targets.len() > REVOKED {
        let words = format!("at most {REVOKED} tasks are revoked at once (fixed)");
        return Err(repr::exception("ValueError", &words));
    }
    let revocations = &control.steering.revocations;
    let revoked = revocations.revoke(targets, terminate).await;
    let revoked =
        revoked.map_err(|error| repr::exception("ConnectionError", &error.to_string()))?;
    let ids = revoked.terminated.into_iter();
    Ok(ids.map(|id| id.to_string()).collect())
}

/// The signal is not looked at: a guest is ended at its next instruction, whatever it is.
fn terminate(arguments: &Arguments<'_>) -> bool {
    arguments.method == "terminate" || arguments.flag("terminate")
}

pub(super) async fn revoke_by_stamps(control: &Control, arguments: &Arguments<'_>) -> Told {
    let headers = arguments.values.get("headers");
    let stamps = headers.and_then(Value::as_object);
    let stamps = stamps.filter(|stamps| !stamps.is_empty());
    let Some(stamps) = stamps else {
        return Err(arguments.missing("headers"));
    };
    let targets = stamps.iter().flat_map(|(name, values)| {
        let values = values
            .as_array()
            .map_or_else(|| vec![values], |all| all.iter().collect());
        values.into_iter().map(|value| Target::Stamp {
            name: name.clone(),
            value: value.to_string(),
        })
    });
    let terminate = terminate(arguments);
    let ended = order(control, targets.collect(), terminate).await?;
    let headers = repr::value(headers.map(Value::to_string).unwrap_or_default().as_bytes());
    ok(&match terminate {
        false => format!("headers {headers} flagged as revoked, but not terminated"),
        true if ended.is_empty() => format!("headers {headers} were not terminated"),
        true => format!("headers {headers} revoked"),
    })
}

pub(super) fn rate_limit(control: &Control, arguments: &Arguments<'_>) -> Told {
    let task = arguments.needed("task_name")?;
    let rate = rate(arguments.values.get("rate_limit"))?;
    if !show::knows(control, task) {
        return Err("unknown task".to_owned());
    }
    let words = match rate {
        Some(_) => "new rate limit set successfully",
        None => "rate limit disabled successfully",
    };
    let own = show::own_name(control, task);
    let limited = control.steering.rates.rate_limit(own, rate);
    limited.map_err(|error| error.to_string())?;
    ok(words)
}

/// Reads a rate: a number, or one by s, m or h. What is wrong is told as Celery tells it.
fn rate(value: Option<&Value>) -> Result<Option<Rate>, String> {
    let text = match value {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            return Ok(None);
        }
    };
    Rate::parse(&text).map_err(|error| match error {
        RateError::Unit(unit) => repr::exception("KeyError", &unit),
        RateError::Number(_) | RateError::Range(_) => {
            repr::exception("ValueError", &error.to_string())
        }
    })
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
    let limited = control.steering.time_limit(task, limit);
    limited.map_err(|error| error.to_string())?;
    ok("time limits set successfully")
}

pub(super) fn pool(control: &Control, arguments: &Arguments<'_>) -> Told {
    let by = arguments.count("n").unwrap_or(1);
    let by = usize::try_from(by).unwrap_or(usize::MAX);
    let pool = &control.steering.pool;
    let (changed, words) = match arguments.method {
        "pool_grow" => (pool.grow(by), "pool will grow"),
        _ => (pool.shrink(by), "pool will shrink"),
    };
    changed.map_err(|error| repr::exception("ValueError", &error.to_string()))?;
    ok(words)
}

pub(super) fn add_consumer(control: &Control, arguments: &Arguments<'_>) -> Told {
    let queue = arguments.needed("queue")?;
    let wrong = |words: String| repr::exception("ValueError", &words);
    check_name(queue, 1).map_err(|wanted| wrong(format!("queue is {queue:?}: {wanted}")))?;
    let shape = shape(control, arguments, queue).map_err(wrong)?;
    // As in Celery, what the worker was configured with is what it is.
    if shape != QueueShape::of(queue) && !control.facts.queues.is_configured(queue) {
        let told = control.facts.queues.tell(queue, shape);
        told.map_err(|error| wrong(error.to_string()))?;
    }
    match control.steering.queues.add(queue) {
        Ok(true) => ok(&format!("add consumer {queue}")),
        Ok(false) => ok(&format!("already consuming from {queue}")),
        Err(error) => Err(repr::exception("ValueError", &error.to_string())),
    }
}

/// The exchange that is to feed a queue: what is not said is as the queue is called.
fn shape(control: &Control, arguments: &Arguments<'_>, queue: &str) -> Result<QueueShape, String> {
    let said = |name| arguments.text(name).filter(|text| !text.is_empty());
    let mut shape = QueueShape::of(queue);
    for (name, place) in [
        ("exchange", &mut shape.exchange),
        ("routing_key", &mut shape.routing_key),
    ] {
        if let Some(text) = said(name) {
            check_name(text, 1).map_err(|wanted| format!("{name} is {text:?}: {wanted}"))?;
            text.clone_into(place);
        }
    }
    if let Some(word) = said("exchange_type") {
        shape.exchange_type = ExchangeType::parse(word).ok_or_else(|| {
            format!("exchange_type is {word:?}: 'direct', 'topic' or 'fanout' is wanted")
        })?;
    }
    match shape.exchange_type {
        ExchangeType::Fanout if !control.facts.has_fanout => {
            Err(format!("exchange_type is \"fanout\": {NO_FANOUT}"))
        }
        ExchangeType::Direct | ExchangeType::Topic | ExchangeType::Fanout => Ok(shape),
    }
}

pub(super) fn cancel_consumer(control: &Control, arguments: &Arguments<'_>) -> Told {
    let queue = arguments.needed("queue")?;
    control.steering.queues.remove(queue);
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
pub(super) async fn hello(control: &Control, arguments: &Arguments<'_>) -> Told {
    let from = arguments.needed("from_node")?;
    if from == control.events.hostname() {
        return json(&());
    }
    let mut revoked = arguments.texts("revoked");
    let table = arguments.values.get("revoked").and_then(Value::as_object);
    revoked.extend(table.into_iter().flat_map(|table| table.keys().cloned()));
    let targets = revoked.iter().filter_map(|id| TaskId::parse(id).ok());
    let targets: Vec<Target> = targets.take(REVOKED).map(Target::Task).collect();
    if !targets.is_empty() {
        order(control, targets, false).await?;
    }
    json(&json!({
        "revoked": control.steering.revocations.ids(),
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
        let interval = |value| rate(Some(&value)).map(|rate| rate.map(|rate| rate.interval()));
        for (value, seconds) in [
            (json!("10/m"), Some(6.0)),
            (json!("2"), Some(0.5)),
            (json!(0.5), Some(2.0)),
            (json!("7200/h"), Some(0.5)),
            (json!(0), None),
            (json!(null), None),
            (json!(""), None),
        ] {
            let expected = seconds.map(std::time::Duration::from_secs_f64);
            assert_eq!(interval(value.clone()), Ok(expected), "{value}");
        }
        assert_eq!(interval(json!("1/y")), Err("KeyError('y')".to_owned()));
        let wrong = interval(json!("fast/s")).unwrap_err();
        assert!(wrong.starts_with("ValueError("), "{wrong}");
    }

    #[test]
    fn ids_are_written_as_a_set() {
        assert_eq!(set(&["a".to_owned(), "b".to_owned()]), "{'a', 'b'}");
    }
}
