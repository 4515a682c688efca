//! Task protocol 1: all that a message of protocol 2 has in headers is in its body.
//!
//! Headers win over the body, as for Celery: so its retry is the same body with
//! `retries` and `eta` in headers, which every Celery since 4 reads.

use super::headers::{Headers, UNKNOWN};
use super::{Body, Wrong};
use crate::celery::Message;
use crate::task::TaskId;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Longest text of one member that becomes a header, bytes (64 KiB).
const MEMBER_BYTES: usize = 64 << 10;

/// The body: every member is left as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document<'a> {
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    kwargs: Option<&'a RawValue>,
    callbacks: Option<&'a RawValue>,
    errbacks: Option<&'a RawValue>,
    chord: Option<&'a RawValue>,
    task: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    root_id: Option<&'a RawValue>,
    parent_id: Option<&'a RawValue>,
    group: Option<&'a RawValue>,
    taskset: Option<&'a RawValue>,
    group_index: Option<&'a RawValue>,
    shadow: Option<&'a RawValue>,
    retries: Option<&'a RawValue>,
    eta: Option<&'a RawValue>,
    expires: Option<&'a RawValue>,
    utc: Option<&'a RawValue>,
    timelimit: Option<&'a RawValue>,
}

/// Headers and a body of protocol 2.
type Newer = (Map<String, Value>, Body);

/// Makes headers and a body of protocol 2 from a body of protocol 1; `None` when it
/// is not one.
pub(super) fn read(text: &Bytes, headers: &Map<String, Value>) -> Result<Option<Newer>, Wrong> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let document = serde_json::from_slice::<Document<'_>>(text).ok();
    let Some(document) = document.filter(|it| it.task.is_some() || it.args.is_some()) else {
        return Ok(None);
    };
    let mut merged = document.headers()?;
    merged.extend(headers.clone());
    let part = |part: Option<&RawValue>, without: &'static str| match part {
        Some(part) => text.slice_ref(part.get().as_bytes()),
        None => Bytes::from_static(without.as_bytes()),
    };
    let body = Body {
        args: part(document.args, "[]"),
        kwargs: part(document.kwargs, "{}"),
        embed: document.embed(),
    };
    Ok(Some((merged, body)))
}

/// Who waits for a message whose body cannot be read: Celery names the task in a
/// property as well.
pub(super) fn caller(message: &Message) -> Option<(TaskId, String)> {
    let id = message.properties.correlation_id.as_deref()?;
    let is_older = !Headers(&message.headers).name_a_task();
    let id = TaskId::parse(id).ok().filter(|_| is_older)?;
    Some((id, UNKNOWN.to_owned()))
}

impl Document<'_> {
    fn headers(&self) -> Result<Map<String, Value>, Wrong> {
        let mut headers = Map::new();
        // Without a word about it, moments are UTC.
        headers.insert("utc".to_owned(), Value::Bool(true));
        for (name, member) in [
            ("task", self.task),
            ("id", self.id),
            ("root_id", self.root_id),
            ("parent_id", self.parent_id),
            ("group", self.taskset.or(self.group)),
            ("group_index", self.group_index),
            ("shadow", self.shadow),
            ("retries", self.retries),
            ("eta", self.eta),
            ("expires", self.expires),
            ("utc", self.utc),
            ("timelimit", self.timelimit),
        ] {
            let Some(member) = member else { continue };
            let text = Some(member.get()).filter(|text| text.len() <= MEMBER_BYTES);
            let value = text.and_then(|text| serde_json::from_str(text).ok());
            let value = value.ok_or_else(|| {
                Wrong::decode(format!(
                    "the member {name} of the body has more than {MEMBER_BYTES} bytes (fixed) or is nested too deep"
                ))
            })?;
            headers.insert(name.to_owned(), value);
        }
        Ok(headers)
    }

    /// What is to follow, as protocol 2 has it; a chain is nested in the callbacks.
    fn embed(&self) -> Bytes {
        let parts = [self.callbacks, self.errbacks, self.chord];
        if parts.iter().all(Option::is_none) {
            return Bytes::new();
        }
        let [callbacks, errbacks, chord] = parts.map(|part| part.map_or("null", RawValue::get));
        Bytes::from(format!(
            r#"{{"callbacks":{callbacks},"errbacks":{errbacks},"chain":null,"chord":{chord}}}"#
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::celery::body::Accept;
    use crate::celery::request::retried;
    use crate::celery::{Message, Properties, Request};
    use bytes::Bytes;
    use jiff::tz::TimeZoneDatabase;
    use serde_json::{Map, Value, json};

    fn message(body: &str) -> Message {
        Message {
            body: Bytes::copy_from_slice(body.as_bytes()),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers: Map::new(),
            properties: Properties::default(),
        }
    }

    const FULL: &str = r#"{"task": "a.b", "id": "i", "args": [1, 2.50], "kwargs": {"k":  1},
        "retries": 2, "eta": "2030-07-02T03:04:05", "expires": null, "utc": true,
        "callbacks": [{"task": "c"}], "errbacks": null, "timelimit": [3, 2],
        "taskset": "g", "chord": null, "group": "h", "other": {"x": [1]}}"#;

    #[test]
    fn a_call_is_read_from_its_body() {
        let request = Request::decode(&message(FULL)).unwrap();
        assert_eq!(request.id.as_str(), "i");
        assert_eq!(request.task, "a.b");
        assert_eq!(request.args, "[1, 2.50]");
        assert_eq!(request.kwargs, r#"{"k":  1}"#);
        assert_eq!(request.retries, 2);
        assert_eq!(request.group.as_deref(), Some("g"));
        assert_eq!(request.time_limit.hard.unwrap().as_secs(), 3);
        assert_eq!(request.eta.unwrap().as_second(), 1_909_191_845);
        assert_eq!(
            request.embed,
            r#"{"callbacks":[{"task": "c"}],"errbacks":null,"chain":null,"chord":null}"#
        );
        assert!(request.headers.is_empty(), "{:?}", request.headers);
        let short = Request::decode(&message(r#"{"task": "a.b", "id": "i"}"#)).unwrap();
        assert_eq!(
            (&short.args[..], &short.kwargs[..]),
            (&b"[]"[..], &b"{}"[..])
        );
        assert!(short.embed.is_empty());
    }

    #[test]
    fn moments_without_an_offset_are_of_the_zone_when_they_are_not_utc() {
        let zone = TimeZoneDatabase::bundled().get("Europe/Paris").unwrap();
        let read = |body: &str| {
            let request = Request::decode_in(&message(body), &zone, &Accept::default());
            request.unwrap().eta.unwrap().as_second()
        };
        assert_eq!(read(FULL), 1_909_191_845);
        assert_eq!(read(&FULL.replace("true", "false")), 1_909_184_645);
        assert_eq!(read(&FULL.replace("\"utc\": true,", "")), 1_909_191_845);
    }

    #[test]
    fn headers_win_over_the_body() {
        let mut hybrid = message(FULL);
        for (name, value) in [
            ("task", json!("c.d")),
            ("id", json!("j")),
            ("x-shop", json!("7")),
        ] {
            hybrid.headers.insert(name.to_owned(), value);
        }
        let request = Request::decode(&hybrid).unwrap();
        assert_eq!((request.task.as_str(), request.id.as_str()), ("c.d", "j"));
        assert_eq!(request.retries, 2);
        assert_eq!(request.headers["x-shop"], "7");
    }

    #[test]
    fn a_retry_is_the_same_body_with_two_headers() {
        let sent = message(FULL);
        let again = retried(&sent, 3, "2031-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(again.body, sent.body);
        let request = Request::decode(&again).unwrap();
        assert_eq!((request.id.as_str(), request.retries), ("i", 3));
        assert_eq!(request.eta.unwrap().to_string(), "2031-01-02T03:04:05Z");
        assert_eq!(request.args, "[1, 2.50]");
    }

    #[test]
    fn who_waits_for_a_broken_call_is_told() {
        let caller = |body: &str| Request::decode(&message(body)).unwrap_err().caller;
        let (id, task) = caller(r#"{"task": "a.b", "id": "i", "args": {}}"#).unwrap();
        assert_eq!((id.as_str(), task.as_str()), ("i", "a.b"));
        let (_, task) = caller(r#"{"task": "a\nb", "id": "i", "args": []}"#).unwrap();
        assert_eq!(task, "unknown");
        assert_eq!(caller(r#"{"task": "a.b", "id": ""}"#), None);
        assert_eq!(caller(r#"{"id": "i"}"#), None);
        let long = json!({"task": "a", "id": "i", "eta": "x".repeat(70_000)}).to_string();
        let mut long = message(&long);
        long.properties.correlation_id = Some("i".to_owned());
        assert!(Request::decode(&long).unwrap_err().reason.contains("65536"));
        // Celery names the task in a property as well.
        let mut unread = message("\u{80}\u{5}");
        unread.content_type = "application/x-python-serialize".to_owned();
        unread.properties.correlation_id = Some("i".to_owned());
        let (id, task) = Request::decode(&unread).unwrap_err().caller.unwrap();
        assert_eq!((id.as_str(), task.as_str()), ("i", "unknown"));
    }

    #[test]
    fn another_body_is_not_of_protocol_1() {
        for body in ["", "[]", "{}", "{\"id\": \"i\"}", "null", "[[], {}, {}]"] {
            let mut message = message(body);
            message.headers.insert("x".to_owned(), Value::from(1));
            let reason = Request::decode(&message).unwrap_err().reason;
            assert!(!reason.contains("member"), "{body}: {reason}");
        }
    }
}
