//! The options of a signature, each checked for its type: Celery's `apply_async` knows
//! many more, which mean nothing to a message.

use super::CanvasError;
use crate::task::{Json, is_reserved_queue};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest option that is shown in an error, characters.
const SHOWN: usize = 80;

/// A moment, or a span until one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Then.
    At(Timestamp),
    /// So long after the sending.
    In(Duration),
}

/// How a task is to be sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// The queue, where one is named.
    pub queue: Option<String>,
    /// 0 to 9, as its broker means it.
    pub priority: Option<u8>,
    /// Not to run before.
    pub eta: Option<When>,
    /// Not to run after.
    pub expires: Option<When>,
    /// Hard and soft time limit, seconds.
    pub time_limit: [Option<f64>; 2],
    /// The name to show.
    pub shadow: Option<String>,
    /// Headers of the caller's own.
    pub headers: BTreeMap<String, Json>,
    /// Stamps by name.
    pub stamps: BTreeMap<String, Json>,
    /// Whether no result is to be stored; the task's own choice where nothing is said.
    pub ignore_result: Option<bool>,
    /// What is shown of its arguments, in the place of them.
    pub argsrepr: Option<String>,
    /// What is shown of its keyword arguments.
    pub kwargsrepr: Option<String>,
    /// Where an `rpc://` client waits.
    pub reply_to: Option<String>,
    /// How often a task of this id handed its work over.
    pub replaced_task_nesting: u64,
    /// Retries of the task before it is sent.
    pub retries: u32,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "__type__")]
    kind: String,
    #[serde(rename = "__value__")]
    value: String,
}

impl Options {
    /// Reads options.
    ///
    /// # Errors
    /// [`CanvasError::Option`] when one is of a wrong type.
    pub(super) fn read(options: &BTreeMap<String, Json>) -> Result<Self, CanvasError> {
        let reader = Reader(options);
        let countdown = reader.number("countdown")?;
        let countdown = countdown
            .map(|seconds| span("countdown", seconds))
            .transpose()?;
        Ok(Self {
            queue: reader.queue()?,
            priority: reader.priority()?,
            eta: match countdown {
                Some(span) => Some(When::In(span)),
                None => reader.when("eta")?,
            },
            expires: reader.when("expires")?,
            time_limit: [
                reader.number("time_limit")?,
                reader.number("soft_time_limit")?,
            ],
            shadow: reader.of("shadow", "a text")?,
            headers: reader.headers()?,
            stamps: reader.stamps()?,
            ignore_result: reader.of("ignore_result", "true or false")?,
            argsrepr: reader.of("argsrepr", "a text")?,
            kwargsrepr: reader.of("kwargsrepr", "a text")?,
            reply_to: reader.of("reply_to", "a text")?,
            replaced_task_nesting: reader
                .of("replaced_task_nesting", "a number from 0")?
                .unwrap_or(0),
            retries: reader.of("retries", "a number from 0")?.unwrap_or(0),
        })
    }
}

struct Reader<'a>(&'a BTreeMap<String, Json>);

impl<'a> Reader<'a> {
    fn of<T: Deserialize<'a>>(
        &self,
        name: &'static str,
        wanted: &'static str,
    ) -> Result<Option<T>, CanvasError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        value
            .parse()
            .map(Some)
            .ok_or_else(|| wrong(name, value, wanted))
    }

    fn number(&self, name: &'static str) -> Result<Option<f64>, CanvasError> {
        self.of(name, "a number of seconds")
    }

    /// Clamps to 0..9, as brokers do.
    fn priority(&self) -> Result<Option<u8>, CanvasError> {
        let priority: Option<i64> = self.of("priority", "a number from 0 to 9")?;
        Ok(priority.and_then(|priority| u8::try_from(priority.clamp(0, 9)).ok()))
    }

    /// Reads seconds, an ISO 8601 moment, or one as kombu wraps it.
    fn when(&self, name: &'static str) -> Result<Option<When>, CanvasError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        if let Some(seconds) = value.parse() {
            return span(name, seconds).map(|span| Some(When::In(span)));
        }
        let typed = || {
            let typed: Typed = value.parse()?;
            (typed.kind == "datetime").then_some(typed.value)
        };
        let text = value.parse::<String>().or_else(typed);
        let moment = text.as_deref().and_then(moment);
        moment
            .map(|at| Some(When::At(at)))
            .ok_or_else(|| wrong(name, value, "seconds or an ISO 8601 moment"))
    }

    /// A routing key is the name of a queue, as with the exchanges that Celery makes. What
    /// is bound to another exchange only its server knows, and messages of ours go to
    /// queues: better no message than one where nobody looks.
    fn queue(&self) -> Result<Option<String>, CanvasError> {
        const IN_ITS_PLACE: &str = "left out, and the option queue in its place";
        const NO_TABLE: &str = "the name of a queue, not of a table of the broker's";
        let named = |name: &'static str| {
            let named = self.of::<String>(name, "the name of a queue")?;
            match (named, self.0.get(name)) {
                (Some(queue), Some(value)) if is_reserved_queue(&queue) => {
                    Err(wrong(name, value, NO_TABLE))
                }
                (named, _) => Ok(named),
            }
        };
        let queue = named("queue")?.filter(|name| !name.is_empty());
        let key = named("routing_key")?.filter(|name| !name.is_empty());
        let exchange = named("exchange")?.filter(|name| !name.is_empty());
        match (queue, exchange, self.0.get("exchange")) {
            (None, Some(exchange), Some(value)) if key.as_ref() != Some(&exchange) => {
                Err(wrong("exchange", value, IN_ITS_PLACE))
            }
            (queue, ..) => Ok(queue.or(key)),
        }
    }

    fn headers(&self) -> Result<BTreeMap<String, Json>, CanvasError> {
        let headers: Option<BTreeMap<String, &serde_json::value::RawValue>> =
            self.of("headers", "an object")?;
        let headers = headers.unwrap_or_default().into_iter();
        Ok(headers
            .map(|(name, value)| (name, Json::from(value)))
            .collect())
    }

    /// The values of stamps stand among the other options.
    fn stamps(&self) -> Result<BTreeMap<String, Json>, CanvasError> {
        let names: Option<Vec<String>> = self.of("stamped_headers", "a list of names")?;
        let stamp = |name: String| self.0.get(&name).cloned().map(|value| (name, value));
        Ok(names
            .unwrap_or_default()
            .into_iter()
            .filter_map(stamp)
            .collect())
    }
}

/// A naive moment is UTC, as for Celery's workers.
fn moment(text: &str) -> Option<Timestamp> {
    let naive = || {
        TimeZone::UTC
            .to_timestamp(text.parse::<DateTime>().ok()?)
            .ok()
    };
    text.parse().ok().or_else(naive)
}

fn span(name: &'static str, seconds: f64) -> Result<Duration, CanvasError> {
    // A span that is over is none.
    Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| CanvasError::Option {
        name,
        value: format!("{seconds:e}"),
        wanted: "a number of seconds",
    })
}

fn wrong(name: &'static str, value: &Json, wanted: &'static str) -> CanvasError {
    CanvasError::Option {
        name,
        value: value.as_str().chars().take(SHOWN).collect(),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, CanvasError> {
        let json = Json::read(text).unwrap();
        let raw: BTreeMap<String, &serde_json::value::RawValue> = json.parse().unwrap();
        let options = raw.into_iter().map(|(name, value)| (name, value.into()));
        Options::read(&options.collect())
    }

    #[test]
    fn a_moment_is_seconds_or_iso_8601_or_what_kombu_makes_of_it() {
        let at = When::At("2030-01-02T03:04:05Z".parse().unwrap());
        for (text, expected) in [
            (
                r#"{"countdown": 2.5}"#,
                When::In(Duration::from_millis(2_500)),
            ),
            (r#"{"countdown": -1}"#, When::In(Duration::ZERO)),
            (r#"{"eta": "2030-01-02T03:04:05"}"#, at),
            (r#"{"eta": "2030-01-02T04:04:05+01:00"}"#, at),
            (
                r#"{"eta": {"__type__": "datetime", "__value__": "2030-01-02T03:04:05+00:00"}}"#,
                at,
            ),
        ] {
            assert_eq!(read(text).unwrap().eta, Some(expected), "{text}");
        }
    }

    #[test]
    fn garbage_is_named() {
        for (text, words) in [
            (r#"{"countdown": "soon"}"#, "countdown is \"soon\""),
            (r#"{"countdown": 1e300}"#, "countdown"),
            (r#"{"expires": 1e300}"#, "option expires is 1e300;"),
            (r#"{"eta": "tomorrow"}"#, "eta"),
            (r#"{"eta": [1]}"#, "eta"),
            (r#"{"priority": "high"}"#, "priority"),
            (r#"{"queue": {"name": "q"}}"#, "queue"),
            (r#"{"queue": "celeriac.parked.celery"}"#, "table"),
            (r#"{"routing_key": "unacked"}"#, "table"),
            (r#"{"headers": []}"#, "headers"),
            (r#"{"stamped_headers": "one"}"#, "stamped_headers"),
            (r#"{"ignore_result": 1}"#, "ignore_result"),
            (r#"{"shadow": 7}"#, "shadow"),
            (r#"{"argsrepr": ["hidden"]}"#, "argsrepr"),
            (r#"{"kwargsrepr": 7}"#, "kwargsrepr"),
            (r#"{"time_limit": "1"}"#, "time_limit"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_signature_names_its_queue_or_an_exchange_of_celerys_own() {
        for (text, queue) in [
            (
                r#"{"queue": "q", "exchange": "media", "routing_key": "k"}"#,
                Some("q"),
            ),
            (r#"{"exchange": "q", "routing_key": "q"}"#, Some("q")),
            (r#"{"exchange": "", "routing_key": "q"}"#, Some("q")),
            (r#"{"routing_key": "q"}"#, Some("q")),
            (r#"{"queue": ""}"#, None),
        ] {
            assert_eq!(read(text).unwrap().queue.as_deref(), queue, "{text}");
        }
        for text in [
            r#"{"exchange": "media", "routing_key": "media.png"}"#,
            r#"{"exchange": "media"}"#,
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("exchange is \"media\""), "{text}: {error}");
        }
    }

    #[test]
    fn stamps_are_found_by_their_names() {
        let options = read(r#"{"stamped_headers": ["a", "gone"], "a": ["x"], "b": 1}"#).unwrap();
        assert_eq!(options.stamps.len(), 1);
        assert_eq!(options.stamps["a"].as_str(), r#"["x"]"#);
    }
}
