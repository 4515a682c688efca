//! `celery.chord_unlock`: the task that looks whether all parts of a chord are over, where
//! the result backend does not count them.

use super::options::{Options, When};
use super::steps::read;
use super::{CanvasError, DEPTH, Expected, LEVELS, MESSAGES, Send, Sender, is_heavy};
use crate::task::{Json, Kind, Signature, TaskId};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Its name.
const NAME: &str = "celery.chord_unlock";
/// Between the sending of a header and the first look, and between two looks whose
/// message does not say (1 s): as in Celery.
const INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two looks that a message may ask for (100 ms): no message
/// keeps a worker busy with looking.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest (1 day).
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a message of the task says.
#[derive(Debug, Clone, PartialEq)]
pub struct Unlock {
    /// The group of the chord.
    pub group: String,
    /// What gets the results.
    pub body: Json,
    /// The ids of its parts, in their order.
    pub parts: Vec<String>,
    /// Celery's tuple of the results.
    pub structure: Json,
    /// Between two looks.
    pub interval: Duration,
    /// Looks after which it is given up.
    pub max_retries: Option<u32>,
}

/// Why a message of the task cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// An argument is missing or of another shape.
    #[error("the argument {0} is missing or of a wrong shape")]
    Argument(&'static str),
    /// There are too many parts.
    #[error("the chord has more than {MESSAGES} parts (fixed); let each do more")]
    Many,
    /// So much of it is nested that reading it would take long.
    #[error("the chord stands more than {LEVELS} levels deep on average (fixed); make it flatter")]
    Heavy,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    interval: Option<f64>,
    #[serde(default)]
    max_retries: Option<u32>,
}

impl Unlock {
    /// Reads the arguments of a message.
    ///
    /// # Errors
    /// [`UnlockError`] where they are not those of the task.
    pub fn read(args: &[u8], kwargs: &[u8]) -> Result<Self, UnlockError> {
        let texts = [args, kwargs].map(String::from_utf8_lossy);
        if texts.iter().any(|text| is_heavy(text)) {
            return Err(UnlockError::Heavy);
        }
        let [args, _] = &texts;
        let args = Json::read(args).and_then(|args| args.first_items(3));
        let [group, body]: [Json; 2] = args
            .and_then(|args| args.try_into().ok())
            .ok_or(UnlockError::Argument("callback"))?;
        let group: String = group.parse().ok_or(UnlockError::Argument("group_id"))?;
        let wire: Wire<'_> = serde_json::from_slice(kwargs)
            .map_err(|_| UnlockError::Argument("result, interval or max_retries"))?;
        let tuples = wire.result.ok_or(UnlockError::Argument("result"))?;
        let tuples = Json::from(tuples);
        let mut parts = Vec::new();
        for tuple in listed(&tuples)? {
            leaves(&tuple, &mut parts, 0)?;
        }
        let interval = wire.interval.filter(|seconds| *seconds >= 0.0);
        let interval = interval.map(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self {
            structure: group_of(&group, &tuples),
            group,
            body,
            parts,
            interval: interval
                .map_or(INTERVAL, |interval| interval.unwrap_or(LONGEST))
                .clamp(SHORTEST, LONGEST),
            max_retries: wire.max_retries,
        })
    }
}

/// Plans the task that looks for the parts of a chord. Where the body names no queue,
/// `queue` finds that of a task.
///
/// # Errors
/// [`CanvasError`] where the body cannot be sent, or where not all parts have a name.
pub fn unlocking(
    sender: &Sender,
    chord: &Expected,
    queue: impl FnOnce(&str) -> String,
) -> Result<Send, CanvasError> {
    let body = Signature::read(&chord.body)?;
    let first = match body.kind {
        Kind::Chain => first(&body)?.unwrap_or_else(|| body.clone()),
        Kind::Task | Kind::Group | Kind::Chord | Kind::Chunks => body,
    };
    let named = Options::read(&first.options)?.queue;
    let tuples = chord
        .results
        .items()
        .and_then(|tuple| tuple.into_iter().nth(1));
    let tuples = tuples.ok_or(CanvasError::Shape("the results of a chord"))?;
    let mut parts = Vec::new();
    for tuple in tuples.items().unwrap_or_default() {
        leaves(&tuple, &mut parts, 0).map_err(|_| CanvasError::Many)?;
    }
    if parts.len() as u64 != chord.size {
        return Err(CanvasError::Shape("the id of a part of a chord"));
    }
    let kwargs = format!(
        r#"{{"result": {tuples}, "interval": null, "max_retries": null, "_chord_unlock_exchange_type": "direct"}}"#
    );
    let id = TaskId::derived(&[b"unlock", chord.group.as_bytes()]);
    Ok(Send {
        id: id.to_string(),
        task: NAME.to_owned(),
        before: Vec::new(),
        args: Json::array([&Json::text(&chord.group), &chord.body]),
        kwargs: Json::read(&kwargs).ok_or(CanvasError::Deep)?,
        root: sender.root.clone(),
        parent: sender.id.clone(),
        group: None,
        group_index: None,
        callbacks: Vec::new(),
        errbacks: Vec::new(),
        chain: Vec::new(),
        chord: None,
        options: Options {
            queue: Some(named.unwrap_or_else(|| queue(&first.task))),
            eta: Some(When::In(INTERVAL)),
            ignore_result: Some(true),
            ..Options::default()
        },
    })
}

/// The step of a chain that is sent first.
fn first(chain: &Signature) -> Result<Option<Signature>, CanvasError> {
    let tasks = chain.part("tasks").ok_or(CanvasError::Shape("tasks"))?;
    Ok(read(&tasks)?.into_iter().next())
}

fn group_of(id: &str, tuples: &Json) -> Json {
    let name = Json::array([&Json::text(id), &Json::null()]);
    Json::array([&name, tuples])
}

fn listed(tuples: &Json) -> Result<Vec<Json>, UnlockError> {
    let tuples = tuples.first_items(MESSAGES + 1);
    let tuples = tuples.ok_or(UnlockError::Argument("result"))?;
    match tuples.len() > MESSAGES {
        true => Err(UnlockError::Many),
        false => Ok(tuples),
    }
}

/// Finds the tasks in a tuple: `[[id, parent], null]` of one, `[[id, parent], [tuples]]`
/// of a group of them.
fn leaves(tuple: &Json, ids: &mut Vec<String>, depth: usize) -> Result<(), UnlockError> {
    let wrong = || UnlockError::Argument("result");
    if depth > DEPTH {
        return Err(wrong());
    }
    let parts: Option<[Json; 2]> = tuple.first_items(3).and_then(|parts| parts.try_into().ok());
    let [name, children] = parts.ok_or_else(wrong)?;
    if !children.is_null() {
        for child in listed(&children)? {
            leaves(&child, ids, depth + 1)?;
        }
        return Ok(());
    }
    if ids.len() >= MESSAGES {
        return Err(UnlockError::Many);
    }
    let id = name.first_items(1).and_then(|name| name.first()?.parse());
    ids.push(id.ok_or_else(wrong)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"task": "a.sum", "options": {"task_id": "body"}}"#;

    fn unlock(result: &str, more: &str) -> Result<Unlock, UnlockError> {
        let args = format!(r#"["g", {BODY}]"#);
        let kwargs = format!(r#"{{"result": {result}{more}}}"#);
        Unlock::read(args.as_bytes(), kwargs.as_bytes())
    }

    fn tuples(count: usize) -> String {
        let tuples: Vec<String> = (0..count)
            .map(|n| format!(r#"[["{n}",null],null]"#))
            .collect();
        format!("[{}]", tuples.join(","))
    }

    #[test]
    fn what_python_sends_is_read() {
        let result =
            r#"[[["a", null], null], [["g2", null], [[["b", [["p", null], null]], null]]]]"#;
        let more =
            r#", "interval": null, "max_retries": null, "_chord_unlock_exchange_type": "direct""#;
        let read = unlock(result, more).unwrap();
        assert_eq!(read.group, "g");
        assert_eq!(read.body.as_str(), BODY);
        assert_eq!(read.parts, ["a", "b"]);
        assert_eq!(
            read.structure.as_str(),
            format!(r#"[["g", null], {result}]"#)
        );
        assert_eq!((read.interval, read.max_retries), (INTERVAL, None));
        let read = unlock("[]", r#", "interval": 2.5, "max_retries": 3"#).unwrap();
        assert_eq!(read.interval, Duration::from_millis(2_500));
        assert_eq!(read.max_retries, Some(3));
    }

    #[test]
    fn the_time_between_two_looks_is_bounded() {
        for (asked, interval) in [
            ("0", SHORTEST),
            ("1e-9", SHORTEST),
            ("1e300", LONGEST),
            ("-1", INTERVAL),
        ] {
            let read = unlock("[]", &format!(r#", "interval": {asked}"#)).unwrap();
            assert_eq!(read.interval, interval, "{asked}");
        }
    }

    #[test]
    fn what_is_no_chord_is_refused() {
        for result in [
            "null",
            "1",
            "[1]",
            r#"["a"]"#,
            r#"[["a", null]]"#,
            "[[[1, null], null]]",
        ] {
            let error = unlock(result, "").unwrap_err();
            assert_eq!(error, UnlockError::Argument("result"), "{result}");
        }
        for args in ["[]", r#"["g"]"#, r#"["g", {}, 1]"#, "[1, {}]"] {
            let read = Unlock::read(args.as_bytes(), br#"{"result": []}"#);
            assert!(matches!(read, Err(UnlockError::Argument(_))), "{args}");
        }
        let deep = format!("{}{}", r#"[["g", null], ["#.repeat(70), "]]".repeat(70));
        assert!(unlock(&format!("[{deep}]"), "").is_err());
    }

    #[test]
    fn a_chord_has_no_more_than_a_hundred_thousand_parts() {
        assert_eq!(unlock(&tuples(MESSAGES), "").unwrap().parts.len(), MESSAGES);
        assert_eq!(unlock(&tuples(MESSAGES + 1), ""), Err(UnlockError::Many));
        let half = tuples(MESSAGES / 2 + 1);
        let nested = format!(r#"[[["x",null],{half}],[["y",null],{half}]]"#);
        assert_eq!(unlock(&nested, ""), Err(UnlockError::Many));
    }

    #[test]
    fn a_chord_that_is_nested_without_end_is_not_read() {
        let nested = [r#"[["x",null],["#.repeat(10_000), "]]".repeat(10_000)].concat();
        assert_eq!(unlock(&nested, ""), Err(UnlockError::Heavy));
        let body = Unlock::read(
            format!(r#"["g", {nested}]"#).as_bytes(),
            br#"{"result": []}"#,
        );
        assert_eq!(body, Err(UnlockError::Heavy));
    }

    fn expected(body: &str, results: &str, size: u64) -> Expected {
        Expected {
            group: "g".to_owned(),
            size,
            results: Json::read(results).unwrap(),
            is_nested: false,
            body: Json::read(body).unwrap(),
        }
    }

    fn planned(chord: &Expected) -> Result<Send, CanvasError> {
        let sender = Sender {
            id: "sender".to_owned(),
            root: "root".to_owned(),
            seed: "sender:0".to_owned(),
        };
        unlocking(&sender, chord, |task| format!("queue of {task}"))
    }

    #[test]
    fn what_is_sent_can_be_read_and_has_the_id_of_its_group() {
        let results = r#"[["g", null], [[["a", null], null], [["b", null], null]]]"#;
        let send = planned(&expected(BODY, results, 2)).unwrap();
        assert_eq!(send, planned(&expected(BODY, results, 2)).unwrap());
        assert_eq!(send.options.queue.as_deref(), Some("queue of a.sum"));
        assert_eq!(send.options.ignore_result, Some(true));
        let (args, kwargs) = (send.args.as_str(), send.kwargs.as_str());
        let read = Unlock::read(args.as_bytes(), kwargs.as_bytes()).unwrap();
        assert_eq!((read.group.as_str(), read.body.as_str()), ("g", BODY));
        assert_eq!(read.parts, ["a", "b"]);
        assert!(matches!(
            planned(&expected(BODY, results, 3)),
            Err(CanvasError::Shape(_))
        ));
    }

    #[test]
    fn it_goes_to_the_queue_of_the_body() {
        let results = r#"[["g", null], []]"#;
        let named = r#"{"task": "a.sum", "options": {"queue": "far"}}"#;
        let chain = format!(
            r#"{{"task": "celery.chain", "kwargs": {{"tasks": [{named}]}}, "subtask_type": "chain"}}"#
        );
        for body in [named, &chain] {
            let send = planned(&expected(body, results, 0)).unwrap();
            assert_eq!(send.options.queue.as_deref(), Some("far"));
        }
    }
}
