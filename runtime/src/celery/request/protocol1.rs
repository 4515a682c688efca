//! Telling messages of task protocol 1, which is not spoken here: all that a
//! message of protocol 2 has in headers is in its body.

use super::headers::{UNKNOWN, is_name};
use crate::celery::message::Message;
use crate::task::TaskId;
use serde::Deserialize;

/// What is looked at of a body; the arguments are not built.
#[derive(Deserialize)]
struct Body {
    task: String,
    id: String,
}

/// Returns who waits for a message of protocol 1, where that can be read; `None`
/// when it is not one.
pub(super) fn caller(message: &Message) -> Option<Option<(TaskId, String)>> {
    let is_newer = ["task", "id"]
        .iter()
        .any(|name| message.headers.contains_key(*name));
    if is_newer {
        return None;
    }
    let Body { task, id } = serde_json::from_slice(&message.body).ok()?;
    let task = Some(task).filter(|task| is_name(task));
    let task = task.unwrap_or_else(|| UNKNOWN.to_owned());
    Some(TaskId::parse(&id).ok().map(|id| (id, task)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::Properties;
    use bytes::Bytes;
    use serde_json::{Map, Value};

    fn message(body: &str) -> Message {
        Message {
            body: Bytes::copy_from_slice(body.as_bytes()),
            content_type: "application/json".to_owned(),
            content_encoding: "utf-8".to_owned(),
            headers: Map::new(),
            properties: Properties::default(),
        }
    }

    #[test]
    fn the_caller_of_protocol_1_is_in_the_body() {
        let of = |body: &str| caller(&message(body)).flatten();
        let known = of(r#"{"task": "a.b", "id": "i", "args": []}"#).unwrap();
        assert_eq!((known.0.as_str(), known.1.as_str()), ("i", "a.b"));
        assert_eq!(of(r#"{"task": "a\nb", "id": "i"}"#).unwrap().1, UNKNOWN);
        // It is of protocol 1 all the same.
        let nameless = message(r#"{"task": "a.b", "id": ""}"#);
        assert_eq!(caller(&nameless), Some(None));
    }

    #[test]
    fn a_message_with_headers_or_another_body_is_not_of_protocol_1() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"task": "a.b"}"#,
            r#"{"task": 1, "id": "i"}"#,
        ] {
            assert_eq!(caller(&message(body)), None, "{body}");
        }
        let mut hybrid = message(r#"{"task": "a.b", "id": "i"}"#);
        hybrid.headers.insert("task".to_owned(), Value::from("a.b"));
        assert_eq!(caller(&hybrid), None);
    }
}
