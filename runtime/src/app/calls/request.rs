//! A request to call a task, read: every member of it is a stranger's.

use super::CallRefused;
use crate::celery::{CallError, TaskCall};
use crate::clock::after;
use crate::config::{Config, check_queue};
use crate::plane::CallRequest;
use crate::policy::route;
use crate::task::TaskName;
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most headers of a call.
pub const HEADERS: usize = 20;
/// Longest value of a header, bytes (1 KiB).
pub const HEADER_BYTES: usize = 1 << 10;
/// Longest name of a header, bytes.
const HEADER_NAME: usize = 64;
/// Longest countdown, and farthest moment from now (10 years).
const FARTHEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// Highest priority.
const PRIORITY: u8 = 9;
/// Headers that brokers and workers write.
const RESERVED: [&str; 8] = [
    "x-acquired-count",
    "x-celeriac",
    "x-death",
    "x-delay",
    "x-delivery-count",
    "x-first-death",
    "x-last-death",
    "x-match",
];

/// A call that could be sent.
#[derive(Debug)]
pub(super) struct Asked {
    /// The task, without an alias.
    pub(super) name: TaskName,
    pub(super) queue: String,
    /// With an id of no meaning.
    pub(super) call: TaskCall,
}

/// Reads a request, for a tenant of this configuration.
pub(super) fn read(
    request: &CallRequest,
    config: &Config,
    now: Timestamp,
) -> Result<Asked, CallRefused> {
    let aliased = config.aliases.get(&request.task);
    let name = aliased.unwrap_or(&request.task);
    let name: TaskName = name
        .parse()
        .map_err(|_| CallRefused::no_task(&request.task))?;
    let text = |value: &Option<Box<RawValue>>, none: &str| {
        let given = value.as_deref().map_or(none, RawValue::get);
        given.to_owned()
    };
    let (args, kwargs) = (text(&request.args, "[]"), text(&request.kwargs, "{}"));
    let call = TaskCall::new(&request.task, &args, &kwargs);
    let mut call = call.map_err(|error| match error {
        CallError::Args { reason } => CallRefused::invalid("args", &args, reason),
        CallError::Kwargs { reason } | CallError::Signature { reason } => {
            CallRefused::invalid("kwargs", &kwargs, reason)
        }
    })?;
    call.eta = due(request, now)?;
    call.expires = moment("expires", request.expires.as_deref(), now)?;
    call.priority = request.priority;
    if let Some(priority) = request.priority.filter(|priority| *priority > PRIORITY) {
        let reason = "0 to 9 is wanted, where 9 is first";
        return Err(CallRefused::invalid(
            "priority",
            &priority.to_string(),
            reason,
        ));
    }
    call.headers = headers(request.headers.as_ref())?;
    Ok(Asked {
        queue: queue(request, config)?,
        name,
        call,
    })
}

/// Returns the queue: a name from nowhere would become a queue that nobody takes from.
fn queue(request: &CallRequest, config: &Config) -> Result<String, CallRefused> {
    let routed = route::queue(&config.routes, &request.task);
    let Some(queue) = &request.queue else {
        return Ok(routed.to_owned());
    };
    let wrong = |reason: String| CallRefused::invalid("queue", queue, reason);
    check_queue(queue).map_err(wrong)?;
    let known = config.worker.queues.iter().chain(config.queues.keys());
    let mut known: Vec<&str> = known.map(String::as_str).chain([routed]).collect();
    known.sort_unstable();
    known.dedup();
    match known.contains(&queue.as_str()) {
        true => Ok(queue.clone()),
        false => Err(wrong(format!(
            "it is no queue of this tenant, which has {}",
            known.join(", ")
        ))),
    }
}

fn due(request: &CallRequest, now: Timestamp) -> Result<Option<Timestamp>, CallRefused> {
    let Some(seconds) = request.countdown_seconds else {
        return moment("eta", request.eta.as_deref(), now);
    };
    let wrong = |reason: &str| {
        let value = seconds.to_string();
        CallRefused::invalid("countdown_seconds", &value, reason)
    };
    if request.eta.is_some() {
        return Err(wrong("name either this or eta"));
    }
    let span = Duration::try_from_secs_f64(seconds).ok();
    let span = span.filter(|span| *span <= FARTHEST);
    let span = span.ok_or_else(|| wrong("seconds from 0 to 10 years are wanted"))?;
    Ok(Some(after(now, span)))
}

fn moment(
    field: &'static str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, CallRefused> {
    let Some(text) = text else {
        return Ok(None);
    };
    let wrong = |reason: &str| CallRefused::invalid(field, text, reason);
    let moment = text
        .parse::<Timestamp>()
        .map_err(|_| wrong("a moment with its offset is wanted, such as 2030-01-31T14:05:00Z"))?;
    match moment <= after(now, FARTHEST) {
        true => Ok(Some(moment)),
        false => Err(wrong("it is more than 10 years away")),
    }
}

fn headers(
    given: Option<&BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, CallRefused> {
    let Some(given) = given else {
        return Ok(BTreeMap::new());
    };
    if given.len() > HEADERS {
        let reason = format!("at most {HEADERS} are allowed (fixed)");
        return Err(CallRefused::invalid(
            "headers",
            &format!("{} headers", given.len()),
            reason,
        ));
    }
    for (name, value) in given {
        let wrong = |reason: &str| Err(CallRefused::invalid("headers", name, reason));
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !name.starts_with("x-") || name.len() > HEADER_NAME || !name.chars().all(good) {
            return wrong(
                "a name is x- and then lower-case letters, digits, -, _ and ., at most 64 bytes",
            );
        }
        if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
            return wrong("brokers and workers write it");
        }
        if value.len() > HEADER_BYTES || value.chars().any(char::is_control) {
            return wrong("a value has at most 1024 bytes and no control characters");
        }
    }
    Ok(given.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn config() -> Config {
        let mut raw = RawConfig::default();
        let text = "[aliases]\n\"old.name\" = \"shop.add\"\n[queues.fast]\nmax_priority = 5\n\
             [routes]\n\"img.*\" = \"images\"\n";
        raw.read_text(std::path::Path::new("celeriac.toml"), text)
            .unwrap();
        Config::check(raw).unwrap().0
    }

    fn asked(text: &str) -> Result<Asked, String> {
        let request = serde_json::from_str(text).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        read(&request, &config(), now).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_a_call_with_its_digits_queue_and_moments() {
        let text = r#"{"task":"shop.add","args":[1.10],"kwargs":{"b":123456789012345678901},
            "queue":"fast","countdown_seconds":1.5,"expires":"2026-01-01T02:00:00+01:00",
            "priority":9,"headers":{"x-shop":"7"}}"#;
        let asked = asked(text).unwrap();
        assert_eq!(
            (asked.queue.as_str(), asked.name.to_string().as_str()),
            ("fast", "shop.add")
        );
        assert_eq!(asked.call.args, "[1.10]");
        assert_eq!(asked.call.kwargs, r#"{"b":123456789012345678901}"#);
        let moment = |at: Option<Timestamp>| at.unwrap().to_string();
        assert_eq!(moment(asked.call.eta), "2026-01-01T00:00:01.5Z");
        assert_eq!(moment(asked.call.expires), "2026-01-01T01:00:00Z");
        assert_eq!(asked.call.headers["x-shop"], "7");
    }

    #[test]
    fn a_task_has_the_queue_of_its_route_and_may_be_called_by_an_alias() {
        let asked = |task: &str| super::tests::asked(&format!(r#"{{"task":"{task}"}}"#)).unwrap();
        assert_eq!(asked("img.small").queue, "images");
        let aliased = asked("old.name");
        assert_eq!(
            (aliased.queue.as_str(), aliased.name.to_string().as_str()),
            ("celery", "shop.add")
        );
        assert_eq!(aliased.call.task, "old.name");
    }

    #[test]
    fn each_member_that_cannot_be_is_refused_with_its_name_value_and_reason() {
        let many: Vec<_> = (0..=HEADERS).map(|at| format!("\"x-{at}\":\"\"")).collect();
        let many = format!("{{{}}}", many.join(","));
        let long = format!(r#"{{"x-a":"{}"}}"#, "v".repeat(HEADER_BYTES + 1));
        for (member, value, reason) in [
            ("args", "{}", "args is \"{}\""),
            ("kwargs", "[]", "kwargs is \"[]\""),
            (
                "queue",
                "\"elsewhere\"",
                "no queue of this tenant, which has celery, fast",
            ),
            ("queue", "\"\"", "queue is \"\""),
            (
                "countdown_seconds",
                "-1",
                "countdown_seconds is \"-1\": seconds from 0",
            ),
            ("countdown_seconds", "1e300", "seconds from 0 to 10 years"),
            (
                "eta",
                "\"tomorrow\"",
                "eta is \"tomorrow\": a moment with its offset",
            ),
            ("eta", "\"2026-01-01T00:00:00\"", "a moment with its offset"),
            (
                "expires",
                "\"2099-01-01T00:00:00Z\"",
                "more than 10 years away",
            ),
            ("priority", "10", "priority is \"10\": 0 to 9 is wanted"),
            ("headers", r#"{"reply_to":"x"}"#, "a name is x-"),
            (
                "headers",
                r#"{"x-celeriac-key":"x"}"#,
                "brokers and workers write it",
            ),
            (
                "headers",
                r#"{"x-death":"x"}"#,
                "brokers and workers write it",
            ),
            ("headers", &many, "at most 20 are allowed"),
            ("headers", &long, "at most 1024 bytes"),
        ] {
            let refused =
                asked(&format!(r#"{{"task":"shop.add","{member}":{value}}}"#)).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        let both = r#"{"task":"shop.add","countdown_seconds":1,"eta":"2026-01-01T00:00:00Z"}"#;
        assert!(asked(both).unwrap_err().contains("either this or eta"));
        let unknown = asked(r#"{"task":"no-task-of-ours"}"#).unwrap_err();
        assert_eq!(unknown, "there is no task \"no-task-of-ours\"");
    }
}
